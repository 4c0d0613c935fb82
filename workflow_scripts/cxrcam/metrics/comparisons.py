"""Is one classifier better than another on the same images? DeLong and McNemar.

Both tests take every image for an independent patient. Where several images belong to one patient
or are copies of each other, they promise too much: use a bootstrap by group there
(`floors.accuracy_gap`, `intervals.bootstrap_interval`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtri
from scipy.stats import binomtest, chi2, norm, rankdata

from workflow_scripts.cxrcam.arrays import BoolArray, Float64Array

EXACT_BELOW: Final = 25
"""Fewer discordant images than this: exact binomial test (chi-squared needs about 10 a side)."""

COLUMNS: Final = [
    *("task", "fold", "division", "scheme_a", "seed_a", "scheme_b", "seed_b", "n"),
    *("accuracy_a", "accuracy_b", "only_a_right", "only_b_right", "mcnemar_p", "mcnemar_method"),
    *("auroc_a", "auroc_b", "auroc_difference", "auroc_low", "auroc_high", "delong_p", "note"),
]
"""Of tables/comparisons.csv."""

# A standard error below this is rounding: true ones are 1/(2·m·n) or more, m and n the two kinds.
_ROUNDING: Final = 1e-12


@dataclass(frozen=True)
class AurocComparison:
    """Two AUROCs on the same images and DeLong's test of their difference.

    Attributes
    ----------
    auroc_a, auroc_b : float or None
        In [0, 1]; None if only one kind of image occurs.
    difference : float or None
        ``auroc_a - auroc_b``.
    standard_error, low, high : float or None
        Of the difference; None where `reason` says why. `low` and `high` lie in [-1, 1].
    z, p : float or None
        Difference in standard errors, and the two-sided p value.
    reason : str or None
        Why there is no test.
    """

    auroc_a: float | None
    auroc_b: float | None
    difference: float | None
    standard_error: float | None
    low: float | None
    high: float | None
    z: float | None
    p: float | None
    reason: str | None


@dataclass(frozen=True)
class McNemarResult:
    """Two classifiers, right or wrong on the same images.

    Attributes
    ----------
    both_right, only_a_right, only_b_right, both_wrong : int
        Numbers of images.
    method : str
        ``"exact binomial"`` or ``"chi-squared with continuity correction"``.
    statistic : float
        The smaller of the two discordant counts, or chi-squared with one degree of freedom.
    p : float or None
        Two-sided; None where `reason` says why.
    reason : str or None
        Why there is no test.
    """

    both_right: int
    only_a_right: int
    only_b_right: int
    both_wrong: int
    method: str
    statistic: float
    p: float | None
    reason: str | None


def _checked(truth: npt.ArrayLike, *scores: npt.ArrayLike) -> tuple[BoolArray, Float64Array]:
    positive = np.asarray(truth)
    if positive.ndim != 1 or not np.isin(positive, (0, 1)).all():
        raise ValueError("truth must be one-dimensional and hold nothing but 0 and 1")
    table = [np.asarray(score, dtype=np.float64) for score in scores]
    if any(score.shape != positive.shape for score in table):
        shapes = [score.shape for score in table]
        raise ValueError(f"truth {positive.shape} and scores {shapes} do not belong together")
    stacked = np.stack(table)
    if not np.isfinite(stacked).all():
        raise ValueError(f"score {stacked[~np.isfinite(stacked)][0]} is not a finite number")
    return positive.astype(bool), stacked


def _check_confidence(confidence: float) -> None:
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence is {confidence}; give a share between 0 and 1, such as 0.95")


def _structural_components(
    positive: BoolArray, scores: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Share of the other kind that each image outranks, by midranks; both kinds must occur.

    Returns
    -------
    of_positives : ndarray of float64, shape (k, positives)
        For k scores; each row's mean is the AUROC.
    of_negatives : ndarray of float64, shape (k, negatives)
        Share of the positives that outrank a negative; the same mean.
    """
    m, n = int(positive.sum()), int((~positive).sum())
    among_all = rankdata(scores, axis=1)
    # A rank among all images less the rank among one's own kind counts the other kind below.
    of_positives = (among_all[:, positive] - rankdata(scores[:, positive], axis=1)) / n
    of_negatives = 1.0 - (among_all[:, ~positive] - rankdata(scores[:, ~positive], axis=1)) / m
    return of_positives, of_negatives


def _standard_error(of_positives: Float64Array, of_negatives: Float64Array) -> float:
    """DeLong's standard error of a mean of components, shapes (positives,) and (negatives,)."""
    variance = of_positives.var(ddof=1) / of_positives.size
    return math.sqrt(variance + of_negatives.var(ddof=1) / of_negatives.size)


def _one_kind(positive: BoolArray) -> str | None:
    if positive.size and positive.any() and not positive.all():
        return None
    kind = "positive" if positive.any() else "negative"
    return f"AUROC is undefined: all {positive.size} images are {kind}"


def _too_few(positive: BoolArray) -> str:
    kind = "positive" if positive.sum() < 2 else "negative"
    return f"only one {kind} image: DeLong's variance needs two of either kind"


def delong_test(
    truth: npt.ArrayLike,
    scores_a: npt.ArrayLike,
    scores_b: npt.ArrayLike,
    confidence: float = 0.95,
) -> AurocComparison:
    """Test whether two classifiers, scored on the same images, have the same AUROC.

    Parameters
    ----------
    truth : array-like of 0 and 1 or bool, shape (n,)
        Whether an image is of the positive class.
    scores_a, scores_b : array-like of float, shape (n,)
        Higher means more positive; each on a scale of its own.
    confidence : float, default 0.95
        Coverage of the interval of the difference.

    Returns
    -------
    AurocComparison
        p is 1 where the two rank all pairs alike. There is no test where the difference has a
        variance of 0 otherwise (one ranks perfectly right, the other perfectly wrong).

    Raises
    ------
    ValueError
        Shapes that do not fit, a score that is not finite, `confidence` outside (0, 1).

    References
    ----------
    DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44:837-845; Sun & Xu (2014), IEEE Signal
    Process Lett 21:1389-1393, for the computation by midranks, O(n log n).
    """
    _check_confidence(confidence)
    positive, stacked = _checked(truth, scores_a, scores_b)
    reason = _one_kind(positive)
    if reason:
        return AurocComparison(None, None, None, None, None, None, None, None, reason)
    of_positives, of_negatives = _structural_components(positive, stacked)
    a, b = (float(auroc) for auroc in of_positives.mean(axis=1))
    difference = a - b
    if min(of_positives.shape[1], of_negatives.shape[1]) < 2:
        why = _too_few(positive)
        return AurocComparison(a, b, difference, None, None, None, None, None, why)
    # The variance of the difference image by image: a difference of variances would be rounding.
    error = _standard_error(of_positives[0] - of_positives[1], of_negatives[0] - of_negatives[1])
    if error < _ROUNDING:
        why = "the difference has no variance on these images: it cannot be tested"
        if abs(difference) < _ROUNDING:
            why = "both rank these images alike: there is no difference to test"
        p = 1.0 if abs(difference) < _ROUNDING else None
        return AurocComparison(a, b, difference, None, None, None, None, p, why)
    half = float(ndtri(0.5 + confidence / 2.0)) * error
    z = difference / error
    return AurocComparison(
        auroc_a=a,
        auroc_b=b,
        difference=difference,
        standard_error=error,
        low=max(-1.0, difference - half),
        high=min(1.0, difference + half),
        z=z,
        p=float(2.0 * norm.sf(abs(z))),
        reason=None,
    )


def mcnemar_test(correct_a: npt.ArrayLike, correct_b: npt.ArrayLike) -> McNemarResult:
    """Test whether two classifiers are right equally often on the same images.

    Only the images count on which one is right and the other is not.

    Parameters
    ----------
    correct_a, correct_b : array-like of bool, shape (n,)
        Whether each classifier is right on an image.

    Returns
    -------
    McNemarResult
        Exact with fewer than 25 such images, else chi-squared with Edwards' correction,
        ``(|b - c| - 1)² / (b + c)``.

    Raises
    ------
    ValueError
        If the arrays are not bool of one length.

    References
    ----------
    McNemar (1947), Psychometrika 12:153-157; Edwards (1948), Psychometrika 13:185-187.
    """
    a, b = np.asarray(correct_a), np.asarray(correct_b)
    if a.ndim != 1 or a.shape != b.shape or a.dtype != bool or b.dtype != bool:
        raise ValueError(
            f"correct_a is {a.dtype} {a.shape} and correct_b {b.dtype} {b.shape};"
            " expected bool of one length"
        )
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    discordant = only_a + only_b
    reason: str | None = None
    p: float | None
    if discordant < EXACT_BELOW:
        method, statistic = "exact binomial", float(min(only_a, only_b))
        p = float(binomtest(only_a, discordant, 0.5).pvalue) if discordant else 1.0
    else:
        method = "chi-squared with continuity correction"
        statistic = max(0, abs(only_a - only_b) - 1) ** 2 / discordant
        p = float(chi2.sf(statistic, 1))
    if not discordant:
        reason = f"both are right on the same images of {a.size}: there is no difference to test"
    if not a.size:
        p, reason = None, "there are no images"
    return McNemarResult(
        both_right=int((a & b).sum()),
        only_a_right=only_a,
        only_b_right=only_b,
        both_wrong=int((~a & ~b).sum()),
        method=method,
        statistic=statistic,
        p=p,
        reason=reason,
    )


def compared_runs(
    runs: Sequence[Mapping[str, Any]], tables: Sequence[pd.DataFrame], classes: Sequence[str]
) -> list[dict[str, Any]]:
    """Compare the runs on one division: recipes of one seed, and seeds of one recipe.

    `tables` are as from `prediction_table.read_test_predictions`, of the same images. One row a
    pair of runs, `COLUMNS`; those of AUROC where there are two classes.
    """
    rows = []
    for (a, of_a), (b, of_b) in combinations(zip(runs, tables, strict=True), 2):
        # Other seeds of other recipes would tell neither of seeds nor of recipes.
        if a["scheme"] != b["scheme"] and a["seed"] != b["seed"]:
            continue
        paired = mcnemar_test(of_a["correct"].to_numpy(), of_b["correct"].to_numpy())
        row = {
            **{key: a[key] for key in ("task", "fold", "division")},
            **{f"{key}_{side}": run[key] for side, run in (("a", a), ("b", b))
               for key in ("scheme", "seed")},
            **{"n": len(of_a), "note": paired.reason or ""},
            **{"accuracy_a": of_a["correct"].mean(), "accuracy_b": of_b["correct"].mean()},
            **{"only_a_right": paired.only_a_right, "only_b_right": paired.only_b_right},
            **{"mcnemar_p": paired.p, "mcnemar_method": paired.method},
        }  # fmt: skip
        if len(classes) == 2:
            a_says, b_says = (t[f"probability_{classes[1]}"].to_numpy(float) for t in (of_a, of_b))
            test = delong_test((of_a["label"] == classes[1]).to_numpy(), a_says, b_says)
            row |= {
                **{"auroc_a": test.auroc_a, "auroc_b": test.auroc_b},
                **{"auroc_difference": test.difference, "delong_p": test.p},
                **{"auroc_low": test.low, "auroc_high": test.high},
                "note": "; ".join(filter(None, [paired.reason, test.reason])),
            }
        rows.append(row)
    return rows
