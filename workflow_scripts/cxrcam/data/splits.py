"""Which image is used for what: train, validation, test.

Three designs: one `holdout` of the complete data set, repeated `random_subsample` draws of a few
images a class, and `stratified_kfold`. Each is stratified (every part has the classes in the same
shares). A fourth, `leave_one_out`, tests on the images of one source.

With ``grouped: true`` all images of one group, that is of one patient or of one cluster
of near-duplicates, stay on one side; otherwise a network may recognise a test image instead of its
disease.

Sub-samples can be made comparable with the complete set: `shared_test` images are those of another
design's test part, never drawn; the `rest` is whatever else was not drawn, to see whether a model
of a few images holds on all the others.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from workflow_scripts.cxrcam.arrays import BoolArray, Int64Array
from workflow_scripts.cxrcam.data.listing.split_names import PART_NAMES, part_of
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.terms import REST, SHARED_TEST, TEST, TRAIN, UNUSED, VALIDATION

ROLE = f"<U{len(SHARED_TEST)}"  # type of an array of roles: the longest name fits
UNITS_AT_ONCE = 1024  # that are drawn together, where all of them fit


class SplitError(InputError):
    """The data cannot be divided as asked; the message says why and what to change."""


def part_size(n_images: int, fraction: float) -> int:
    """Number of images of a class in a part: the fraction, rounded half up."""
    return int(np.floor(n_images * fraction + 0.5))


def _units(labels: Int64Array, groups: Int64Array, n_classes: int) -> tuple[Int64Array, Int64Array]:
    """Indivisible units: number of each image's unit, and images of each class a unit holds."""
    _, unit = np.unique(groups, return_inverse=True)
    counts = np.zeros((int(unit.max(initial=-1)) + 1, n_classes), dtype=np.int64)
    np.add.at(counts, (unit, labels), 1)
    return unit, counts


def draw_part(
    labels: Int64Array,
    groups: Int64Array,
    wanted: Sequence[int],
    classes: Sequence[str],
    rng: np.random.Generator,
) -> BoolArray:
    """Draw a given number of images of each class at random, whole groups at a time.

    Groups come in random order, and each is taken if it still fits; single images fill the rest
    exactly. A group has the same chance whatever its size as long as it is small beside the part:
    with g images it must come before the last g - 1 places of a part of n are taken, so that its
    chance is about 1 - (g - 1) / n of a single image's.

    Parameters
    ----------
    labels, groups : int array, shape (n,)
        Class number and group number of each image.
    wanted : sequence of int
        Images to draw of each class.
    classes : sequence of str
        Their names, for messages.

    Returns
    -------
    bool array, shape (n,)
        True for the images drawn.

    Raises
    ------
    SplitError
        If no image of a class could be drawn although some were wanted.
    """
    unit, counts = _units(labels, groups, len(wanted))
    left = np.array(wanted, dtype=np.int64)
    taken = np.zeros(len(counts), dtype=bool)
    order = rng.permutation(len(counts))
    for start in range(0, len(order), UNITS_AT_ONCE):
        block = order[start : start + UNITS_AT_ONCE]
        block = block[(counts[block] <= left).all(axis=1)]
        # Nearly always, all units of a block that fit by themselves fit together.
        one_by_one = (counts[block].sum(axis=0) > left).any()
        for some in block[:, None] if one_by_one else [block]:
            if one_by_one and (counts[some[0]] > left).any():
                continue
            taken[some] = True
            left -= counts[some].sum(axis=0)
        if not left.any():
            break
    drawn: BoolArray = taken[unit]
    for number, n_wanted in enumerate(wanted):
        if n_wanted and not (drawn & (labels == number)).any():
            largest = int(counts[:, number].max(initial=0))
            raise SplitError(
                f"no group of class {classes[number]!r} is small enough for a part of {n_wanted} "
                f"images (the largest group has {largest})"
            )
    return drawn


def deal_folds(
    labels: Int64Array,
    groups: Int64Array,
    n_classes: int,
    folds: int,
    rng: np.random.Generator,
) -> Int64Array:
    """Deal images into folds of equal class shares, whole groups at a time.

    Large groups are dealt first, each to the fold that lacks most of its classes, so that the
    single images at the end even out what is left.

    Returns
    -------
    int array, shape (n,)
        Fold of each image, 0 to ``folds - 1``.
    """
    unit, counts = _units(labels, groups, n_classes)
    target = (np.bincount(labels, minlength=n_classes) / folds).tolist()
    held = [[0] * n_classes for _ in range(folds)]
    images = [0] * folds
    fold_of_unit = np.empty(len(counts), dtype=np.int64)
    order = rng.permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    # Each unit depends on all before it. Plain numbers: a microsecond a unit, arrays take twenty.
    numbers = range(folds)
    for current, of_unit in zip(order.tolist(), counts[order].tolist(), strict=True):
        holds = [(k, n) for k, n in enumerate(of_unit) if n]
        lack = [sum((target[k] - held[fold][k]) * n for k, n in holds) for fold in numbers]
        least = max(lack) - 1e-9
        # Equal lacks go to the fold with the fewest images, so that rests of several classes
        # do not all land in the first fold.
        _, chosen = min((images[fold], fold) for fold in numbers if lack[fold] >= least)
        fold_of_unit[current] = chosen
        for k, n in holds:
            held[chosen][k] += n
            images[chosen] += n
    return fold_of_unit[unit]


def assign_roles(
    labels: Int64Array,
    groups: Int64Array,
    classes: Sequence[str],
    scheme: Mapping[str, Any],
    fold: int,
    rng_of: Callable[[str | int], np.random.Generator],
    given: Sequence[str | None] = (),
    shared_test: BoolArray | None = None,
    held_out: BoolArray | None = None,
) -> npt.NDArray[np.str_]:
    """Role of each image in one fold of a scheme.

    Parameters
    ----------
    labels, groups : int array, shape (n,)
        Position of each image's class in `classes`, and its group; pass distinct numbers for an
        ungrouped design.
    scheme : mapping
        Entry of ``schemes``.
    fold : int
        Counted from 1.
    rng_of : callable
        ``rng_of(fold)`` gives the generator of a fold; ``rng_of("folds")`` the one shared by all
        folds of a k-fold design, which are one draw.
    given : sequence of str or None
        Parts that a manifest's ``split`` column or the folders give, for the kind ``predefined``.
    shared_test : bool array, shape (n,), optional
        Test images of another design, which a sub-sample must not draw.
    held_out : bool array, shape (n,), optional
        Images of the source on which a fold of the kind ``leave_one_out`` tests.

    Returns
    -------
    str array, shape (n,)
        ``train``, ``validation``, ``test``; of a sub-sample also ``shared_test``, ``rest`` (with
        ``score_rest``) and ``unused``. No image of `rest` or `shared_test` shares a group with a
        training image. Others that share a group with one of `held_out` are ``unused``. A class or
        part that would be empty is a `SplitError`.
    """
    if shared_test is None:
        shared_test = np.zeros(len(labels), dtype=bool)
    if held_out is None:
        held_out = np.zeros(len(labels), dtype=bool)
    kind = scheme["kind"]
    try:
        if kind == "predefined":
            roles = np.array(given_roles(given), dtype=ROLE)
        else:
            roles = _drawn_roles(
                *(labels, groups, classes, scheme, fold, rng_of, shared_test, held_out)
            )
    except SplitError as error:
        raise SplitError(
            f"Fold {fold} of a {kind} design cannot be drawn: {error}. {_way_out(kind)}"
        ) from error
    unseen = np.isin(roles, (REST, SHARED_TEST))
    roles[unseen & np.isin(groups, groups[roles == TRAIN])] = UNUSED
    for number, name in enumerate(classes):
        of_class = roles[labels == number]
        lacking = [role for role in (TRAIN, TEST) if role not in of_class]
        if lacking:
            raise SplitError(
                f"Class {name!r} has no image in the {lacking[0]} part of fold {fold} "
                f"({len(of_class)} readable images). {_way_out(kind)}"
            )
    return roles


def _drawn_roles(
    labels: Int64Array,
    groups: Int64Array,
    classes: Sequence[str],
    scheme: Mapping[str, Any],
    fold: int,
    rng_of: Callable[[str | int], np.random.Generator],
    shared_test: BoolArray,
    held_out: BoolArray,
) -> npt.NDArray[np.str_]:
    """Roles by chance; parameters are those of `assign_roles`."""
    rng = rng_of(fold)
    roles = np.full(len(labels), TRAIN, dtype=ROLE)
    everyone = np.arange(len(labels))
    if scheme["kind"] == "random_subsample":
        # Twins of shared test images stay out as well, where the design knows of twins.
        free = ~np.isin(groups, groups[shared_test])
        everyone = _subsample(labels, free, classes, scheme["images_per_class"], rng)
        roles[:] = REST if scheme.get("score_rest", False) else UNUSED
        roles[shared_test] = SHARED_TEST
        roles[everyone] = TRAIN
    elif scheme["kind"] == "leave_one_out":
        # Nothing of a patient who was at two sites, or of a picture that two have, is trained on.
        everyone = np.flatnonzero(~np.isin(groups, groups[held_out]))
        roles[:] = UNUSED
        roles[held_out] = TEST
        roles[everyone] = TRAIN
    sizes = np.bincount(labels[everyone], minlength=len(classes))

    def draw(role: str, fraction: float) -> None:
        """Give a role to a share of each class, taken out of the training part."""
        among = everyone[roles[everyone] == TRAIN]
        wanted = [part_size(n, fraction) for n in sizes]
        drawn = draw_part(labels[among], groups[among], wanted, classes, rng)
        roles[among[drawn]] = role

    if scheme["kind"] == "stratified_kfold":
        dealt = deal_folds(labels, groups, len(classes), scheme["folds"], rng_of("folds"))
        roles[dealt == fold - 1] = TEST
    elif scheme["kind"] != "leave_one_out":
        draw(TEST, scheme["test_fraction"])
    if scheme.get("validation_fraction"):
        draw(VALIDATION, scheme["validation_fraction"])
    return roles


def _way_out(kind: str) -> str:
    """What to change when a design cannot be drawn."""
    if kind == "predefined":
        return "Correct the column `split` of the manifest, or the folders train and test."
    if kind == "leave_one_out":
        return "Use more images, or leave the source of these images empty."
    return "Use more images, larger parts, fewer folds, or grouped: false (it flatters the result)."


def given_roles(given: Sequence[str | None]) -> list[str]:
    """Roles that the data set brings; an empty one means that the image is not used."""
    names = [(name or "").strip().lower() for name in given]
    unknown = sorted(set(names) - PART_NAMES.keys() - {""})
    if unknown:
        raise SplitError(
            f"the manifest's column split holds {unknown[0]!r}; known are train, validation, test"
        )
    return [part_of(name) or UNUSED for name in names]


def _subsample(
    labels: Int64Array,
    free: BoolArray,
    classes: Sequence[str],
    per_class: int,
    rng: np.random.Generator,
) -> Int64Array:
    """Draw exactly `per_class` free images of each class, without replacement; sorted positions."""
    drawn = []
    for number, name in enumerate(classes):
        members = np.flatnonzero((labels == number) & free)
        if len(members) < per_class:
            kept = " that are not kept for the shared test part" * (not free.all())
            raise SplitError(
                f"class {name!r} has {len(members)} readable images{kept}, fewer than the "
                f"images_per_class: {per_class} of this scheme"
            )
        drawn.append(rng.choice(members, per_class, replace=False))
    return np.sort(np.concatenate(drawn))


def numbered(names: pa.ChunkedArray) -> Int64Array:
    """Number of each name among the different ones in their order."""
    codes = names.combine_chunks().dictionary_encode()
    rank = pc.rank(codes.dictionary).to_numpy() - 1
    numbers: Int64Array = rank[codes.indices.to_numpy()].astype(np.int64)
    return numbers
