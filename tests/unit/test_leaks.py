"""Leaks across a split: each kind counted once, identical copies as one, nothing left unsaid."""

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from workflow_scripts.cxrcam.audit.leaks import ANY_DUPLICATE, PATIENT, leaks_in_words
from workflow_scripts.cxrcam.audit.leaks import split_leaks as leaks_of_split
from workflow_scripts.cxrcam.terms import DUPLICATE_KINDS, OTHER_EXPOSURE


def pairs(*rows):
    return pd.DataFrame(list(rows), columns=["image_id_a", "image_id_b", "kind"]).astype("str")


def split(**roles):
    """Names and roles from ``train="ab"``: one letter an image."""
    names = [name for group in roles.values() for name in group]
    return names, [role for role, group in roles.items() for _ in group]


def split_leaks(names, roles, table, patients=None):
    return leaks_of_split(names, roles, table, patients or [None] * len(names))


def found(result, role, kind):
    (row,) = [row for row in result if (row.role, row.kind) == (role, kind)]
    return row.n_leaked


def test_each_kind_is_counted_and_an_image_with_two_twins_once_under_any():
    result = split_leaks(
        *split(train="abc", validation="de", test="fghi"),
        pairs(
            ("a", "f", "exact"),
            ("f", "b", "re-encoded"),
            ("g", "c", "mirrored"),
            ("d", "a", "re-encoded"),
        ),
    )
    test = {row.kind: row.n_leaked for row in result if row.role == "test"}
    assert test == {
        **dict.fromkeys(DUPLICATE_KINDS, 0),
        "exact": 1, "re-encoded": 1, "mirrored": 1, ANY_DUPLICATE: 2, PATIENT: None,
    }  # fmt: skip
    assert (
        found(result, "validation", "re-encoded") == found(result, "validation", ANY_DUPLICATE) == 1
    )
    (row,) = [r for r in result if (r.role, r.kind) == ("test", ANY_DUPLICATE)]
    assert (row.n_images, row.share) == (4, 0.5)
    assert "LEAK, 2 of 4 images (50.0%)" in leaks_in_words(result)
    assert "(1 exact, 1 re-encoded, 1 mirrored)" in leaks_in_words(result)


def test_another_exposure_in_train_leaks_the_patient_and_is_no_copy():
    result = split_leaks(*split(train="ab", test="cd"), pairs(("a", "c", OTHER_EXPOSURE)))
    assert found(result, "test", OTHER_EXPOSURE) == found(result, "test", PATIENT) == 1
    assert found(result, "test", ANY_DUPLICATE) == 0
    assert "none of 2 images has a copy in train" in leaks_in_words(result)
    assert "1 of 1 images (100.0%) are of a train patient" in leaks_in_words(result)


def test_twins_within_one_part_or_with_unused_images_are_no_leak():
    result = split_leaks(
        *split(train="ab", test="cd", unused="e", validation="f"),
        pairs(
            ("a", "b", "exact"),
            ("c", "d", "re-encoded"),
            ("c", "e", "re-encoded"),
            ("f", "d", "exact"),
        ),
        ["1", "1", "2", "2", "3", "4"],
    )
    assert "LEAK" not in leaks_in_words(result)
    assert found(result, "test", PATIENT) == 0


def test_a_chain_through_an_image_of_no_part_links_identical_images_only():
    names, roles = split(train="a", test="c")
    exact = pairs(("a", "x", "exact"), ("x", "c", "exact"))
    near = pairs(("a", "x", "re-encoded"), ("x", "c", "re-encoded"))
    assert found(split_leaks(names, roles, exact), "test", "exact") == 1
    assert found(split_leaks(names, roles, near), "test", "re-encoded") == 0


def test_a_near_copy_of_an_image_is_one_of_all_its_identical_copies():
    # Large groups of identical images are paired with their first only.
    result = split_leaks(
        *split(train="b", test="c"), pairs(("a", "b", "exact"), ("a", "c", "re-encoded"))
    )
    assert found(result, "test", "re-encoded") == 1
    assert found(result, "test", "exact") == 0


def test_the_count_equals_a_search_image_by_image():
    rng = np.random.default_rng(0)
    names = np.array([f"i{k}" for k in range(120)])
    roles = rng.choice(["train", "validation", "test", "unused"], 120, p=[0.5, 0.1, 0.3, 0.1])
    ends = np.sort(np.array([rng.choice(120, 2, replace=False) for _ in range(60)]), axis=1)
    kinds = rng.choice(["re-encoded", "mirrored", "inverted"], 60)
    table = pd.DataFrame(
        {"image_id_a": names[ends[:, 0]], "image_id_b": names[ends[:, 1]], "kind": kinds}
    )
    result = split_leaks(names.tolist(), roles.tolist(), table)
    for role in ("test", "validation"):
        for kind in ("re-encoded", "mirrored", "inverted", ANY_DUPLICATE):
            leaked = set()
            for (a, b), of_kind in zip(ends, kinds, strict=True):
                for one, twin in ((a, b), (b, a)):
                    if roles[one] == role and roles[twin] == "train":
                        leaked |= {one} if kind in (of_kind, ANY_DUPLICATE) else set()
            assert found(result, role, kind) == len(leaked)


def test_patients_count_among_images_that_name_theirs():
    result = split_leaks(
        *split(train="abc", test="defg"), pairs(), ["p", None, "", "p", "q", None, " "]
    )
    (row,) = [row for row in result if (row.role, row.kind) == ("test", PATIENT)]
    assert (row.n_images, row.n_leaked, row.share) == (2, 1, 0.5)
    assert "are of a train patient" in leaks_in_words(result)


@pytest.mark.parametrize(
    ("parts", "table", "patients", "reason"),
    [
        ({"train": "a", "test": "b"}, pairs(), None, "names no patients"),
        ({"train": "a", "test": "b"}, pairs(), [None, "2"], "no train image names its patient"),
        ({"train": "a", "test": "b"}, pairs(), ["1", None], "no test image names its patient"),
        ({"train": "ab"}, pairs(), ["1", "2"], "the split has no test images"),
    ],
)
def test_what_cannot_be_told_has_a_reason_and_no_number(parts, table, patients, reason):
    result = split_leaks(*split(**parts), table, patients)
    assert any(reason in (row.reason or "") and row.n_leaked is None for row in result)
    assert reason in leaks_in_words(result)
    assert all((row.n_leaked is None) == (row.reason is not None) for row in result)
    json.dumps([asdict(row) for row in result], allow_nan=False)
