"""Pictures that bear two labels: copies only, closest first."""

import pandas as pd
import pytest

from workflow_scripts.cxrcam.duplicates.conflicts import in_turn, label_conflicts


def pairs(*rows_: tuple[str, str, float, str]) -> pd.DataFrame:
    return pd.DataFrame(list(rows_), columns=["image_id_a", "image_id_b", "correlation", "kind"])


def test_conflicts_are_pairs_of_different_labels_closest_first():
    table = pairs(
        ("a", "1", 0.7, "re-encoded"),
        ("b", "2", 1.0, "exact"),
        ("c", "3", 1.0, "mirrored"),
        ("b", "1", 0.9, "re-encoded"),
        ("c", "2", 1.0, "exact"),
        ("a", "2", 0.6, "other_exposure"),
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
            source: pairs(*((f"a {name}", name, 0.9, "re-encoded") for name in ids)).assign(
                label_b="x"
            )
            for source, ids in names.items()
        }
    )
    assert found["image_id_b"].tolist() == ["o1", "n1", "o2", "o3"]
    assert found["data_set_b"].tolist() == ["own", "near", "own", "own"]
    assert in_turn({"own": pairs()}).empty
