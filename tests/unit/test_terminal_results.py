"""What a finished run has found, in the words that it ends with in the terminal."""

import json
import os
from pathlib import Path

import pytest

from workflow_scripts.cxrcam.terminal.results import (
    accuracy_in_words,
    cost_in_words,
    findings_in_words,
    made_in_words,
    mend_in_words,
    mended_command,
    new_images_in_words,
    verdict_in_words,
)

SUMMARY = """task,scheme,pooled_accuracy,pooled_accuracy_low,pooled_accuracy_high,pooled_n,n_runs
two_class,holdout,0.9625,0.9391,0.9759,420,3
chest_mass,holdout,0.9,0.8,0.95,60,1
"""
COST = """data_set,task,scheme,accuracy,accuracy_low,accuracy_high,external_accuracy,best_floor\
,best_floor_accuracy,gap,failed_checks,answer
mine,two_class,holdout,0.95,0.9,0.975,0.8,thumbnail,0.9125,0.0375,2,Not believable.
mine,two_class,other,0.9,0.8,0.95,,border,0.8,0.1,1,
mended,two_class,holdout,,,,,border,,,0,
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path()


# --- numbers --------------------------------------------------------------------------------------


def test_each_design_has_a_line_with_its_accuracy_and_a_single_finding_has_none(folder):
    table = folder / "summary.csv"
    table.write_text(SUMMARY, encoding="utf-8")
    title, *lines = accuracy_in_words(table, {"chest_mass"})
    assert title.startswith("\nTest accuracy") and title.endswith("from summary.csv:")
    assert [" ".join(line.split()) for line in lines] == [
        "two_class holdout 0.963 (0.939 to 0.976), n = 420 in 3 runs"
    ]
    assert accuracy_in_words(table, set())[2].endswith("in 1 run")
    assert accuracy_in_words(table, {"chest_mass", "two_class"}) == [], "a title without a number"


def test_each_finding_has_a_line_with_its_floor_and_without_an_interval_none_is_made_up():
    row = {"finding": "Mass", "auroc": 0.81, "auroc_low": 0.7, "auroc_high": 0.9}
    row |= {"floor_auroc": 0.6, "n_present": 12, "n": 90, "answer": "too high"}
    alone = row | {"finding": "Edema", "auroc_low": None, "auroc_high": None}
    verdict = {"headline": {"task": "chest", "scheme": "holdout"}, "findings": [row, alone]}
    title, *lines = findings_in_words(verdict)
    assert "of chest, holdout, and its best floor" in title
    assert [" ".join(line.split()) for line in lines] == [
        "Mass 0.81 (0.70 to 0.90) floor 0.60 12 of 90 too high",
        "Edema 0.81 floor 0.60 12 of 90 too high",
    ]
    assert findings_in_words({"headline": None, "findings": None}) == []
    assert findings_in_words({"headline": None}) == [], "a verdict of an earlier version"


def test_the_cost_of_a_mend_is_told_for_designs_of_both_and_what_is_unknown_is_said(folder):
    table = folder / "mended.csv"
    table.write_text(COST, encoding="utf-8")
    title, first, second = cost_in_words(table)
    assert title == "\nWhat did it cost? From mended.csv:"
    assert " ".join(first.split()) == (
        "mine two_class, holdout: accuracy 0.950 (0.900 to 0.975), best floor thumbnail 0.912, gap "
        "+4 points, external 0.800, 2 checks failed. Not believable."
    )
    assert "accuracy - (- to -), best floor border -, gap unknown, external -, 0 checks" in second


# --- the verdict ----------------------------------------------------------------------------------


def test_the_verdict_comes_with_its_points_its_page_and_the_start_of_the_networks(folder):
    file = folder / "verdict.json"
    said = {
        "headline": None,
        "answer": "Not proven.",
        "sentence": "An older sentence.",
        "meaning": "Too few images.",
        "against": [],
        "unknown": ["One.", "Two."],
        "starts": {"holdout": {"kind": "random", "origin": "random"}},
        "checks": [],
    }
    file.write_text(json.dumps(said), encoding="utf-8")
    assert verdict_in_words(file) == [
        "\nCan it be believed? Not proven. Too few images.",
        "  Unknown: One. Two.",
        "Each check: verdict.md",
        "\nNetworks start from random weights.",
    ]
    earlier = {key: said[key] for key in ("headline", "answer", "sentence")}
    file.write_text(json.dumps(earlier), encoding="utf-8")
    assert verdict_in_words(file) == [
        "\nCan it be believed? Not proven. An older sentence.",
        "Each check: verdict.md",
    ]


# --- mending --------------------------------------------------------------------------------------


def test_the_command_of_the_second_study_has_the_files_and_settings_of_the_first(folder):
    given = {
        "seeds": [0, 1],
        "model": {"weights": "random"},
        "dataset": "mine",
        "external": ["other"],
        "predict_images": "new",
    }
    files = [Path.cwd() / "config.yaml", Path("/elsewhere/my site.yaml"), Path("mended.yaml")]
    assert mended_command(files, given, 4) == (
        "snakemake --cores 4 --configfile config.yaml '/elsewhere/my site.yaml' mended.yaml "
        """--config 'seeds=[0, 1]' 'model={"weights": "random"}'"""
    )
    assert mended_command([Path("config.yaml")], {"dataset": "mine"}, "all").endswith("config.yaml")


def test_an_overlay_is_offered_where_it_fits_the_verdict(folder):
    verdict, overlay = folder / "verdict.json", folder / "mended.yaml"
    verdict.write_text(json.dumps({"checks": [{"mend": None}]}), encoding="utf-8")
    assert mend_in_words(verdict, overlay, "COMMAND") == []
    verdict.write_text(json.dumps({"checks": [{"mend": "lungs_only"}]}), encoding="utf-8")
    (asks,) = mend_in_words(verdict, overlay, "COMMAND")
    assert "`-- mend` at its end" in asks
    overlay.write_text("dataset: mine_mended\n", encoding="utf-8")
    os.utime(verdict, (1000, 1000))
    assert mend_in_words(verdict, overlay, "COMMAND")[1] == "  COMMAND"
    os.utime(overlay, (999, 999))
    assert mend_in_words(verdict, overlay, "COMMAND") == [asks], "an overlay of an older verdict"
    overlay.write_text("# Nothing.\n", encoding="utf-8")
    (nothing,) = mend_in_words(verdict, overlay, "COMMAND")
    assert nothing == "\nNothing is left that the tool can mend; what you can do: mended.yaml"


# --- files ----------------------------------------------------------------------------------------


def test_new_images_that_could_be_read_are_counted(folder):
    table = folder / "predictions.csv"
    table.write_text('image,answer\na.png,COVID\n"b\n.png",Normal\n', encoding="utf-8")
    (line,) = new_images_in_words(folder / "index.html", table, 3)
    assert line.startswith("\n2 of 3 new images could be read") and line.endswith(": index.html")


def test_of_many_files_only_the_pages_are_named():
    few = [f"results/a/{n}.csv" for n in range(8)]
    assert made_in_words("paper", few) == ["\nMade by paper:", *(f"  {file}" for file in few)]
    many = [*few, "results/b/index.html"]
    assert made_in_words("paper", many) == [
        "\nMade by paper:",
        "  results/b/index.html",
        "  8 other files in results",
    ]


def test_the_viewer_ends_with_the_command_that_opens_it():
    *_, last = made_in_words("viewer", ["results/a b/viewer/index.html", "results/a b/viewer/x.js"])
    assert last == "To open it: python -m workflow_scripts.cxrcam.viewer.serve 'results/a b/viewer'"
