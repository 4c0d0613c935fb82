"""The paper's elements, one by one, on a data set that has nothing to do with COVID."""

import csv
import re
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from tests.workflow.small_project import FINDINGS, Project
from workflow_scripts.cxrcam.paper.scorecard import COLUMNS, VERDICTS

TABLE = ("csv", "md", "tex")
PLOT = ("png", "svg", "txt")
PICTURE = ("png", "txt")
# Numbered as in the study: what shows that an element was reproduced. Elements without files of
# their own are claims of the scorecard.
FILES = {
    "1 data": ["../audit/expected.csv"],
    "3 network, figure 1": [f"figure_1.{kind}" for kind in PLOT],
    "7 accuracy by equation (1)": [f"table_accuracy.{kind}" for kind in TABLE],
    "8 tables I and II": [f"table_{number}.{kind}" for number in (1, 2) for kind in TABLE],
    "9 figure 2": [f"figure_2.{kind}" for kind in PLOT],
    "9 figures 3 to 5": [f"figure_{number}.{kind}" for number in (3, 4, 5) for kind in PICTURE],
    "9 figures 6 and 7": [f"figure_{number}.{kind}" for number in (6, 7) for kind in PLOT],
    "10 effort": ["effort_runs.csv", *(f"table_effort.{kind}" for kind in TABLE)],
    "12 channels": [
        *(f"figure_channels.{kind}" for kind in PICTURE),
        *(f"table_channels.{kind}" for kind in TABLE),
    ],
    "13 maps": [
        f"../audit/{task}/holdout/fold-1/seed-0/maps.json" for task in ("fluid", "findings")
    ],
    "14 networks": [f"table_networks.{kind}" for kind in TABLE],
    "scorecard": ["scorecard.md", "scorecard.csv"],
}
# A word of the claim, and where the paper makes it.
CLAIMS = {
    "1 data": "15,153",
    "3 two outputs": "2 outputs",
    "3 three outputs": "3 outputs",
    "4 optimisers": "other optimiser",
    "5 k-fold": "k-fold",
    "6 looking at the test set": "nothing looks at the test images",
    "7 headline": "Accuracy of 95 %",
    "10 fewer classes": "Fewer classes",
    "10 sub-samples": "Sub-samples reach",
    "10 sub-samples, summed": "even summed",
    "11 generalisation": "generalise",
    "12 channels": "channels were identified",
    "13 lesions": "point at the lesions",
}


@pytest.fixture(scope="module")
def paper(findings: Project) -> Path:
    return findings.folder / "results" / "findings" / "paper"


@pytest.fixture(scope="module")
def card(paper: Path) -> pd.DataFrame:
    return pd.read_csv(paper / "scorecard.csv")


def test_the_run_ends_by_naming_what_each_target_made(findings: Project) -> None:
    printed = (findings.folder / "printed.txt").read_text(encoding="utf-8")
    for target, page, others in (
        ("paper", "paper/scorecard.md", r"\d\d other files in results/findings/paper"),
        ("related", "related/", r"\d+ other files in results/findings/related"),
    ):
        said = printed.partition(f"\nMade by {target}:\n")[2].partition("\n\n")[0]
        assert f"  results/findings/{page}" in said, printed
        assert re.search(others, said)


@pytest.mark.parametrize("element", FILES)
def test_an_element_of_the_paper_has_its_files(paper, element):
    for name in FILES[element]:
        file = paper / name
        assert file.is_file() and file.stat().st_size > 0, name
        if file.suffix == ".png":
            with Image.open(file) as picture:
                picture.load()
                # At least as wide as a journal's column at 200 dpi.
                assert picture.width >= 650, f"{name}: {picture.width} pixels wide"
        if file.suffix == ".txt":
            assert len(file.read_text(encoding="utf-8")) > 80, f"{name} does not stand alone"


@pytest.mark.parametrize("element", CLAIMS)
def test_a_claim_of_the_paper_has_a_verdict(card, element):
    rows = card[card["claim"].str.contains(CLAIMS[element], regex=False)]
    assert len(rows), f"no claim with {CLAIMS[element]!r}"
    assert rows["verdict"].isin(VERDICTS).all()
    assert rows["why"].str.len().min() > 10
    assert rows["ours"].notna().all() and rows["floor"].notna().all()


def test_the_scorecard_has_its_columns_and_intervals(card):
    assert list(card.columns) == list(COLUMNS)
    measured = card[card["claim"].str.startswith("Accuracy of 95 %")]
    assert (measured["low"] <= measured["value"]).all() and (
        measured["value"] <= measured["high"]
    ).all()
    assert measured["n"].min() > 0


def test_the_page_says_what_the_table_says(paper, card):
    page = (paper / "scorecard.md").read_text(encoding="utf-8")
    for verdict in VERDICTS:
        assert f"{(card['verdict'] == verdict).sum()} {verdict}" in page
    assert page.count("\n### ") == len(card)


def test_figures_and_tables_name_the_classes_of_this_data_and_of_no_other(paper):
    texts = {
        file.name: file.read_text(encoding="utf-8")
        for file in paper.iterdir()
        if file.suffix in (".md", ".csv", ".tex", ".txt") and not file.name.startswith("scorecard")
    }
    for name, text in texts.items():
        assert not re.search("COVID|Normal|Viral", text), name
    for stem in ("figure_3.txt", "table_channels.csv", "table_2.csv", "table_accuracy.csv"):
        assert all(finding in texts[stem] for finding in FINDINGS), stem


def test_captions_give_the_size_of_the_files_not_of_the_pictures(findings, paper):
    index = pd.read_parquet(findings.folder / "results/findings/index/images.parquet")
    sizes = {f"{row.width} × {row.height}" for row in index.itertuples()}
    for name in ("figure_3.txt", "figure_4.txt"):
        said = set(re.findall(r"\d+ × \d+", (paper / name).read_text(encoding="utf-8")))
        assert said and said <= sizes, name


def test_tables_show_one_image_and_probabilities_that_add_up(paper):
    for number, classes in ((1, 2), (2, 3)):
        with (paper / f"table_{number}.csv").open(newline="", encoding="utf-8") as handle:
            rows = list(csv.DictReader(handle))
        assert len(rows) == 1
        probabilities = [float(v) for k, v in rows[0].items() if k.startswith("P(")]
        assert len(probabilities) == classes
        assert sum(probabilities) == pytest.approx(1.0, abs=1e-5)
        assert rows[0]["Predicted label"] in FINDINGS


def test_runs_are_compared_on_the_same_images_at_the_same_cadence(findings):
    results = findings.folder / "results" / "findings"
    whole = pd.read_parquet(results / "splits/fluid/holdout/fold-1.parquet")
    test = set(whole.loc[whole["role"] == "test", "image_id"])
    for fold in (1, 2):
        split = pd.read_parquet(results / f"splits/fluid/random_subsample/fold-{fold}.parquet")
        assert set(split.loc[split["role"] == "shared_test", "image_id"]) == test
        history = pd.read_parquet(
            results / f"runs/fluid/random_subsample/fold-{fold}/seed-0/history.parquet"
        )
        watched = history[history["role"] == "shared_test"]["iteration"].tolist()
        assert watched == [2, 4] or watched[:-1] == list(range(2, 2 * len(watched), 2))


def test_a_recipe_is_compared_on_the_very_same_split(findings):
    splits = findings.folder / "results/findings/splits/fluid"
    own = (splits / "holdout/fold-1.parquet").read_bytes()
    assert (splits / "holdout_sgd/fold-1.parquet").read_bytes() == own
    assert (splits / "squeezed/fold-1.parquet").read_bytes() == own


def test_the_published_division_of_a_manifest_is_kept(findings):
    split = pd.read_parquet(
        findings.folder / "results/findings/splits/fluid/published/fold-1.parquet"
    )
    number = split["image_id"].str.extract(r"-(\d+)$")[0].astype(int)
    assert ((split["role"] == "test") == (number % 4 == 3)).all()
    assert set(split["role"]) == {"train", "test"}


def test_every_image_is_tested_once_over_the_folds(findings):
    folder = findings.folder / "results/findings/splits/fluid/kfold"
    folds = pd.concat(pd.read_parquet(folder / f"fold-{fold}.parquet") for fold in (1, 2))
    tested = folds[folds["role"] == "test"]["image_id"]
    assert tested.is_unique and len(tested) == folds["image_id"].nunique() == 28


def test_patients_stay_on_one_side_where_groups_are_kept(findings):
    for scheme in ("holdout", "honest", "kfold"):
        split = pd.read_parquet(
            findings.folder / f"results/findings/splits/fluid/{scheme}/fold-1.parquet"
        )
        assert (split.groupby("group")["role"].nunique() == 1).all(), scheme


def test_the_honest_design_kept_the_best_weights_of_its_validation_part(findings):
    run = findings.folder / "results/findings/runs/fluid/honest/fold-1/seed-0"
    history = pd.read_parquet(run / "history.parquet")
    validation = history[history["role"] == "validation"]
    log = findings.folder / "results/logs/findings/runs/fluid/honest/fold-1/seed-0/train.log"
    kept = int(re.search(r"kept the weights of iteration (\d+)", log.read_text("utf-8"))[1])
    assert kept == validation.loc[validation["loss"].idxmin(), "iteration"]
