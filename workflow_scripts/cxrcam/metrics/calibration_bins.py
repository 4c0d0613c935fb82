"""How far confidence and accuracy lie apart, bin by bin of the confidence."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

CALIBRATION_BINS: Final = 15
"""As in Guo et al. 2017."""


def calibration_bins(confidence: npt.ArrayLike, correct: npt.ArrayLike) -> pd.DataFrame:
    """Accuracy and mean confidence in 15 equal-width bins of the confidence.

    Bin m of b holds confidences in ((m − 1)/b, m/b] (the first also 0).

    Parameters
    ----------
    confidence : array-like of float, shape (n,)
        Probability of the predicted class, in [0, 1].
    correct : array-like of bool, shape (n,)
        Whether the prediction was right.

    Returns
    -------
    DataFrame
        One row a bin: `low`, `high` (edges), `n`, `correct` (counts), `confidence` (mean) and
        `accuracy` (share), the last two NaN where the bin is empty.
    """
    scores = np.asarray(confidence, dtype=np.float64)
    right = np.asarray(correct, dtype=bool)
    bins = CALIBRATION_BINS
    edges = np.linspace(0.0, 1.0, bins + 1)
    bin_of = np.searchsorted(edges[1:-1], scores, side="left")
    n = np.bincount(bin_of, minlength=bins)
    n_correct = np.bincount(bin_of, weights=right, minlength=bins)
    total = np.bincount(bin_of, weights=scores, minlength=bins)
    empty = np.full(bins, np.nan)
    return pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "n": n,
            "correct": n_correct.astype(np.int64),
            "confidence": np.divide(total, n, out=empty.copy(), where=n > 0),
            "accuracy": np.divide(n_correct, n, out=empty.copy(), where=n > 0),
        }
    )


def expected_calibration_error(confidence: npt.ArrayLike, correct: npt.ArrayLike) -> float:
    """Mean gap between confidence and accuracy, weighted by the number of images in each bin.

    Top-label expected calibration error, equation (3) of Guo et al. 2017, "On Calibration of
    Modern Neural Networks".

    Parameters
    ----------
    confidence, correct
        As in `calibration_bins`.

    Returns
    -------
    float
        In [0, 1]; 0 is perfect.
    """
    table = calibration_bins(confidence, correct)
    used = table[table["n"] > 0]
    gap = (used["accuracy"] - used["confidence"]).abs()
    return float((gap * used["n"]).sum() / used["n"].sum())
