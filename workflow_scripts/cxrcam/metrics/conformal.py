"""Sets of classes that hold the truth with a chosen probability: split-conformal prediction.

The score of a class is one minus its probability (LAC, Sadinle et al. 2019): the sets are the
smallest on average, and may be empty. Scores of images whose class is known and that the network
was not trained on say how large the score of the truth usually is; a class stays in the set of a
new image unless its score is larger than nearly all of them.

What is guaranteed: over images drawn like those of the calibration, the set holds the truth at
least as often as asked for, whatever the network is worth. On average over all images: not for each
class, nor for images from elsewhere.

References
----------
Sadinle, Lei & Wasserman (2019), J Am Stat Assoc 114:223-234. Romano, Sesia & Candès (2020),
NeurIPS. Angelopoulos & Bates (2021), arXiv:2107.07511. Cross-conformal: Vovk (2015), Ann Math
Artif Intell 74:9-28; Barber, Candès, Ramdas & Tibshirani (2021), Ann Stat 49:486-507.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from workflow_scripts.cxrcam.arrays import BoolArray, Float64Array, Int64Array

# Shares such as 1 - 0.9 are a hair off; no more than this decides nothing.
_ROUNDING = 1e-9


def conformal_scores(probabilities: npt.ArrayLike, labels: Int64Array) -> Float64Array:
    """How badly the truth fitted each image of the calibration.

    Parameters
    ----------
    probabilities : array-like of float, shape (n, classes)
    labels : int array, shape (n,)
        Positions of the true classes.

    Returns
    -------
    float64 array, shape (n,)
        One minus the probability of the true class, in [0, 1].
    """
    values = np.asarray(probabilities, dtype=np.float64)
    scores: Float64Array = 1.0 - values[np.arange(len(values)), labels]
    return scores


def fewest_images(coverage: float) -> int:
    """Number of calibration images below which only the set of all classes has this coverage.

    The ceil((n + 1) · coverage)-th smallest of n scores must exist.
    """
    return math.ceil(coverage / (1.0 - coverage) - _ROUNDING)


def prediction_sets(
    probabilities: Sequence[npt.ArrayLike], scores: Sequence[npt.ArrayLike], coverage: float
) -> BoolArray:
    """Classes that stay possible for new images, by one or several calibrated predictors.

    Parameters
    ----------
    probabilities : sequence of array-like of float, shape (n, classes)
        What each predictor says of the same new images; one predictor a fold.
    scores : sequence of array-like of float
        Scores of each predictor on its own calibration images.
    coverage : float
        In (0, 1).

    Returns
    -------
    bool array, shape (n, classes)
        With one predictor: the classes with a score of at most the ceil((n + 1) · coverage)-th
        smallest of n; all, where n is below `fewest_images`. With several (cross-conformal
        prediction) a class stays if more than 1 − coverage of all calibration
        scores, its own counted with them, are at least as large as its score by the same
        predictor. That guarantees about 1 − 2 (1 − coverage), and as a rule gives the coverage.
    """
    at_least_as_large = np.zeros(np.shape(probabilities[0]), dtype=np.int64)
    total = 0
    for values, known in zip(probabilities, scores, strict=True):
        ordered = np.sort(np.asarray(known, dtype=np.float64))
        of_classes = 1.0 - np.asarray(values, dtype=np.float64)
        at_least_as_large += len(ordered) - np.searchsorted(ordered, of_classes)
        total += len(ordered)
    share = (1.0 + at_least_as_large) / (1.0 + total)
    stays: BoolArray = share > 1.0 - coverage + _ROUNDING
    return stays
