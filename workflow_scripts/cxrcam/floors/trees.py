"""Extremely randomised trees: the classifier of floors and of traces of acquisition."""

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import ExtraTreesClassifier

from workflow_scripts.cxrcam.arrays import Int64Array


def fitted_trees(
    features: npt.NDArray[np.floating],
    labels: Int64Array,
    trees: int,
    seed: int,
    threads: int = 1,
) -> ExtraTreesClassifier:
    """Train a forest (Geurts, Ernst & Wehenkel 2006, Mach Learn 63:3-42).

    Parameters
    ----------
    features : float array, shape (n, columns)
    labels : int array, shape (n,)
    trees : int
    seed : int
        0 to 2³² - 1.
    threads : int, default 1
        Threads that grow trees. The forest does not depend on their number, as each tree's seed is
        drawn beforehand.

    Returns
    -------
    ExtraTreesClassifier
        Predicts in one thread: several would add the trees up in changing order.
    """
    forest = ExtraTreesClassifier(trees, random_state=seed, n_jobs=threads)
    forest.fit(features, labels)
    return forest.set_params(n_jobs=1)
