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
import pandas as pd
from scipy.special import ndtri
from scipy.stats import binomtest, chi2, norm, rankdata

from workflow_scripts.cxrcam.arrays import BoolArray, Float64Array
from workflow_scripts.cxrcam.metrics.ranking import class_log_odds

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
        Of the difference, with its 95 % interval in [-1, 1]; None where `reason` says why.
    p : float or None
        Two-sided.
    reason : str or None
        Why there is no test.
    """

    auroc_a: float | None = None
    auroc_b: float | None = None
    difference: float | None = None
    standard_error: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class McNemarResult:
    """Two classifiers, right or wrong on the same images.

    Attributes
    ----------
    only_a_right, only_b_right : int
        Numbers of images.
    method : str
        ``"exact binomial"`` or ``"chi-squared with continuity correction"``.
    p : float or None
        Two-sided; None where `reason` says why.
    reason : str or None
        Why there is no test.
    """

    only_a_right: int
    only_b_right: int
    method: str
    p: float | None
    reason: str | None


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


def delong_test(
    positive: BoolArray, scores_a: Float64Array, scores_b: Float64Array
) -> AurocComparison:
    """Test whether two classifiers, scored on the same images, have the same AUROC.

    Parameters
    ----------
    positive : bool array, shape (n,)
        Whether an image is of the positive class.
    scores_a, scores_b : float array, shape (n,)
        Higher means more positive; each on a scale of its own.

    Returns
    -------
    AurocComparison
        p is 1 where the two rank all pairs alike. There is no test where the difference has a
        variance of 0 otherwise (one ranks perfectly right, the other perfectly wrong).

    Raises
    ------
    ValueError
        Shapes that do not fit, or a score that is not finite.

    References
    ----------
    DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44:837-845; Sun & Xu (2014), IEEE Signal
    Process Lett 21:1389-1393, for the computation by midranks, O(n log n).
    """
    stacked = np.stack([scores_a, scores_b])
    if not np.isfinite(stacked).all():
        raise ValueError(f"score {stacked[~np.isfinite(stacked)][0]} is not a finite number")
    of_kind = {"positive": int(positive.sum()), "negative": int((~positive).sum())}
    rarer, other = sorted(of_kind, key=lambda kind: of_kind[kind])
    if not of_kind[rarer]:
        reason = f"AUROC is undefined: all {positive.size} images are {other}"
        return AurocComparison(reason=reason)
    of_positives, of_negatives = _structural_components(positive, stacked)
    a, b = (float(auroc) for auroc in of_positives.mean(axis=1))
    if of_kind[rarer] < 2:
        reason = f"only one {rarer} image: DeLong's variance needs two of either kind"
        return AurocComparison(a, b, a - b, reason=reason)
    # The variance of the difference image by image: a difference of variances would be rounding.
    error = _standard_error(of_positives[0] - of_positives[1], of_negatives[0] - of_negatives[1])
    if error < _ROUNDING and abs(a - b) < _ROUNDING:
        reason = "both rank these images alike: there is no difference to test"
        return AurocComparison(a, b, a - b, p=1.0, reason=reason)
    if error < _ROUNDING:
        reason = "the difference has no variance on these images: it cannot be tested"
        return AurocComparison(a, b, a - b, reason=reason)
    half = float(ndtri(0.5 + 0.95 / 2.0)) * error
    low, high = max(-1.0, a - b - half), min(1.0, a - b + half)
    p = float(2.0 * norm.sf(abs((a - b) / error)))
    return AurocComparison(a, b, a - b, error, low, high, p)


def mcnemar_test(a: BoolArray, b: BoolArray) -> McNemarResult:
    """Test whether two classifiers are right equally often on the same images.

    Only the images count on which one is right and the other is not.

    Parameters
    ----------
    a, b : bool array, shape (n,)
        Whether each classifier is right on an image.

    Returns
    -------
    McNemarResult
        Exact with fewer than 25 such images, else chi-squared with Edwards' correction,
        ``(|b - c| - 1)² / (b + c)``.

    References
    ----------
    McNemar (1947), Psychometrika 12:153-157; Edwards (1948), Psychometrika 13:185-187.
    """
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    discordant = only_a + only_b
    exact = discordant < EXACT_BELOW
    method = "exact binomial" if exact else "chi-squared with continuity correction"
    if not a.size:
        return McNemarResult(only_a, only_b, method, None, "there are no images")
    if not discordant:
        reason = f"both are right on the same images of {a.size}: there is no difference to test"
        return McNemarResult(only_a, only_b, method, 1.0, reason)
    if exact:
        p = float(binomtest(only_a, discordant, 0.5).pvalue)
    else:
        p = float(chi2.sf(max(0, abs(only_a - only_b) - 1) ** 2 / discordant, 1))
    return McNemarResult(only_a, only_b, method, p, None)


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
            columns = [f"probability_{name}" for name in classes]
            a_says, b_says = (class_log_odds(table[columns])[:, 1] for table in (of_a, of_b))
            test = delong_test((of_a["label"] == classes[1]).to_numpy(), a_says, b_says)
            row |= {
                **{"auroc_a": test.auroc_a, "auroc_b": test.auroc_b},
                **{"auroc_difference": test.difference, "delong_p": test.p},
                **{"auroc_low": test.low, "auroc_high": test.high},
                "note": "; ".join(filter(None, [paired.reason, test.reason])),
            }
        rows.append(row)
    return rows
