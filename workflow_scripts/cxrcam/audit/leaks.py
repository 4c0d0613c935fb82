"""Test images that the network has, in effect, already seen: copies and patients across a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.arrays import BoolArray
from workflow_scripts.cxrcam.data.clusters import cluster_labels
from workflow_scripts.cxrcam.terms import (
    DUPLICATE_KINDS,
    EXACT,
    OTHER_EXPOSURE,
    TEST,
    TRAIN,
    VALIDATION,
)

ANY_DUPLICATE: Final = "any duplicate"
PATIENT: Final = "patient"


@dataclass(frozen=True)
class LeakRow:
    """One line of the table of leaks.

    Attributes
    ----------
    role : str
        "test" or "validation".
    kind : str
        A kind of duplicate, "any duplicate" (not other exposures), or "patient" (named by the data
        set, or seen from another exposure in train).
    n_images : int
        Images of that role of which it can be told; for patients those with a known patient.
    n_leaked : int or None
        Those with a twin, or another image of their patient, in train; None where `reason` is.
    share : float or None
        ``n_leaked / n_images``.
    reason : str or None
        Why it cannot be told.
    """

    role: str
    kind: str
    n_images: int
    n_leaked: int | None
    share: float | None
    reason: str | None


def _duplicate_leaks(
    image_ids: pd.Index, train: BoolArray, pairs: pd.DataFrame
) -> dict[str, BoolArray]:
    """Whether each image has a twin in train, by kind of duplicate."""
    # Numbers for all images that occur: a copy outside the split may link two inside it.
    names = pd.Index(
        pd.unique(np.concatenate([image_ids, pairs["image_id_a"], pairs["image_id_b"]]))
    )
    a, b = (names.get_indexer(pairs[f"image_id_{end}"]) for end in "ab")
    in_train = np.zeros(len(names), dtype=bool)
    in_train[: len(image_ids)] = train
    kind = pairs["kind"].to_numpy(dtype=object)
    exact = kind == EXACT
    # Identical images are one image. (Of more than a hundred, the table pairs each with the first
    # only, so that the pairs alone would not show all twins.)
    same = cluster_labels(len(names), np.stack([a[exact], b[exact]], axis=1))
    trained = np.bincount(same, weights=in_train, minlength=len(names))
    leaks = {EXACT: trained[same] - in_train > 0}
    ends = np.concatenate([np.stack([same[a], same[b]]), np.stack([same[b], same[a]])], axis=1)
    kinds = np.concatenate([kind, kind])
    for other in [*DUPLICATE_KINDS[1:], *sorted(set(kind.tolist()) - set(DUPLICATE_KINDS))]:
        one, twin = ends[:, kinds == other]
        seen = np.zeros(len(names), dtype=bool)
        seen[one[trained[twin] > 0]] = True
        leaks[other] = seen[same]
    copies = [found for name, found in leaks.items() if name != OTHER_EXPOSURE]
    leaks[ANY_DUPLICATE] = np.logical_or.reduce(copies)
    return {name: found[: len(image_ids)] for name, found in leaks.items()}


def _patient_leaks(patients: pd.Series, train: BoolArray) -> tuple[BoolArray, BoolArray]:
    """Whether an image's patient is known, and whether he is in train too."""
    known = (patients.notna() & (patients.astype(str).str.strip() != "")).to_numpy(dtype=bool)
    return known, known & patients.isin(patients[known & train]).to_numpy(dtype=bool)


def _rows_of_role(
    role: str,
    chosen: BoolArray,
    leaked: dict[str, BoolArray],
    known: BoolArray,
    reasons: dict[str, str],
) -> list[LeakRow]:
    rows = []
    for kind, found in leaked.items():
        asked = chosen & known if kind == PATIENT else chosen
        n = int(asked.sum())
        reason = reasons.get(kind)
        if not chosen.any():
            reason = f"the split has no {role} images"
        elif reason is None and not n:
            reason = f"no {role} image names its patient"
        if reason is not None:
            rows.append(LeakRow(role, kind, n, None, None, reason))
            continue
        hit = int((asked & found).sum())
        rows.append(LeakRow(role, kind, n, hit, hit / n, None))
    return rows


def split_leaks(
    image_ids: Sequence[str],
    roles: Sequence[str],
    duplicates: pd.DataFrame,
    patients: Sequence[str | None],
) -> list[LeakRow]:
    """Count test and validation images with a twin or their own patient in train.

    Parameters
    ----------
    image_ids : sequence of str, length n
        Each once.
    roles : sequence of str, length n
        "train", "validation", "test"; others ("unused") take no part.
    duplicates : DataFrame
        Pairs as from `duplicates.find_duplicates`: ``image_id_a``, ``image_id_b``, ``kind``. Pairs
        with images of another split or data set do no harm.
    patients : sequence of str or None, length n
        Empty or None where unknown.

    Returns
    -------
    list of LeakRow
        By role, then kind. An image with twins of two kinds counts under both, once under any. Only
        direct twins count, but identical images count as one: a near-copy of a picture is a
        near-copy of all its identical copies.
    """
    names, role = pd.Index(np.asarray(image_ids, dtype=object)), np.asarray(roles, dtype=object)
    train = np.asarray(role == TRAIN, dtype=bool)
    leaked = _duplicate_leaks(names, train, duplicates)
    named, of_patient = _patient_leaks(pd.Series(list(patients), dtype=object), train)
    # Two exposures of one patient tell what the data set may not.
    known = named | leaked[OTHER_EXPOSURE]
    leaked[PATIENT] = of_patient | leaked[OTHER_EXPOSURE]
    reasons = {}
    if not known.any():
        reasons[PATIENT] = "not assessable: the data set names no patients"
    elif not (named & train).any() and not leaked[OTHER_EXPOSURE].any():
        reasons[PATIENT] = "not assessable: no train image names its patient"
    return [
        row
        for part in (TEST, VALIDATION)
        for row in _rows_of_role(part, np.asarray(role == part, bool), leaked, known, reasons)
    ]


def leaks_in_words(rows: Sequence[LeakRow]) -> str:
    """What `split_leaks` found, in a sentence."""
    sentences = []
    for role in (TEST, VALIDATION):
        of_role = {row.kind: row for row in rows if row.role == role}
        copies, patient = of_role[ANY_DUPLICATE], of_role[PATIENT]
        if copies.reason is not None and copies.reason == patient.reason:
            sentences.append(f"{role}: {copies.reason}")
            continue
        parts = [_copies_in_words(copies, list(of_role.values())), _patient_in_words(patient)]
        sentences.append(f"{role}: {', '.join(parts)}")
    return "; ".join(sentences)


def _copies_in_words(row: LeakRow, rows: list[LeakRow]) -> str:
    if row.n_leaked is None:
        return f"copies {row.reason}"
    if not row.n_leaked:
        return f"none of {row.n_images} images has a copy in train"
    kinds = ", ".join(
        f"{other.n_leaked} {other.kind}"
        for other in rows
        if other.n_leaked and other.kind not in (OTHER_EXPOSURE, ANY_DUPLICATE, PATIENT)
    )
    return (
        f"LEAK, {row.n_leaked} of {row.n_images} images ({row.share:.1%}) have a copy in train"
        f" ({kinds})"
    )


def _patient_in_words(row: LeakRow) -> str:
    if row.n_leaked is None:
        return f"patients {row.reason}"
    if not row.n_leaked:
        return f"no patient of {row.n_images} images is in train"
    return f"LEAK, {row.n_leaked} of {row.n_images} images ({row.share:.1%}) are of a train patient"
