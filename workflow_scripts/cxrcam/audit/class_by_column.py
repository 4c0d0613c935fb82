"""Whether the class can be told from what else is known of an image: view, age, sex, scanner.

Each column of the index with few values is set against the class as `class_by_source` does it with
the sources, with two differences: a missing value is a value of its own, and an alarm needs an
interval of Cramér's V that excludes 0, as a table may have many columns. The intervals are
widened for the number of columns that are judged (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import chi2, ncx2

from workflow_scripts.cxrcam.arrays import Int64Array
from workflow_scripts.cxrcam.audit.class_by_source import (
    ASSOCIATED,
    contingency_table,
    cramers_v,
    unshared_pairs,
)
from workflow_scripts.cxrcam.data.listing.traits import NOT_KNOWN, trait_of, why_no_groups
from workflow_scripts.cxrcam.data.trait_columns import columns_of, values_of
from workflow_scripts.cxrcam.metrics.intervals import wilson_interval

FEWEST_GROUPS: Final = 10
"""Groups that each class must have, as for fewer the intervals of V do not hold."""

Finding = Literal["confounded", "associated", "not associated", "not assessable", "not judged"]


@dataclass(frozen=True, kw_only=True)
class ClassByColumn:
    """How the classes are spread over the values of a column.

    Attributes
    ----------
    finding : str
        "confounded" (a pair of classes shares no value), "associated" (corrected V at least 0.3),
        "not associated" (the interval of V lies below 0.3), "not assessable" (it is too wide), or
        "not judged" (the column tells no traits of images).
    verdict : str
        The finding in words.
    classes, values : list of str
        Rows and columns of `counts`; values by falling number of images, none of columns that are
        not judged.
    counts : list of list of int
        Images of each class and value.
    unshared_pairs : list of tuple of str
        Pairs of classes without a common value.
    cramers_v, cramers_v_low, cramers_v_high : float or None
        Corrected as in `cramers_v`, and `v_interval`.
    accuracy, accuracy_low, accuracy_high : float or None
        Share of right answers of one who knows the value and nothing else, see
        `held_out_accuracy`, and its 95 % interval.
    majority_accuracy : float or None
        Share of the commonest class.
    n, n_groups : int
        Images, and groups of them (patients, copies).
    """

    finding: Finding
    verdict: str
    classes: list[str]
    values: list[str]
    counts: list[list[int]]
    unshared_pairs: list[tuple[str, str]]
    cramers_v: float | None = None
    cramers_v_low: float | None = None
    cramers_v_high: float | None = None
    accuracy: float | None = None
    accuracy_low: float | None = None
    accuracy_high: float | None = None
    majority_accuracy: float | None = None
    n: int
    n_groups: int


def assess_class_by_columns(
    images: pd.DataFrame,
    classes: Sequence[str],
    folds: Int64Array,
    *,
    named: Collection[str] = (),
    findings: Collection[str] = (),
) -> dict[str, ClassByColumn]:
    """Judge each column of the index.

    Parameters
    ----------
    images : DataFrame of n rows
        The index, of one task: ``label``, ``group``.
    classes : sequence of str
    folds : int array, shape (n,)
        Fold of each image, groups whole.
    named : collection of str
        Columns that the configuration calls traits of images.
    findings : collection of str
        Columns that are findings of the study; where there are any, other columns that hold 1, 0,
        -1 or nothing are taken for findings, too.

    Returns
    -------
    dict of str to ClassByColumn
        By column; empty where the index has none.
    """
    values = {column: values_of(images, column) for column in columns_of(images)}
    reasons = {
        column: why_not_judged(
            *(column, of_column, images["label"], classes),
            is_trait=column in named or is_known(column),
            is_finding=_is_finding(column, of_column, findings),
        )
        for column, of_column in values.items()
    }
    judged = sum(not reason for reason in reasons.values())
    return {
        column: _not_judged(reasons[column], images, classes)
        if reasons[column]
        else assess_column(column, of_column, images, classes, folds, judged)
        for column, of_column in values.items()
    }


def is_known(column: str) -> bool:
    """Whether a column tells a trait of the patient or of how the image was taken."""
    return column.startswith("dicom_") or trait_of(column) is not None


def _is_finding(column: str, values: pd.Series, findings: Collection[str]) -> bool:
    if is_known(column) or not findings:
        return False
    marks = {"1", "0", "-1", NOT_KNOWN}
    return column.removeprefix("manifest_") in findings or set(values) <= marks


def why_not_judged(
    column: str,
    values: pd.Series,
    labels: pd.Series,
    classes: Sequence[str],
    *,
    is_trait: bool,
    is_finding: bool,
) -> str:
    """Why a column says nothing of shortcuts; empty if it does.

    Columns of unknown meaning may repeat the class or describe it. Known traits, such as the view,
    never do: one to one with the class they are the worst of shortcuts.
    """
    if reason := why_no_groups(values.unique().tolist()):
        return reason
    if is_finding:
        return "it is taken for a finding, as it holds 1, 0, -1 or nothing"
    if is_trait:
        return ""
    table = contingency_table(labels.tolist(), values.tolist(), classes)
    there = table.to_numpy() > 0
    there = there[there.any(axis=1)]
    if len(there) > 1 and (there.sum(axis=0) == 1).all() and (there.sum(axis=1) == 1).all():
        return f"the column {column!r} is the class under another name"
    told = table.drop(columns=NOT_KNOWN, errors="ignore").to_numpy().sum(axis=1) > 0
    told = told[table.to_numpy().sum(axis=1) > 0]
    if not told.all():
        return f"no image of some classes has an entry in {column!r}: it describes the others"
    return ""


def _not_judged(reason: str, images: pd.DataFrame, classes: Sequence[str]) -> ClassByColumn:
    return ClassByColumn(
        finding="not judged",
        verdict=f"not judged: {reason}",
        classes=list(classes),
        values=[],
        counts=[],
        unshared_pairs=[],
        n=len(images),
        n_groups=images["group"].nunique(),
    )


def assess_column(
    column: str,
    values: pd.Series,
    images: pd.DataFrame,
    classes: Sequence[str],
    folds: Int64Array,
    comparisons: int,
) -> ClassByColumn:
    """Judge one column; `comparisons` is the number of those that are judged.

    Other parameters as in `assess_class_by_columns`.
    """
    table = contingency_table(images["label"].tolist(), values.tolist(), classes)
    counts = table.to_numpy()
    groups = images.groupby("label")["group"].nunique().reindex(list(classes), fill_value=0)
    n, n_groups = len(images), images["group"].nunique()
    unshared = unshared_pairs(counts, list(classes))
    corrected = cramers_v(counts)
    interval = v_interval(counts, n_groups, comparisons)
    accuracy = held_out_accuracy(images["label"], values, folds)
    majority = float(counts.sum(axis=1).max() / n)
    facts = (
        f"Cramér's V is {corrected or 0:.2f} ({interval[0]:.2f} to {interval[1]:.2f});"
        f" {column!r} alone tells the class of {accuracy:.0%} of the images (the commonest class:"
        f" {majority:.0%})"
    )
    finding, verdict = _judge(groups, unshared, corrected or 0.0, interval, facts)
    low, high = wilson_interval(round(accuracy * n_groups), n_groups)
    return ClassByColumn(
        finding=finding,
        verdict=verdict,
        classes=list(classes),
        values=[str(value) for value in table.columns],
        counts=counts.tolist(),
        unshared_pairs=unshared,
        cramers_v=corrected,
        cramers_v_low=interval[0],
        cramers_v_high=interval[1],
        accuracy=accuracy,
        accuracy_low=min(low, accuracy),
        accuracy_high=max(high, accuracy),
        majority_accuracy=majority,
        n=n,
        n_groups=n_groups,
    )


def _judge(
    groups: pd.Series,
    unshared: list[tuple[str, str]],
    corrected: float,
    interval: tuple[float, float],
    facts: str,
) -> tuple[Finding, str]:
    scarce = str(groups.idxmin())
    if groups.min() < FEWEST_GROUPS:
        return "not assessable", (
            f"not assessable: class {scarce!r} has {groups.min()} groups of images,"
            f" {FEWEST_GROUPS} are needed"
        )
    low, high = interval
    if low > 0 and unshared:
        one, other = unshared[0]
        return "confounded", f"confounded: {one!r} and {other!r} share no value: {facts}"
    if low > 0 and corrected >= ASSOCIATED:
        return "associated", f"associated: {facts}"
    if high < ASSOCIATED:
        return "not associated", f"not associated: {facts}"
    return "not assessable", f"not assessable: the images are too few to tell: {facts}"


def v_interval(counts: npt.ArrayLike, n_groups: int, comparisons: int = 1) -> tuple[float, float]:
    """Interval of Cramér's V, from that of the noncentrality of its chi-squared statistic.

    Parameters
    ----------
    counts : array-like of int, shape (rows, columns)
        At least two rows and columns with images.
    n_groups : int
        Independent images: those of one group (a patient) count as one.
    comparisons : int, default 1
        Number of intervals that hold together with a confidence of 95 % (Bonferroni).

    Returns
    -------
    tuple of float
        Bounds in [0, 1]. As the statistic's own mean is its degrees of freedom plus the
        noncentrality, what chance alone gives is taken off.

    References
    ----------
    Smithson (2003), Confidence Intervals, ch. 4.
    """
    table = np.asarray(counts, dtype=np.float64)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    rows, columns = table.shape
    if min(rows, columns) < 2:
        return 0.0, 1.0
    smaller, freedom = min(rows, columns) - 1, (rows - 1) * (columns - 1)
    plain = cramers_v(table, corrected=False) or 0.0
    statistic = n_groups * smaller * plain**2
    tail = 0.025 / comparisons

    def bound(seen: float, share: float) -> float:
        """V for which the statistic stays below what was seen with a chance of `share`."""
        if chi2.cdf(seen, freedom) <= share:
            return 0.0
        largest = 2 * seen + 40 * (freedom + 10)
        noncentrality = brentq(lambda c: ncx2.cdf(seen, freedom, c) - share, 1e-9, largest)
        return float(min(1.0, (noncentrality / (n_groups * smaller)) ** 0.5))

    # A table more even than chance makes it does not speak for a smaller V.
    return bound(statistic, 1 - tail), bound(max(statistic, freedom), tail)


def held_out_accuracy(labels: pd.Series, values: pd.Series, folds: Int64Array) -> float:
    """Share of right answers of one who knows a value, and the classes of the other folds.

    The answer is the commonest class of that value there; of a value that is not there, the
    commonest class of all.
    """
    label, classes = pd.factorize(labels)
    value, names = pd.factorize(values)
    counts = np.zeros((folds.max() + 1, len(names), len(classes)), dtype=np.int64)
    np.add.at(counts, (folds, value, label), 1)
    known = counts.sum(axis=0) - counts
    # Less than one image: decides ties, and for values that are not there.
    of_all = known.sum(axis=1, keepdims=True)
    answers = (known + of_all / (1 + of_all.sum(axis=2, keepdims=True))).argmax(axis=2)
    return float((answers[folds, value] == label).mean())


def not_judged_in_words(columns: dict[str, ClassByColumn]) -> list[str]:
    """Sentences on columns that repeat the class, which the reader should know of."""
    return [
        f"{found.verdict.removeprefix('not judged: ')} (name it in `audit.subgroups` if it tells"
        " how an image was taken, or of whom)"
        for found in columns.values()
        if "class under another name" in found.verdict
    ]
