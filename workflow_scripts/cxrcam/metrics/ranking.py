"""By what images are ranked for a class: AUROC, average precision and their curves go by it."""

import numpy as np
import numpy.typing as npt

from workflow_scripts.cxrcam.arrays import Float64Array


def class_log_odds(probabilities: npt.ArrayLike) -> Float64Array:
    """Log-odds of each class against all others together.

    They rank images as the probabilities do, but keep what a probability near 1 loses: stored in
    float32, 1 - 1e-9 and 1 - 1e-12 are both 1, while the other classes still tell them apart. So
    the two classes of a task have one AUROC, however sure the network is.

    Parameters
    ----------
    probabilities : array-like of float, shape (n, k)
        Of k >= 2 classes that exclude one another.

    Returns
    -------
    ndarray of float64, shape (n, k)
        Finite, in nats. Of two classes, one column is minus the other.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    # Not 1 - p, which would be 0 where p is 1.
    others = np.stack([np.delete(values, k, 1).sum(axis=1) for k in range(values.shape[1])], axis=1)
    smallest = np.finfo(np.float64).tiny
    odds: Float64Array = np.log(np.maximum(values, smallest)) - np.log(np.maximum(others, smallest))
    return odds
