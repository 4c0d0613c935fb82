"""Two data sets: pairs across them only, every shared image told, labels compared."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from workflow_scripts.cxrcam.data.fingerprints import dhash256, pixel_sha256, thumbnail
from workflow_scripts.cxrcam.duplicates.across import (
    find_cross_duplicates,
    in_turn,
    label_conflicts,
)
from workflow_scripts.cxrcam.duplicates.search import find_duplicates


def picture(seed: int, side: int = 96) -> np.ndarray:
    """Structure at all scales, as in a radiograph."""
    generator = np.random.default_rng(seed)
    total = np.zeros((side, side))
    for coarse in (4, 8, 16, 32, 64):
        grid = Image.fromarray(generator.integers(0, 256, (coarse, coarse), dtype=np.uint8))
        total += np.asarray(grid.resize((side, side), Image.Resampling.BICUBIC), float) / coarse
    return np.interp(total, (total.min(), total.max()), (10, 240)).astype(np.uint8)


def darker(pixels: np.ndarray) -> np.ndarray:
    return (pixels * 0.9).astype(np.uint8)


def prints(pictures: list[np.ndarray]) -> tuple[list[str], np.ndarray, np.ndarray]:
    return (
        [pixel_sha256(pixels) for pixels in pictures],
        np.array([list(dhash256(pixels)) for pixels in pictures], np.uint8).reshape(-1, 32),
        np.array([thumbnail(pixels) for pixels in pictures], np.uint8).reshape(-1, 32, 32),
    )


def across(a: dict[str, np.ndarray], b: dict[str, np.ndarray], **criteria) -> pd.DataFrame:
    return find_cross_duplicates(
        list(a), *prints(list(a.values())), list(b), *prints(list(b.values())), **criteria
    )


def rows(table: pd.DataFrame) -> list[tuple[str, str, str]]:
    return list(zip(table["image_id_a"], table["image_id_b"], table["kind"], strict=True))


P = [picture(seed) for seed in range(6)]


def test_pairs_are_across_the_data_sets_only_and_of_every_kind():
    train = {"x": P[0], "x copy": P[0], "x darker": darker(P[0]), "y": P[1], "z": P[2], "w": P[3]}
    test = {
        **{"x again": P[0], "y mirrored": np.ascontiguousarray(P[1][:, ::-1])},
        **{"z inverted": 255 - P[2], "new": P[4], "new darker": darker(P[4])},
    }
    table = across(train, test)
    assert rows(table) == [
        ("x", "x again", "exact"),
        ("x copy", "x again", "exact"),
        ("x darker", "x again", "near"),
        ("y", "y mirrored", "mirrored"),
        ("z", "z inverted", "inverted"),
    ]
    assert table["distance"].dtype == np.int64 and table["correlation"].dtype == np.float32


def test_the_same_name_in_both_data_sets_is_no_confusion():
    table = across({"1": P[0], "2": P[1]}, {"1": P[1], "2": P[2]})
    assert rows(table) == [("2", "1", "exact")]


def test_exchanging_the_data_sets_exchanges_the_columns():
    a = {"a0": P[0], "a1": darker(P[1]), "a2": P[1]}
    b = {"b0": P[1], "b1": np.ascontiguousarray(P[0][:, ::-1]), "b2": P[5]}
    forth = {(x, y, kind) for x, y, kind in rows(across(a, b))}
    assert forth == {(y, x, kind) for x, y, kind in rows(across(b, a))} and len(forth) == 3


FINGERPRINTS = prints([p for k in range(4) for p in (P[k], darker(P[k]))])


@given(
    st.lists(st.integers(0, 7), min_size=1, max_size=9),
    st.lists(st.integers(0, 7), min_size=1, max_size=9),
)
@settings(max_examples=25)
def test_it_is_the_search_of_both_together_less_the_pairs_within(first, second):
    def chosen(numbers):
        sha, dhash, small = FINGERPRINTS
        return [sha[k] for k in numbers], dhash[numbers], small[numbers]

    a, b = [f"a{k}" for k in range(len(first))], [f"b{k}" for k in range(len(second))]
    together = find_duplicates(a + b, *chosen(first + second))
    expected = together[
        together["image_id_a"].str.startswith("a") & together["image_id_b"].str.startswith("b")
    ].reset_index(drop=True)
    found = find_cross_duplicates(a, *chosen(first), b, *chosen(second))
    pd.testing.assert_frame_equal(found, expected)


def test_no_image_with_a_twin_is_left_out_however_many_copies_there_are():
    sha, dhash, small = prints([P[0], darker(P[0]), P[1]])
    a, b = [0] * 300 + [2], [1] * 250 + [0] * 250

    def take(numbers):
        return [sha[k] for k in numbers], dhash[numbers], small[numbers]

    names = [str(k) for k in range(500)]
    table = find_cross_duplicates(names[:301], *take(a), names, *take(b))
    assert len(table) == (300 + 250 - 1) * 2
    assert set(table["image_id_a"]) == set(names[:300])
    assert set(table["image_id_b"]) == set(names)
    assert not table.duplicated(["image_id_a", "image_id_b"]).any()


def test_criteria_are_passed_on():
    mirror = {"m": np.ascontiguousarray(P[0][:, ::-1])}
    assert len(across({"x": P[0]}, mirror, kinds=["near"])) == 0
    noisy = P[0] + np.random.default_rng(0).integers(0, 15, P[0].shape).astype(np.uint8)
    assert len(across({"x": P[0]}, {"n": noisy}, kinds=["near"])) == 1
    assert len(across({"x": P[0]}, {"n": noisy}, kinds=["near"], minimum_correlation=0.999)) == 0


def test_an_empty_data_set_shares_nothing():
    assert list(across({}, {"x": P[0]}).columns) == list(across({"x": P[0]}, {"x": P[0]}).columns)
    assert len(across({}, {})) == len(across({"x": P[0]}, {})) == 0


def test_unequal_numbers_and_repeated_names_are_told():
    sha, dhash, small = prints(P[:2])
    with pytest.raises(ValueError, match="second data set has 1, 2, 2, 2 ids"):
        find_cross_duplicates(["a", "b"], sha, dhash, small, ["c"], sha, dhash, small)
    with pytest.raises(ValueError, match="first data set has image id 'a' twice"):
        find_cross_duplicates(["a", "a"], sha, dhash, small, ["c", "d"], sha, dhash, small)


# --- labels ---------------------------------------------------------------------------------------


def pairs(*rows_: tuple[str, str, float, str]) -> pd.DataFrame:
    return pd.DataFrame(list(rows_), columns=["image_id_a", "image_id_b", "correlation", "kind"])


def test_conflicts_are_pairs_of_different_labels_closest_first():
    table = pairs(
        ("a", "1", 0.7, "near"),
        ("b", "2", 1.0, "exact"),
        ("c", "3", 1.0, "mirrored"),
        ("b", "1", 0.9, "near"),
        ("c", "2", 1.0, "exact"),
    )
    conflicts = label_conflicts(
        table,
        {"a": "COVID", "b": "COVID", "c": "Normal"},
        {"1": "Normal", "2": "Normal", "3": "Viral"},
    )
    assert conflicts[["image_id_a", "image_id_b", "label_a", "label_b"]].values.tolist() == [
        ["b", "2", "COVID", "Normal"],
        ["c", "3", "Normal", "Viral"],
        ["b", "1", "COVID", "Normal"],
        ["a", "1", "COVID", "Normal"],
    ]
    assert "label_a" not in table.columns


def test_equal_labels_are_no_conflict():
    conflicts = label_conflicts(pairs(("a", "b", 1.0, "exact")), {"a": "X"}, {"b": "X"})
    assert conflicts.empty and {"label_a", "label_b"} <= set(conflicts.columns)
    assert label_conflicts(pairs(), {}, {}).empty


def test_an_image_without_label_is_named():
    with pytest.raises(ValueError, match="image 'b' of the pairs"):
        label_conflicts(pairs(("a", "b", 1.0, "exact")), {"a": "X"}, {"a": "X"})


def test_conflicts_of_several_data_sets_take_turns():
    names = {"own": ["o1", "o2", "o3"], "far": [], "near": ["n1"]}
    found = in_turn(
        {
            source: pairs(*((f"a {name}", name, 0.9, "near") for name in ids)).assign(label_b="x")
            for source, ids in names.items()
        }
    )
    assert found["image_id_b"].tolist() == ["o1", "n1", "o2", "o3"]
    assert found["data_set_b"].tolist() == ["own", "near", "own", "own"]
    assert in_turn({"own": pairs()}).empty
