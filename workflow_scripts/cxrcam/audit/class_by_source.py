"""Do the classes come from the same places? If not, a network can tell the hospitals apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from workflow_scripts.cxrcam.arrays import Int64Array

ASSOCIATED: Final = 0.3
"""Corrected Cramér's V from which class and source count as associated ("medium", Cohen 1988)."""

Finding = Literal["confounded", "associated", "not associated", "not assessable"]


@dataclass(frozen=True)
class ClassBySource:
    """How the classes are spread over the sources.

    Attributes
    ----------
    finding : str
        "confounded" (a pair of classes shares no source), "associated" (corrected V at least 0.3),
        "not associated" or "not assessable".
    verdict : str
        The finding in words.
    classes, sources : list of str
        Rows and columns of `counts`; sources by falling number of images.
    counts : list of list of int
        Images of each class and source.
    n_without_source : int
        Images that name no source; they are not in `counts`.
    unshared_pairs : list of tuple of str
        Pairs of classes without a common source.
    cramers_v, cramers_v_corrected : float or None
        In [0, 1]; None with fewer than two classes or sources.
    source_only_accuracy : float or None
        Share of right answers of one who knows an image's source and nothing else, on these very
        images; to be compared with `majority_accuracy`.
    majority_accuracy : float or None
        Share of the commonest class.
    grouped_split_problem : str or None
        Why no split by source can test the task; None if one can.
    """

    finding: Finding
    verdict: str
    classes: list[str]
    sources: list[str]
    counts: list[list[int]]
    n_without_source: int
    unshared_pairs: list[tuple[str, str]]
    cramers_v: float | None
    cramers_v_corrected: float | None
    source_only_accuracy: float | None
    majority_accuracy: float | None
    grouped_split_problem: str | None


def contingency_table(
    labels: Sequence[str], sources: Sequence[str | None], classes: Sequence[str]
) -> pd.DataFrame:
    """Images of each class from each source.

    Parameters
    ----------
    labels : sequence of str, length n
        Class names; images of other classes than `classes` are left out.
    sources : sequence of str or None, length n
        Empty or None where unknown; such images are left out.
    classes : sequence of str
        Names of the rows, in this order.

    Returns
    -------
    DataFrame of int64
        Index: the classes, also those without an image. Columns: the sources, by falling number of
        images, then by name.
    """
    frame = pd.DataFrame({"label": list(labels), "source": list(sources)}, dtype=object)
    frame = frame[_is_named(frame["source"]) & frame["label"].isin(list(classes))]
    table = pd.crosstab(frame["label"], frame["source"].astype(str).str.strip())
    table = table.reindex(list(classes), fill_value=0).astype(np.int64)
    # Columns come by name; a stable sort keeps that among equals.
    order = np.argsort(-table.to_numpy().sum(axis=0), kind="stable")
    return table.iloc[:, order]


def _is_named(sources: pd.Series) -> pd.Series:
    return sources.notna() & (sources.astype(str).str.strip() != "")


def cramers_v(counts: npt.ArrayLike, *, corrected: bool = True) -> float | None:
    """Cramér's V: strength of the association of rows and columns of a table of counts.

    Parameters
    ----------
    counts : array-like of int, shape (rows, columns)
        Numbers ≥ 0. Empty rows and columns are left out.
    corrected : bool, default True
        Subtract what chance alone gives. Without it many small sources look associated with the
        class, whatever they are.

    Returns
    -------
    float or None
        0 (independent) to 1 (one tells the other); None with fewer than two rows or columns, or
        where the correction leaves none.

    References
    ----------
    Cramér (1946), Mathematical Methods of Statistics, ch. 21; Bergsma (2013), J Korean Stat Soc
    42:323-328, for the correction.
    """
    table = np.asarray(counts, dtype=np.float64)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    rows, columns = table.shape
    if min(rows, columns) < 2:
        return None
    n = table.sum()
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / n
    phi_squared = float(((table - expected) ** 2 / expected).sum() / n)
    if not corrected:
        return min(1.0, math.sqrt(phi_squared / (min(rows, columns) - 1)))
    if n <= 1:
        return None
    phi_squared = max(0.0, phi_squared - (rows - 1) * (columns - 1) / (n - 1))
    smaller = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    # As many sources as images: each image is its own source, and nothing can be told.
    return min(1.0, math.sqrt(phi_squared / smaller)) if smaller > 1e-12 else None


def assess_class_by_source(
    labels: Sequence[str], sources: Sequence[str | None], classes: Sequence[str]
) -> ClassBySource:
    """Judge whether class and source can be told apart.

    Parameters
    ----------
    labels, sources, classes
        As for `contingency_table`.

    Returns
    -------
    ClassBySource
        Sources are believed as declared.
    """
    table = contingency_table(labels, sources, classes)
    counts = table.to_numpy()
    of_task = pd.Series(list(labels), dtype=object).isin(list(classes)).to_numpy()
    n_without = int(of_task.sum() - counts.sum())
    present = counts.sum(axis=1) > 0
    unshared = unshared_pairs(counts, list(classes))
    corrected = cramers_v(counts)
    finding, verdict = _judge(counts, list(classes), unshared, corrected, int(of_task.sum()))
    if finding != "not assessable" and n_without:
        verdict += f" ({n_without} of {int(of_task.sum())} images name no source)"
    assessed = present.sum() >= 2
    return ClassBySource(
        finding=finding,
        verdict=verdict,
        classes=list(classes),
        sources=[str(source) for source in table.columns],
        counts=counts.tolist(),
        n_without_source=n_without,
        unshared_pairs=unshared,
        cramers_v=cramers_v(counts, corrected=False),
        cramers_v_corrected=corrected,
        source_only_accuracy=float(counts.max(axis=0).sum() / counts.sum()) if assessed else None,
        majority_accuracy=float(counts.sum(axis=1).max() / counts.sum()) if assessed else None,
        grouped_split_problem=_grouped_split_problem(table, unshared),
    )


def unshared_pairs(counts: Int64Array, classes: list[str]) -> list[tuple[str, str]]:
    """Pairs of classes, both with images, without a common source."""
    holds = (counts > 0).astype(np.int64)
    shared = holds @ holds.T
    present = np.flatnonzero(holds.any(axis=1)).tolist()
    return [(classes[i], classes[j]) for i, j in combinations(present, 2) if not shared[i, j]]


def _judge(
    counts: Int64Array,
    classes: list[str],
    unshared: list[tuple[str, str]],
    corrected: float | None,
    n_images: int,
) -> tuple[Finding, str]:
    present = counts.sum(axis=1) > 0
    used = counts.shape[1]
    if not n_images:
        return "not assessable", "not assessable: there are no images of these classes"
    if not used:
        return "not assessable", "not assessable: the data set names no sources"
    if not present.all():
        names = ", ".join(
            repr(name) for name, there in zip(classes, present, strict=True) if not there
        )
        return "not assessable", f"not assessable: no image of {names} names its source"
    if present.sum() < 2:
        return "not assessable", "not assessable: there is only one class"
    if used == counts.sum():
        return "not assessable", "not assessable: every image names a source of its own"
    if unshared:
        one, other = unshared[0]
        more = f", nor do {len(unshared) - 1} other pairs of classes" if len(unshared) > 1 else ""
        return "confounded", (
            f"confounded: no source holds both {one!r} and {other!r}{more}: a network can tell the"
            " hospitals apart instead of the disease"
        )
    if used == 1:
        return "not associated", "not associated: all images come from one source"
    share = counts.max(axis=0).sum() / counts.sum()
    majority = counts.sum(axis=1).max() / counts.sum()
    strength = "not defined" if corrected is None else f"{corrected:.2f}"
    facts = (
        f"Cramér's V is {strength}; the source alone tells the class of {share:.0%} of the images"
        f" (the commonest class: {majority:.0%})"
    )
    if corrected is not None and corrected >= ASSOCIATED:
        return "associated", f"associated: {facts}: part of the accuracy may be the hospital's"
    return "not associated", f"not associated: {facts}"


def _grouped_split_problem(table: pd.DataFrame, unshared: list[tuple[str, str]]) -> str | None:
    """Why training on some sources and testing on others cannot test the task."""
    counts = table.to_numpy()
    if not counts.size or not counts.sum():
        return "a split by source is impossible: the data set names no sources"
    if unshared:
        one, other = unshared[0]
        return (
            f"a split by source cannot test the task: no source holds both {one!r} and {other!r},"
            " so that in the test sources, too, the hospital tells the class"
        )
    number = (counts > 0).sum(axis=1)
    if number.min() < 2:
        row = int(number.argmin())
        name = table.index[row]
        if not number[row]:
            return f"a split by source is impossible: no image of {name!r} names its source"
        source = table.columns[int(counts[row].argmax())]
        return (
            f"a split by source is impossible: all images of {name!r} come from one source,"
            f" {source!r}"
        )
    return None
