"""Accuracy of one network on images with a part taken away."""

from typing import Any

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.arrays import Float32Array, Int64Array
from workflow_scripts.cxrcam.images.covering import MASKING_VARIANTS
from workflow_scripts.cxrcam.metrics.part_accuracy import part_accuracy


def covered_scores(
    test: pd.DataFrame, covered: pd.DataFrame, classes: list[str], reason: str
) -> pd.DataFrame:
    """Accuracy in each way of covering images, beside that on the same images as they are.

    Parameters
    ----------
    test : DataFrame
        Predictions of the test part: ``image_id``, ``label``, ``probability_<class>``.
    covered : DataFrame
        As of `contracts.covered_schema`: those of them that could be covered.
    classes : list of str
    reason : str
        Why there are no predictions, where there are none for some variant.

    Returns
    -------
    DataFrame
        One row a variant of `MASKING_VARIANTS`: ``variant``, ``title``, ``n`` and, where n > 0,
        ``accuracy``, ``low``, ``high`` (Wilson, 95 %), ``balanced_accuracy``,
        ``original_accuracy``, ``original_balanced_accuracy``, ``majority_share``,
        ``classes_with_images``; else ``reason``.
    """
    columns = [f"probability_{name}" for name in classes]
    whole = test.set_index("image_id")
    rows: list[dict[str, Any]] = []
    for variant in MASKING_VARIANTS:
        called = covered[covered["variant"] == variant.name]
        row = {"variant": variant.name, "title": variant.title, "n": len(called)}
        if called.empty:
            rows.append(row | {"reason": reason})
            continue
        of_whole = whole.loc[called["image_id"]]
        truth = of_whole["label"].map(classes.index).to_numpy(dtype=np.int64)
        scores = _accuracy(truth, called[columns].to_numpy(), of_whole[columns].to_numpy())
        rows.append(row | scores)
    return pd.DataFrame(rows)


def _accuracy(truth: Int64Array, covered: Float32Array, whole: Float32Array) -> dict[str, Any]:
    names = [str(k) for k in range(covered.shape[1])]
    result = part_accuracy(truth, covered.argmax(axis=1), names)
    original = part_accuracy(truth, whole.argmax(axis=1), names)
    return {
        "accuracy": result["accuracy"],
        "low": result["accuracy_interval"][0],
        "high": result["accuracy_interval"][1],
        "balanced_accuracy": result["balanced_accuracy"],
        "original_accuracy": original["accuracy"],
        "original_balanced_accuracy": original["balanced_accuracy"],
        # With lung masks for some images only, these can be of few classes.
        "majority_share": float(np.bincount(truth).max() / len(truth)),
        "classes_with_images": len(np.unique(truth)),
        "reason": "",
    }
