"""What the sets of `make benchmark-audit` hold: were it not there, nobody could find it."""

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from benchmarks.planted_sets import MANIFEST, TIES, TWINS, write_set
from benchmarks.planted_truth import PLANTED, in_words, summary

N = 20  # images a class


def made(folder: Path, kind: str) -> tuple[pd.DataFrame, set[str]]:
    wrong = write_set(folder, kind, 0, N)
    return pd.read_csv(folder / MANIFEST), wrong


@pytest.mark.parametrize(
    "kind, column, of_class", [("view", "view", ("PA", "AP")), ("source", "source", ("A", "B"))]
)
def test_column_follows_the_class_where_it_is_planted_and_else_does_not(
    tmp_path, kind, column, of_class
):
    for planted, least, most in ((kind, 0.8, 1.0), ("clean", 0.3, 0.7)):
        table, wrong = made(tmp_path / planted, planted)
        expected = table["label"].map(dict(zip(("Normal", "COVID"), of_class, strict=True)))
        assert least <= (table[column] == expected).mean() <= most
        assert not wrong


def test_covid_are_children_and_no_column_tells_it_of_the_hidden_size(tmp_path):
    told, _ = made(tmp_path / "age", "age")
    assert (told["age"] < 18).groupby(told["label"]).mean().to_dict() == pytest.approx(
        {"COVID": 0.95, "Normal": 0.05}, abs=0.1
    )
    hidden, _ = made(tmp_path / "size", "size")
    assert "age" not in hidden
    name = told["path"].iloc[-1]
    assert (tmp_path / "age" / name).read_bytes() == (tmp_path / "size" / name).read_bytes()


def test_wrong_labels_are_those_of_the_other_class(tmp_path):
    for kind in ("flipped", "slice"):
        table, wrong = made(tmp_path / kind, kind)
        shows = table["path"].str.startswith("COVID").map({True: "COVID", False: "Normal"})
        assert {Path(path).stem for path in table["path"][shows != table["label"]]} == wrong
        assert len(wrong) == 2 and len(table) == table["path"].nunique() == 2 * N
    rare = table[table["path"].str.contains("Effusion")]
    assert rare["label"].value_counts().to_dict() == {"COVID": 2, "Normal": 2}


def test_twins_show_an_image_of_the_other_class(tmp_path):
    table, _ = made(tmp_path, "twins")
    label = table.set_index("path")["label"]
    twins = [path for path in label.index if path.startswith("twin-")]
    assert len(twins) == 2 * TWINS
    for twin in twins:
        original = twin.removeprefix("twin-").replace(".jpg", ".png")
        assert label[twin] != label[original]
        sizes = [Image.open(tmp_path / name).size for name in (twin, original)]
        assert sizes[0] == sizes[1]


def test_everything_tied_is_looked_for():
    assert {*TIES} <= {*PLANTED}


def test_summary_parts_right_checks_from_others():
    rows = [("view", "class by column: view", "x"), ("view", "", "x"), ("view", "", "")]
    table = pd.DataFrame([*rows, ("clean", "", "x")], columns=["planted", "found by", "alarms"])
    counted = summary(table).loc["view"]
    assert [counted[name][0] for name in ("right check", "by another only", "missed")] == [*"111"]
    assert counted["other alarms"] == in_words(2, 3) == "2 (0.21-0.94)"
    assert summary(table).loc["clean", "any alarm"] == in_words(1, 1)
