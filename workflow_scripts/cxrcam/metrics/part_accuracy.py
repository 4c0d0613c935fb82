"""Accuracy on one part of the images."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from workflow_scripts.cxrcam.arrays import Int64Array
from workflow_scripts.cxrcam.metrics.intervals import wilson_interval


def part_accuracy(
    truth: Int64Array, predicted: Int64Array, classes: Sequence[str]
) -> dict[str, Any]:
    """Accuracy on one part of the images, with what unequal class sizes do to it.

    Parameters
    ----------
    truth, predicted : int array, shape (n,), n ≥ 1
        Positions in `classes`.
    classes : sequence of str

    Returns
    -------
    dict
        ``n``, ``correct``, ``accuracy``, ``accuracy_interval`` (Wilson, 95 %), ``sensitivity`` by
        class (None for a class without images), ``balanced_accuracy`` (their mean over the classes
        that are there).
    """
    if len(truth) == 0:
        raise ValueError("a part without images has no accuracy")
    right = truth == predicted
    sensitivity = {
        name: float(right[truth == k].mean()) if (truth == k).any() else None
        for k, name in enumerate(classes)
    }
    return {
        "n": len(truth),
        "correct": int(right.sum()),
        "accuracy": float(right.mean()),
        "accuracy_interval": list(wilson_interval(int(right.sum()), len(truth))),
        "sensitivity": sensitivity,
        "balanced_accuracy": float(np.mean([v for v in sensitivity.values() if v is not None])),
    }
