"""Decisions from probabilities at a threshold that another part chose."""

import numpy as np
from sklearn.metrics import roc_curve

from workflow_scripts.cxrcam.arrays import BoolArray, Float64Array
from workflow_scripts.cxrcam.metrics.intervals import wilson_interval


def youden_threshold(positive: BoolArray, score: Float64Array) -> float:
    """Threshold with the largest sensitivity + specificity - 1 (Youden 1950).

    Parameters
    ----------
    positive : bool array, shape (n,)
        Truth; both values must occur.
    score : float array, shape (n,)
        Called positive where ``score >= threshold``.

    Returns
    -------
    float
        Halfway between the lowest score called positive and the next lower one, so that it does
        not hang on one image; of equally good thresholds the one nearest to 0.5.
    """
    false_positive_rate, sensitivity, thresholds = roc_curve(
        positive, score, drop_intermediate=False
    )
    index = sensitivity - false_positive_rate
    if index.max() <= 0.0:  # nothing beats calling all images the same
        return 0.5
    best = thresholds[index >= index.max() - 1e-12]
    values = np.unique(score)
    candidates = []
    for lowest_positive in best[np.isfinite(best)]:
        below = values[values < lowest_positive]
        candidates.append((lowest_positive + (below[-1] if len(below) else 0.0)) / 2)
    return float(min(candidates, key=lambda value: abs(value - 0.5)))


def at_threshold(
    positive: BoolArray, score: Float64Array, threshold: float
) -> dict[str, float | list[float] | None]:
    """Accuracy, sensitivity and specificity at a threshold, with Wilson intervals (95 %).

    Parameters
    ----------
    positive : bool array, shape (n,), n ≥ 1
    score : float array, shape (n,)
    threshold : float
        Positive where ``score >= threshold``.
    """
    called = score >= threshold
    result: dict[str, float | list[float] | None] = {"threshold": threshold}
    for name, of in (
        ("accuracy", np.ones_like(positive)),
        ("sensitivity", positive),
        ("specificity", ~positive),
    ):
        n, right = int(of.sum()), int((called == positive)[of].sum())
        result[name] = right / n if n else None
        result[f"{name}_interval"] = list(wilson_interval(right, n)) if n else None
    return result
