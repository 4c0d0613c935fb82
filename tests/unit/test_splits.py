"""Splits: complete, disjoint, stratified to the image, and no group on two sides."""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from workflow_scripts.cxrcam.contracts import SPLIT
from workflow_scripts.cxrcam.data.splits import (
    SplitError,
    assign_roles,
    deal_folds,
    draw_part,
    numbered,
    part_size,
)
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.seeds import generator

ENTRY_SCRIPT = Path(__file__).parents[2] / "workflow_scripts" / "splits.py"
CLASSES = ("Normal", "COVID", "Viral Pneumonia")
HOLDOUT = {"kind": "holdout", "test_fraction": 0.2}
KFOLD = {"kind": "stratified_kfold", "folds": 3}
SUBSAMPLE = {"kind": "random_subsample", "images_per_class": 10, "test_fraction": 0.2}
VALIDATED = {"validation_fraction": 0.15}


def keyed(seed: int = 0, task: str = "task", scheme: str = "scheme") -> Callable:
    """Generators as the entry script makes them."""
    return lambda part: generator(seed, "split", task, scheme, part)


def divide(labels, groups, scheme, fold=1, rng_of=None, given=()) -> np.ndarray:
    labels = np.asarray(labels)
    groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
    classes = CLASSES[: max(2, labels.max() + 1)]
    return assign_roles(labels, groups, classes, scheme, fold, rng_of or keyed(), given)


def balanced(*sizes: int) -> np.ndarray:
    """Labels of classes of these sizes."""
    return np.repeat(np.arange(len(sizes)), sizes)


def count(roles: np.ndarray, labels: np.ndarray, role: str) -> list[int]:
    return np.bincount(labels[roles == role], minlength=labels.max() + 1).tolist()


def crossing(roles: np.ndarray, groups: np.ndarray) -> set[int]:
    """Groups that have images in more than one part."""
    used = roles != "unused"
    parts = {g: set(roles[used & (groups == g)]) for g in np.unique(groups)}
    return {int(g) for g, roles_of_group in parts.items() if len(roles_of_group) > 1}


labels_lists = st.lists(st.integers(15, 50), min_size=2, max_size=3).map(lambda n: balanced(*n))
seeds = st.integers(0, 2**32 - 1)


@st.composite
def grouped_images(draw) -> tuple[np.ndarray, np.ndarray]:
    """Labels and groups: mostly single images, some groups of up to four, not all of one class."""
    labels = draw(labels_lists)
    rng = np.random.default_rng(draw(seeds))
    groups = np.arange(len(labels))
    for _ in range(draw(st.integers(0, 12))):
        members = rng.choice(len(labels), rng.integers(2, 5), replace=False)
        groups[members] = groups[members[0]]
    return labels, groups


# --- disjoint, complete, stratified ---------------------------------------------------------------


@given(labels_lists, seeds, st.sampled_from([0.0, 0.1, 0.15]))
def test_a_holdout_uses_every_image_once_and_is_stratified_to_the_image(labels, seed, validation):
    scheme = {**HOLDOUT, "validation_fraction": validation}
    roles = divide(labels, None, scheme, rng_of=keyed(seed))
    sizes = np.bincount(labels)
    assert set(roles) <= {"train", "validation", "test"}
    assert count(roles, labels, "test") == [part_size(n, 0.2) for n in sizes]
    assert count(roles, labels, "validation") == [part_size(n, validation) for n in sizes]


@given(labels_lists, seeds, st.integers(2, 5))
def test_folds_test_every_image_once_and_differ_by_one_image_a_class_at_most(labels, seed, folds):
    scheme = {"kind": "stratified_kfold", "folds": folds}
    roles = [divide(labels, None, scheme, f, keyed(seed)) for f in range(1, folds + 1)]
    assert (sum((r == "test").astype(int) for r in roles) == 1).all()
    counts = np.array([count(r, labels, "test") for r in roles])
    assert (counts.max(axis=0) - counts.min(axis=0) <= 1).all()
    assert all(set(r) == {"train", "test"} for r in roles)


@given(labels_lists, seeds, st.integers(5, 15))
def test_a_subsample_draws_exactly_as_many_images_a_class_as_asked(labels, seed, per_class):
    scheme = {**SUBSAMPLE, "images_per_class": per_class}
    roles = divide(labels, None, scheme, rng_of=keyed(seed))
    n_test = part_size(per_class, 0.2)
    for number in range(labels.max() + 1):
        of_class = roles[labels == number]
        assert (of_class == "test").sum() == n_test
        assert (of_class == "train").sum() == per_class - n_test
        assert (of_class == "unused").sum() == len(of_class) - per_class


@given(labels_lists, seeds, st.sampled_from([HOLDOUT, KFOLD, SUBSAMPLE]))
def test_a_validation_part_comes_out_of_train_stratified_and_leaves_test_as_it_was(
    labels, seed, scheme
):
    without = divide(labels, None, scheme, rng_of=keyed(seed))
    roles = divide(labels, None, {**scheme, **VALIDATED}, rng_of=keyed(seed))
    assert ((roles == "test") == (without == "test")).all()
    assert set(without[roles == "validation"]) == {"train"}
    sizes = np.bincount(labels[roles != "unused"])
    assert count(roles, labels, "validation") == [part_size(n, 0.15) for n in sizes]


@pytest.mark.parametrize(
    ("n_images", "fraction", "size"),
    [(300, 0.1, 30), (5, 0.1, 1), (4, 0.1, 0), (25, 0.1, 3), (24, 0.1, 2), (10, 0.0, 0)],
)
def test_parts_are_rounded_half_up(n_images, fraction, size):
    assert part_size(n_images, fraction) == size


# --- groups ---------------------------------------------------------------------------------------


@given(grouped_images(), seeds, st.sampled_from([HOLDOUT, KFOLD, SUBSAMPLE]), st.booleans())
def test_duplicates_never_cross_a_split(images, seed, scheme, validated):
    labels, groups = images
    try:
        roles = divide(
            labels, groups, {**scheme, **(VALIDATED if validated else {})}, rng_of=keyed(seed)
        )
    except SplitError:
        assume(False)
    assert crossing(roles, groups) == set()


def test_without_groups_duplicates_do_cross_which_is_why_there_are_groups():
    labels = balanced(50, 50)
    groups = np.arange(100) // 2
    assert crossing(divide(labels, None, HOLDOUT), groups) != set()
    assert crossing(divide(labels, groups, HOLDOUT), groups) == set()


@given(grouped_images(), seeds, st.sampled_from([0.0, 0.1]))
def test_groups_cost_no_balance_where_single_images_can_fill_the_rest(images, seed, validation):
    labels, groups = images
    sizes = np.bincount(labels)
    single = np.bincount(groups, minlength=len(groups))[groups] == 1
    wanted = [part_size(n, 0.2) for n in sizes]
    held_out = [part_size(n, validation) for n in sizes]
    assume((np.bincount(labels[single], minlength=len(sizes)) >= np.add(wanted, held_out)).all())
    scheme = {**HOLDOUT, "validation_fraction": validation}
    roles = divide(labels, groups, scheme, rng_of=keyed(seed))
    assert count(roles, labels, "test") == wanted
    assert count(roles, labels, "validation") == held_out


@given(grouped_images(), seeds)
def test_grouped_folds_test_every_image_once_and_stay_balanced(images, seed):
    labels, groups = images
    n_classes = int(labels.max()) + 1
    fold = deal_folds(labels, groups, n_classes, 3, np.random.default_rng(seed))
    assert len(fold) == len(labels)
    assert set(fold) == {0, 1, 2}
    counts = np.stack([np.bincount(labels[fold == k], minlength=n_classes) for k in range(3)])
    # Groups have at most four images; merged ones (drawn twice) may be larger.
    largest = np.bincount(groups).max()
    assert (counts.max(axis=0) - counts.min(axis=0) <= largest).all()


@pytest.mark.parametrize("seed", range(5))
def test_single_images_even_out_what_groups_leave_uneven_in_folds(seed):
    # Of each class five groups of four, which three folds cannot share, and thirty single images.
    labels = np.concatenate([balanced(20, 20), balanced(30, 30)])
    groups = np.concatenate([np.arange(40) // 4, np.arange(40, 100)])
    fold = deal_folds(labels, groups, 2, 3, np.random.default_rng(seed))
    counts = np.stack([np.bincount(labels[fold == k], minlength=2) for k in range(3)])
    assert set(counts.ravel()) == {16, 17}
    assert all(len(set(fold[groups == g])) == 1 for g in range(10))


def chance_of_test(groups: np.ndarray, n_test: int, draws: int) -> np.ndarray:
    """How often each image is drawn into a test part, of one class."""
    labels = np.zeros(len(groups), dtype=np.int64)
    drawn = [
        draw_part(labels, groups, [n_test], ["x"], generator(0, "chance", k)) for k in range(draws)
    ]
    return np.mean(drawn, axis=0)


def test_every_group_has_the_same_chance_to_be_tested_whatever_its_size():
    # 40 groups of 3 and 480 single images, a test part of 120 of 600: one in five.
    groups = np.concatenate([np.repeat(np.arange(40), 3), np.arange(40, 520)])
    chance = chance_of_test(groups, 120, 400)
    # Standard error of the mean over 40 groups and 400 draws: 0.003.
    assert chance[:120].mean() == pytest.approx(0.2, abs=0.012)
    assert chance[120:].mean() == pytest.approx(0.2, abs=0.012)


def test_a_group_that_is_large_beside_the_part_has_the_chance_that_the_docstring_says():
    groups = np.concatenate([np.zeros(5, dtype=np.int64), np.arange(1, 96)])
    chance = chance_of_test(groups, 10, 2000)
    assert chance[0] / chance[5:].mean() == pytest.approx(1 - 4 / 10, abs=0.12)


# --- keyed generators -----------------------------------------------------------------------------


def test_the_same_keys_draw_the_same_split():
    labels = balanced(30, 30)
    for scheme in (HOLDOUT, KFOLD, SUBSAMPLE):
        assert (divide(labels, None, scheme) == divide(labels, None, scheme)).all()


@pytest.mark.parametrize("other", [keyed(seed=1), keyed(task="other"), keyed(scheme="other")])
def test_another_seed_task_or_scheme_draws_another_split(other):
    labels = balanced(30, 30)
    for scheme in (HOLDOUT, KFOLD, SUBSAMPLE):
        assert (divide(labels, None, scheme) != divide(labels, None, scheme, rng_of=other)).any()


def test_repeats_differ_and_another_one_leaves_the_others_untouched():
    labels = balanced(30, 30)
    three = [divide(labels, None, {**SUBSAMPLE, "repeats": 3}, f) for f in (1, 2, 3)]
    # The other way round, so that a shared generator would be noticed.
    four = [divide(labels, None, {**SUBSAMPLE, "repeats": 4}, f) for f in (4, 3, 2, 1)][::-1]
    for before, after in zip(three, four, strict=False):
        assert (before == after).all()
    assert len({roles.tobytes() for roles in four}) == 4


def test_folds_are_one_deal_in_whatever_order_their_jobs_run():
    labels = balanced(30, 30)
    forward = [divide(labels, None, KFOLD, fold) for fold in (1, 2, 3)]
    backward = [divide(labels, None, KFOLD, fold) for fold in (3, 2, 1)][::-1]
    assert np.array_equal(forward, backward)


# --- predefined -----------------------------------------------------------------------------------


def test_predefined_roles_are_the_manifests_in_any_spelling():
    labels = balanced(4, 4)
    given = ["train", " Training", "TEST", "val", "train", "validation", "test ", None]
    roles = divide(labels, None, {"kind": "predefined"}, given=given)
    assert roles.tolist() == [
        *("train", "train", "test", "validation", "train", "validation", "test", "unused"),
    ]


def test_an_unknown_predefined_role_is_named():
    labels = balanced(2, 2)
    with pytest.raises(SplitError, match=r"'holdout'; known are train, validation, test"):
        divide(labels, None, {"kind": "predefined"}, given=["train", "holdout", "train", "test"])


def test_a_manifest_without_roles_is_sent_to_its_split_column():
    with pytest.raises(SplitError, match=r"no image in the train part.*column `split`"):
        divide(balanced(2, 2), None, {"kind": "predefined"}, given=[None, None, "", " "])


# --- what cannot be done --------------------------------------------------------------------------


def refusal(labels, groups, scheme, fold=1, **kwargs) -> str:
    with pytest.raises(SplitError) as caught:
        divide(labels, groups, scheme, fold, **kwargs)
    assert isinstance(caught.value, InputError)
    return str(caught.value)


def test_a_group_larger_than_the_part_is_named_with_both_sizes_and_the_way_out():
    labels = balanced(10, 10)
    groups = np.concatenate([np.arange(10), np.full(10, 10)])
    message = refusal(labels, groups, HOLDOUT)
    for words in ("Fold 1", "holdout", "'COVID'", "part of 2", "has 10", "grouped: false"):
        assert words in message


def test_a_class_without_readable_images_is_named():
    for scheme in (HOLDOUT, KFOLD):
        message = refusal(balanced(10, 0, 10), None, scheme)
        for words in ("Class 'COVID'", "fold 1", "0 readable images", "Use more images"):
            assert words in message


def test_fewer_images_than_a_subsample_draws_is_said_with_both_numbers():
    message = refusal(balanced(30, 9), None, SUBSAMPLE)
    for words in ("'COVID'", "9 readable", "images_per_class: 10", "random_subsample"):
        assert words in message


def test_more_folds_than_images_of_a_class_is_refused():
    message = refusal(balanced(30, 2), None, KFOLD, fold=3)
    for words in ("'COVID'", "test part of fold 3", "2 readable images", "fewer folds"):
        assert words in message


def test_a_part_that_would_round_to_no_image_is_refused():
    message = refusal(balanced(30, 30), None, {"kind": "holdout", "test_fraction": 0.01})
    for words in ("'Normal'", "test part", "larger parts"):
        assert words in message


def test_a_test_part_of_everything_leaves_nothing_to_train_on_and_is_refused():
    message = refusal(balanced(5, 5), None, {"kind": "holdout", "test_fraction": 1.0})
    assert "no image in the train part" in message


# --- the entry script -----------------------------------------------------------------------------


def run_entry_script(
    index: pd.DataFrame, folder: Path, monkeypatch, shared=None, **scheme
) -> pd.DataFrame:
    folder.mkdir()
    index.to_parquet(folder / "images.parquet", index=False)
    snakemake = SimpleNamespace(
        input=[str(folder / "images.parquet")],
        output=[str(folder / "fold-1.parquet")],
        log=[str(folder / "fold-1.log")],
        params=SimpleNamespace(
            classes=["Normal", "COVID"],
            findings=None,
            scheme={
                "name": "once",
                "design": {**HOLDOUT, "seed": 0, "grouped": True, **scheme},
            },
            shared_test=shared or {},
        ),
        wildcards=SimpleNamespace(task="two_class", scheme="holdout", fold="1"),
    )
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # start_log replaces it
    runpy.run_path(str(ENTRY_SCRIPT), {"snakemake": snakemake}, "__main__")
    assert pq.read_schema(folder / "fold-1.parquet").equals(SPLIT, check_metadata=False)
    return pd.read_parquet(folder / "fold-1.parquet")


def small_index() -> pd.DataFrame:
    labels = ["Normal"] * 20 + ["COVID"] * 20 + ["Viral Pneumonia"] * 5
    ids = [f"{label}/{k}" for k, label in enumerate(labels)]
    groups = [f"pair {k // 2}" for k in range(45)]
    return pd.DataFrame({"image_id": ids, "label": labels, "group": groups, "split": None})


@pytest.mark.parametrize("scheme", [{}, SUBSAMPLE, KFOLD, VALIDATED], ids=str)
def test_a_split_is_stable_under_the_order_of_rows(tmp_path, monkeypatch, scheme):
    index = small_index()
    shuffled = index.sample(frac=1, random_state=3)
    first = run_entry_script(index, tmp_path / "a", monkeypatch, **scheme)
    second = run_entry_script(shuffled, tmp_path / "b", monkeypatch, **scheme)
    pd.testing.assert_frame_equal(first, second)


def test_a_split_holds_the_tasks_classes_and_the_images_in_use_only(tmp_path, monkeypatch):
    split = run_entry_script(small_index(), tmp_path / "a", monkeypatch, **SUBSAMPLE)
    assert split["label"].value_counts().to_dict() == {"Normal": 10, "COVID": 10}
    assert set(split["role"]) == {"train", "test"}
    assert split["image_id"].is_unique


def test_the_entry_script_groups_only_where_it_is_asked_to(tmp_path, monkeypatch):
    for grouped, crossings in ((True, False), (False, True)):
        split = run_entry_script(
            small_index(), tmp_path / str(grouped), monkeypatch, grouped=grouped
        )
        assert (split.groupby("group")["role"].nunique() > 1).any() == crossings


# --- sub-samples beside the complete set ----------------------------------------------------------


def test_shared_test_images_are_the_other_schemes_and_never_drawn(tmp_path, monkeypatch):
    design = {**HOLDOUT, "seed": 0, "grouped": True}
    index = small_index()
    split = run_entry_script(
        index,
        tmp_path / "few",
        monkeypatch,
        shared={"name": "complete", "design": design},
        **SUBSAMPLE,
        score_rest=True,
    )
    roles = split.set_index("image_id")["role"]
    assert set(roles) == {"train", "test", "rest", "shared_test"}
    # Drawn as the other scheme draws it, not as this one would.
    labels = np.array([["Normal", "COVID"].index(name) for name in sorted_rows(index)["label"]])
    groups = np.unique(sorted_rows(index)["group"], return_inverse=True)[1]
    expected = assign_roles(
        labels,
        groups,
        ["Normal", "COVID"],
        design,
        1,
        rng_of=lambda part: generator(0, "split", "two_class", "complete", part),
    )
    assert set(roles.index[roles == "shared_test"]) == set(
        sorted_rows(index)["image_id"][expected == "test"]
    )


def sorted_rows(index: pd.DataFrame) -> pd.DataFrame:
    return index[index["label"].isin(["Normal", "COVID"])].sort_values("image_id")


@pytest.mark.parametrize("shared", [None, [0, 1, 2, 3, 20, 21]])
def test_nothing_that_is_scored_shares_a_group_with_training(shared):
    labels = np.repeat([0, 1], 20)
    groups = np.arange(40) // 4  # four twins each
    mask = np.zeros(40, dtype=bool)
    mask[shared or []] = True
    for seed in range(20):
        roles = assign_roles(
            labels,
            groups,
            ["a", "b"],
            {
                "kind": "random_subsample",
                "images_per_class": 8,
                "test_fraction": 0.5,
                "score_rest": True,
            },
            1,
            rng_of=lambda part, seed=seed: np.random.default_rng(seed),
            shared_test=mask if shared else None,
        )
        trained = set(groups[roles == "train"])
        for role in ("rest", "shared_test"):
            assert not trained & set(groups[roles == role]), role
        assert (roles == "rest").any()
        if shared:
            assert set(np.flatnonzero(roles == "shared_test")) == set(shared)


def test_too_few_images_beside_the_shared_test_part_are_named():
    mask = np.zeros(20, dtype=bool)
    mask[:4] = True
    with pytest.raises(SplitError, match="not kept for the shared test part"):
        assign_roles(
            np.repeat([0, 1], 10),
            np.arange(20),
            ["a", "b"],
            {"kind": "random_subsample", "images_per_class": 8, "test_fraction": 0.5},
            1,
            rng_of=lambda part: np.random.default_rng(0),
            shared_test=mask,
        )


def test_groups_are_numbered_by_their_names_over_all_chunks():
    names = pa.chunked_array([["b", "a"], ["c", "b"]])
    assert numbered(names).tolist() == [1, 0, 2, 1]
