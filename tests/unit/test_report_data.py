"""The report on the data, and what it says that it does not hold."""

from pathlib import Path

import pandas as pd

from tests.unit.html_page import Page
from tests.unit.report_example import make_report
from workflow_scripts.cxrcam.report.tables import leaks_table, source_tables, splits_table

UNKNOWN = {"classes": ["A", "B"], "sources": [], "counts": [[], []]}


def words(file: Path) -> str:
    return " ".join("".join(Page(file).words).split())


def test_what_is_unknown_of_all_tasks_is_said_once_and_without_a_table(tmp_path: Path) -> None:
    unknown = UNKNOWN | {"verdict": "not assessable: the data set names no sources"}
    shown = words(make_report(tmp_path, sources=source_tables({"t": unknown, "u": unknown})))
    assert shown.count("Not assessable: the data set names no sources.") == 1
    assert "Images of each class by source" not in shown


def test_parts_of_every_division_stand_in_one_order() -> None:
    parts = ["test", "rest", "train", "validation"]
    table = pd.DataFrame({"label": "A", "group": range(4), "role": parts})
    splits = [{"task": "t", "scheme": "s", "fold": fold} for fold in (1, 2)]
    made = splits_table(splits, [table, table[::-1]], {"t": ["A"]})
    assert [row[3].text for row in made.rows] == ["train", "validation", "test", "rest"] * 2


def test_kinds_of_copies_are_written_in_words() -> None:
    row = {"task": "t", "scheme": "s", "fold": 1, "grouped": True, "role": "test", "n_images": 4}
    made = leaks_table(pd.DataFrame([row | {"kind": "other_exposure", "n_leaked": 1}]))
    assert made.columns[-1] == "Other exposure"


def test_images_that_stand_out_are_counted_in_words(tmp_path: Path) -> None:
    for n, said in (
        (0, "Every image looks like the X-rays beside it"),
        (1, "1 image does not look like the X-rays beside it"),
        (2, "2 images do not look like the X-rays beside them"),
    ):
        assert said in words(make_report(tmp_path / str(n), n_suspects=n))


def test_the_page_says_how_a_model_card_is_made(tmp_path: Path) -> None:
    shown = words(make_report(tmp_path, dataset="mine"))
    assert "snakemake export, with the settings of this study, writes" in shown
    assert "results/mine/export" in shown
