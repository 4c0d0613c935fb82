"""Divisions of images with several findings: each part has its share of each, groups stay whole."""

from collections.abc import Callable

import numpy as np
import pytest

from workflow_scripts.cxrcam.data.splits import SplitError
from workflow_scripts.cxrcam.data.stratification import assign_roles_by_findings, deal_parts
from workflow_scripts.cxrcam.seeds import generator

SHARES = [0.7, 0.2, 0.1]
PREVALENCE = [0.3, 0.1, 0.03, 0.01]
N = 2000
LABELS = ["Infiltration", "Mass", "Pneumonia", "Hernia"]
HOLDOUT = {"kind": "holdout", "test_fraction": 0.2, "validation_fraction": 0.1}


def patients(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Findings of images, those of one patient alike more often than not, and their patients."""
    rng = np.random.default_rng(seed)
    groups = np.sort(rng.integers(0, N // 2, N))
    of_patient = rng.random((N // 2, len(PREVALENCE))) < PREVALENCE
    return of_patient[groups] & (rng.random((N, len(PREVALENCE))) < 0.8), groups


def keyed(seed: int = 0) -> Callable[[str | int], np.random.Generator]:
    return lambda part: generator(seed, "split", "task", "scheme", part)


def roles_of(known, groups, scheme=HOLDOUT, fold=1, seed=0, given=()):
    labels = LABELS[: known.shape[1]]
    known = known.astype(np.float32)
    return assign_roles_by_findings(known, groups, labels, scheme, fold, keyed(seed), given)


def crossing(parts: np.ndarray, groups: np.ndarray) -> int:
    """Groups that have images in more than one part."""
    return sum(len(set(parts[groups == group])) > 1 for group in np.unique(groups))


def largest_error(members: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """By finding: how far a part's number of images is from its share, at most."""
    counts = np.array([members[parts == part].sum(axis=0) for part in range(len(SHARES))])
    return np.abs(counts - np.outer(SHARES, members.sum(axis=0))).max(axis=0)


@pytest.mark.parametrize("seed", range(5))
def test_each_part_has_its_share_of_each_finding_the_rarest_too(seed):
    members, groups = patients(seed)
    parts = deal_parts(members, groups, SHARES, np.random.default_rng(seed))
    assert crossing(parts, groups) == 0
    # To a few images, of 20 to 600; a patient's images count together.
    assert (largest_error(members, parts) <= 3).all()
    np.testing.assert_allclose(np.bincount(parts) / N, SHARES, atol=0.005)


def test_shares_are_nearer_than_those_of_a_division_by_chance():
    by_chance, dealt = [], []
    for seed in range(20):
        members, groups = patients(seed)
        rng = np.random.default_rng(seed)
        drawn = rng.choice(len(SHARES), N // 2, p=SHARES)[groups]
        by_chance.append(largest_error(members, drawn))
        dealt.append(largest_error(members, deal_parts(members, groups, SHARES, rng)))
    assert (np.mean(dealt, axis=0) < np.mean(by_chance, axis=0) / 2).all()


def test_a_division_depends_on_its_generator_only():
    members, groups = patients()
    first, again, other = (
        deal_parts(members, groups, SHARES, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_images_without_a_finding_are_dealt_like_one():
    members = np.zeros((100, 2), dtype=bool)
    members[:10, 0] = True
    parts = deal_parts(members, np.arange(100), [0.5, 0.5], np.random.default_rng(0))
    assert np.bincount(parts[10:]).tolist() == [45, 45]
    assert np.bincount(parts[:10]).tolist() == [5, 5]


def test_nothing_to_divide_is_divided():
    empty = np.zeros((0, 2), dtype=bool), np.zeros(0, dtype=np.int64)
    assert len(deal_parts(*empty, [0.5, 0.5], np.random.default_rng(0))) == 0


# --- roles ----------------------------------------------------------------------------------------


def test_parts_have_the_sizes_of_the_scheme():
    members, groups = patients()
    roles = roles_of(members, groups)
    shares = [np.mean(roles == role) for role in ("train", "test", "validation")]
    np.testing.assert_allclose(shares, SHARES, atol=0.005)
    assert crossing(roles, groups) == 0
    without = roles_of(members, groups, {**HOLDOUT, "validation_fraction": 0.0})
    assert set(without) == {"train", "test"}
    assert np.mean(without == "test") == pytest.approx(0.2, abs=0.005)


@pytest.mark.parametrize("validation", [0.0, 0.1])
def test_folds_test_each_image_once(validation):
    members, groups = patients()
    scheme = {"kind": "stratified_kfold", "folds": 5, "validation_fraction": validation}
    folds = [roles_of(members, groups, scheme, fold) for fold in range(1, 6)]
    tested = np.array([roles == "test" for roles in folds])
    assert (tested.sum(axis=0) == 1).all()
    for roles in folds:
        assert crossing(roles, groups) == 0
        assert np.mean(roles == "validation") == pytest.approx(validation, abs=0.005)
        for column in members.T:
            assert np.mean(roles[column] == "test") == pytest.approx(0.2, abs=0.06)


def test_entries_that_are_not_known_are_dealt_as_absent_and_roles_are_repeatable():
    members, groups = patients()
    known = np.where(members, 1.0, 0.0)
    known[::7, 0] = np.nan
    roles = roles_of(known, groups)
    assert np.array_equal(roles, roles_of(np.nan_to_num(known), groups))
    assert not np.array_equal(roles, roles_of(known, groups, seed=1))


def test_parts_that_the_data_set_brings_are_taken():
    members, _ = patients()
    given = ["Train", "test", "val", ""] * (N // 4)
    roles = roles_of(members, np.arange(N), {"kind": "predefined"}, given=given)
    assert roles[:4].tolist() == ["train", "test", "validation", "unused"]


@pytest.mark.parametrize(
    ("known", "given", "words"),
    [
        ([1, 0, 0, 0], "train train test test", "test part of fold 1 is with the finding 'Mass'"),
        ([0, 0, 1, 0], "train train test test", "train part of fold 1 is with the finding 'Mass'"),
        ([1, 0, 1, 1], "train train test test", "test part of fold 1 is without the finding"),
        (
            [1, np.nan, 1, 0],
            "train train test test",
            r"train part of fold 1 is without the finding 'Mass' \(1 in all\)",
        ),
    ],
)
def test_a_finding_that_a_part_lacks_is_named(known, given, words):
    first = [1.0, 0.0, 1.0, 0.0]
    table = np.column_stack([first, known])
    with pytest.raises(SplitError, match=f"No image of the {words}"):
        roles_of(table, np.arange(4), {"kind": "predefined"}, given=given.split())
