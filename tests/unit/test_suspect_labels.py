"""Labels that the images speak against: the order, the count, copies, networks, the page."""

import numpy as np
import pandas as pd
import pytest

from workflow_scripts.cxrcam.audit.suspect_labels import (
    BY_TREES,
    COLUMNS,
    JUDGED,
    MOST_ROWS,
    copies_with_two_labels,
    judged_labels,
    network_probabilities,
    suspect_labels,
)
from workflow_scripts.cxrcam.duplicates.likeness import nearest
from workflow_scripts.cxrcam.report.audit_pages.labels import (
    MOST_PICTURES,
    Judged,
    Neighbour,
    drawn_suspects,
    neighbours_of,
    render_labels,
)
from workflow_scripts.cxrcam.report.tables import counted_labels

CLASSES = ["Normal", "COVID"]
NO_PAIRS = pd.DataFrame(columns=["image_id_a", "image_id_b", "kind"])


def judged(labels: list[str], covid: list[float], classes: list[str] = CLASSES) -> pd.DataFrame:
    told = np.array([[1 - p, p] + [0.0] * (len(classes) - 2) for p in covid])
    return judged_labels([f"i{k}" for k in range(len(labels))], labels, classes, told)


def test_a_flipped_label_comes_first_and_is_counted():
    labels = ["Normal"] * 6 + ["COVID"] * 6
    table = judged(labels, [0.1, 0.2, 0.8, 0.1, 0.2, 0.1, 0.9, 0.8, 0.9, 0.1, 0.8, 0.9])
    assert list(table.columns) == list(JUDGED)
    assert table["is_counted"].tolist() == [k in (2, 9) for k in range(12)]
    rows = suspect_labels(table, NO_PAIRS, {})
    assert rows["image_id"].tolist() == ["i9", "i2"]
    assert rows["label"].tolist() == ["COVID", "Normal"]
    assert rows["likelier_label"].tolist() == ["Normal", "COVID"]
    assert rows["probability"].tolist() == pytest.approx([0.1, 0.2])
    assert set(rows["reason"]) == {BY_TREES}


def test_a_rare_class_is_not_suspect_as_a_whole():
    # The forest hardly believes in it: its own images are at 0.3, the common ones at 0.95.
    labels = ["Normal"] * 20 + ["COVID"] * 4
    covid = [0.05] * 19 + [0.4] + [0.3, 0.3, 0.3, 0.3]
    rows = suspect_labels(judged(labels, covid), NO_PAIRS, {})
    assert rows["image_id"].tolist() == ["i19"]  # as COVID as images of COVID are
    assert rows["probability"].tolist() == pytest.approx([0.6])


def test_without_a_forest_nothing_is_judged_and_a_class_without_images_is_never_likelier():
    empty = judged_labels(["a", "b"], CLASSES, CLASSES, np.full((2, 2), np.nan))
    assert empty.empty and list(empty.columns) == list(JUDGED)
    assert suspect_labels(empty, NO_PAIRS, {}).empty
    table = judged(["Normal", "COVID"], [0.1, 0.9], [*CLASSES, "Viral Pneumonia"])
    assert "Viral Pneumonia" not in set(table["likelier_label"])


def test_at_most_so_many_are_listed():
    n = MOST_ROWS + 50
    table = judged(["Normal"] * 3 * n + ["COVID"] * n, [0.1] * 2 * n + [0.9] * n + [0.9] * n)
    assert len(suspect_labels(table, NO_PAIRS, {})) == MOST_ROWS


PAIRS = pd.DataFrame(
    [
        ("i1", "i8", "exact"),
        ("i0", "i1", "cropped"),
        ("i2", "i9", "other_exposure"),
        ("i3", "unread", "exact"),
        ("i0", "i2", "exact"),
    ],
    columns=["image_id_a", "image_id_b", "kind"],
)


def test_copies_with_two_labels_come_before_all_and_stand_once():
    labels = ["Normal"] * 6 + ["COVID"] * 6
    known = {f"i{k}": label for k, label in enumerate(labels)}
    copies = copies_with_two_labels(PAIRS, known)
    assert copies.values.tolist() == [
        ["i1", "Normal", "COVID", "its copy i8 is labelled COVID"],
        ["i8", "COVID", "Normal", "its copy i1 is labelled Normal"],
    ]
    table = judged(labels, [0.1, 0.9, 0.95, 0.1, 0.1, 0.1, *[0.9] * 6])
    # Of more images than are judged, copies are told all the same.
    rows = suspect_labels(table[table["image_id"] != "i8"], PAIRS, known)
    assert rows["image_id"].tolist() == ["i1", "i8", "i2"]
    assert rows["probability"].tolist()[0] == pytest.approx(0.1)
    assert np.isnan(rows["probability"].tolist()[1])


def test_networks_are_asked_for_the_label_given_and_averaged():
    runs = [
        pd.DataFrame(
            {"image_id": ["a", "b"], "probability_N": [0.2, 0.4], "probability_C": [0.8, 0.6]}
        ),
        pd.DataFrame(
            {"image_id": ["a", "x"], "probability_N": [0.4, 0.4], "probability_C": [0.6, 0.6]}
        ),
    ]
    told = network_probabilities(runs, pd.Series({"b": "C", "a": "N", "c": "C"}))
    assert told.index.tolist() == ["b", "a", "c"]
    assert told.tolist()[:2] == pytest.approx([0.6, 0.3]) and np.isnan(told["c"])
    assert network_probabilities([], pd.Series(dtype=str)).empty


def test_neighbours_are_the_most_alike_of_other_groups():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (5, 8, 8), dtype=np.uint8)
    pictures[1] = 255 - (255 - pictures[0]) // 2  # brighter, else the same
    pictures[2] = pictures[0]
    groups = ["p", "q", "p", "r", "s"]
    ((first, second),) = nearest(pictures[:1], pictures, groups[:1], groups, 2)
    assert first[0] == 1 and first[1] > 0.99  # not itself, nor its copy
    assert second[0] in (3, 4) and second[1] < 0.7
    assert nearest(pictures[:1], pictures[:1], ["p"], ["p"], 3) == [[]]


def suspects(n: int, task: str = "two") -> pd.DataFrame:
    row = (task, "<b>i</b>", "Normal", "COVID", 0.12345, np.nan, "its copy <i> is labelled COVID")
    return pd.DataFrame([row] * n, columns=[*COLUMNS]).assign(
        image_id=[f"<b>{k}</b>" for k in range(n)]
    )


def test_each_task_has_its_share_of_the_pictures_and_its_own_neighbours():
    both = pd.concat([suspects(50, "one"), suspects(50, "two")], ignore_index=True)
    shown = drawn_suspects(both)
    assert shown["task"].value_counts().to_dict() == dict.fromkeys(
        ("one", "two"), MOST_PICTURES // 2
    )
    assert shown["image_id"].tolist()[:2] == ["<b>0</b>", "<b>1</b>"]
    images = pd.DataFrame({"image_id": ["<b>0</b>", "n", "m"], "group": ["g", "h", "k"]})
    thumbnails = np.random.default_rng(1).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    labels = {"one": {"<b>0</b>": "Normal", "n": "COVID"}, "two": {"m": "Normal"}}
    first = both[both["image_id"] == "<b>0</b>"]
    found = neighbours_of(first, images, thumbnails, labels)
    assert [[(one.image_id, one.label) for one in those] for those in found] == [
        [("n", "COVID")],
        [("m", "Normal")],
    ]


def test_the_page_shows_pictures_labels_and_the_count_and_escapes_names():
    table = suspects(3)
    pixels = {name: np.full((40, 40), 90, np.uint8) for name in [*table["image_id"], "n<"]}
    neighbours = [[Neighbour("n<", "COVID", 0.91)], [], []]
    html = render_labels(
        *(
            table,
            table,
            neighbours,
            pixels,
            [Judged("two", 400, 14), Judged("few", 60, 20), Judged("none", 0, 0)],
        ),
        dataset="mine",
    )
    assert html.count("data:image/jpeg;base64,") == 4
    assert "<b>0</b>" not in html and "&lt;b&gt;0&lt;/b&gt;" in html
    assert "counts 14 of 400 labels as wrong" in html and "(3.5 %)" in html
    assert "60 images are too few to estimate" in html and "20 of 60" not in html
    assert "0.12 (trees)" in html and "networks" not in html
    assert "no forest could be grown" in html and "Nothing to look at" in html
    assert "datasets.mine.exclude" in html


def test_the_report_counts_where_there_are_enough_images():
    table = pd.DataFrame(
        {"task": ["two"] * 400 + ["few"] * 399, "is_counted": [True] * 5 + [False] * 794}
    )
    assert counted_labels(table) == [("two", 5, 400)]
