"""Dividing images with several findings so that each part has its share of each finding.

Iterative stratification: Sechidis, Tsoumakas and Vlahavas, "On the Stratification of Multi-Label
Data", ECML PKDD 2011, of whole groups instead of single images. The rarest finding is dealt first,
each of its groups to the part that lacks most of it; so rare ones are not left to chance. The
libraries that have it (iterative-stratification, scikit-multilearn) know no groups.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from workflow_scripts.cxrcam.arrays import BoolArray, Float32Array, Int64Array
from workflow_scripts.cxrcam.data.splits import ROLE, SplitError, given_roles
from workflow_scripts.cxrcam.terms import TEST, TRAIN, UNUSED, VALIDATION


def deal_parts(
    members: npt.NDArray[np.bool_],
    groups: Int64Array,
    shares: Sequence[float],
    rng: np.random.Generator,
) -> Int64Array:
    """Deal groups of images into parts of given shares, in the order of the paper's algorithm.

    Parameters
    ----------
    members : bool array, shape (n, k)
        Which image has which finding; one without any counts too, as a finding of its own.
    groups : int array, shape (n,)
        Images of one group stay together.
    shares : sequence of float
        Of all images, for each part; their sum is 1.

    Returns
    -------
    int array, shape (n,)
        Part of each image.
    """
    _, unit = np.unique(groups, return_inverse=True)
    order = rng.permutation(int(unit.max(initial=-1)) + 1)
    members = np.column_stack([members, ~members.any(axis=1)])
    counts = np.zeros((len(order), members.shape[1]), dtype=np.int64)
    np.add.at(counts, unit, members)
    sizes = np.bincount(unit, minlength=len(order)).tolist()
    # What each part still lacks: of each finding, and of images.
    lacks = [[share * total for total in counts.sum(axis=0).tolist()] for share in shares]
    room = [share * len(groups) for share in shares]
    part_of_unit = np.full(len(order), -1, dtype=np.int64)
    parts = range(len(shares))
    while (part_of_unit < 0).any():
        left = order[part_of_unit[order] < 0]
        remaining = counts[left].sum(axis=0)
        rarest = int(np.where(remaining > 0, remaining, np.iinfo(np.int64).max).argmin())
        of_finding = left[counts[left, rarest] > 0]
        # Large groups first, so that small ones even out what is left; chance decides among equals.
        of_finding = of_finding[np.argsort(-counts[of_finding, rarest], kind="stable")]
        for one, held in zip(of_finding.tolist(), counts[of_finding].tolist(), strict=True):
            chosen = max(parts, key=lambda part: (lacks[part][rarest], room[part]))
            part_of_unit[one] = chosen
            room[chosen] -= sizes[one]
            for k, n in enumerate(held):
                lacks[chosen][k] -= n
    return part_of_unit[unit]


def assign_roles_by_findings(
    known: Float32Array,
    groups: Int64Array,
    labels: Sequence[str],
    scheme: Mapping[str, Any],
    fold: int,
    rng_of: Callable[[str | int], np.random.Generator],
    given: Sequence[str | None] = (),
    held_out: BoolArray | None = None,
) -> npt.NDArray[np.str_]:
    """Role of each image in one fold of a scheme, as `splits.assign_roles`, for several findings.

    Parameters
    ----------
    known : float32 array, shape (n, k)
        As from `findings.known_findings`.
    labels : sequence of str, length k
    groups, scheme, fold, rng_of, given, held_out
        As in `splits.assign_roles`.

    Returns
    -------
    str array, shape (n,)
        ``train``, ``validation``, ``test``; with the parts that the data set brings, and where a
        source is held out, also ``unused``.

    Raises
    ------
    SplitError
        A finding is present, or absent, in no image of the training or test part.
    """
    kind = scheme["kind"]
    validation = float(scheme.get("validation_fraction") or 0.0)
    if kind == "predefined":
        roles = np.array(given_roles(given), dtype=ROLE)
    elif kind == "stratified_kfold":
        folds = int(scheme["folds"])
        dealt = deal_parts(known == 1, groups, [1 / folds] * folds, rng_of("folds"))
        roles = np.where(dealt == fold - 1, TEST, TRAIN).astype(ROLE)
        share = validation * folds / (folds - 1)
        _hold_back(roles, known, groups, share, rng_of(fold))
    elif held_out is not None:
        roles = np.where(np.isin(groups, groups[held_out]), UNUSED, TRAIN).astype(ROLE)
        roles[held_out] = TEST
        _hold_back(roles, known, groups, validation, rng_of(fold))
    else:
        test = float(scheme["test_fraction"])
        shares = [1 - test - validation, test, validation]
        dealt = deal_parts(known == 1, groups, shares if validation else shares[:2], rng_of(fold))
        roles = np.array([TRAIN, TEST, VALIDATION], dtype=ROLE)[dealt]
    for name, column in zip(labels, known.T, strict=True):
        for role in (TRAIN, TEST):
            for value, word in ((1, "with"), (0, "without")):
                if not ((column == value) & (roles == role)).any():
                    raise SplitError(
                        f"No image of the {role} part of fold {fold} is {word} the finding "
                        f"{name!r} ({int((column == value).sum())} in all): leave the finding out "
                        "of `findings.labels`, or use more images, larger parts or fewer folds."
                    )
    return roles


def _hold_back(
    roles: npt.NDArray[np.str_],
    known: Float32Array,
    groups: Int64Array,
    share: float,
    rng: np.random.Generator,
) -> None:
    """Make a share of the training part the validation part, in place."""
    if share:
        rest = np.flatnonzero(roles == TRAIN)
        dealt = deal_parts(known[rest] == 1, groups[rest], [1 - share, share], rng)
        roles[rest[dealt == 1]] = VALIDATION
