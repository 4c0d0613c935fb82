"""A network beside the classifiers that cannot see the lungs, on the same test images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from workflow_scripts.cxrcam.floors.descriptions import DESCRIPTIONS
from workflow_scripts.cxrcam.floors.floors import accuracy_gap, best_floor
from workflow_scripts.cxrcam.metrics.intervals import wilson_interval
from workflow_scripts.cxrcam.metrics.ranking import class_log_odds


def compare_with_floors(
    test: pd.DataFrame,
    floors: pd.DataFrame,
    groups: Sequence[str],
    classes: Sequence[str],
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Accuracy and AUROC of each floor, and the network's gap to the best.

    Parameters
    ----------
    test : DataFrame
        The network's test images: ``image_id``, ``label``, ``probability_<class>``.
    floors : DataFrame
        The same columns and images, once for each ``floor``.
    groups : sequence of str
        Group of each row of `test`.
    classes : sequence of str
    rng : np.random.Generator
        Of the bootstrap.

    Returns
    -------
    dict
        ``floors``: by name ``accuracy``, ``accuracy_interval``, ``macro_auroc`` and what it sees;
        ``best``: name of the best one; ``gap``: fields of `floors.AccuracyGap` for it.

    Raises
    ------
    ValueError
        If a floor lacks one of the images.
    """
    columns = [f"probability_{name}" for name in classes]
    number = {name: k for k, name in enumerate(classes)}
    truth = test["label"].map(number).to_numpy(dtype=np.int64)
    network = test[columns].to_numpy().argmax(axis=1)
    results: dict[str, Any] = {}
    predicted = {}
    for name, rows in floors.groupby("floor", sort=False):
        aligned = rows.set_index("image_id").reindex(test["image_id"])
        if aligned[columns].isna().any(axis=None):
            raise ValueError(f"the floor {name!r} was not asked about every test image")
        scores = aligned[columns].to_numpy(dtype=np.float64)
        predicted[str(name)] = scores.argmax(axis=1)
        right = int((predicted[str(name)] == truth).sum())
        results[str(name)] = {
            "sees": DESCRIPTIONS[str(name)],
            "accuracy": right / len(truth),
            "accuracy_interval": list(wilson_interval(right, len(truth))),
            "macro_auroc": _macro_auroc(truth, class_log_odds(scores)),
        }
    best = best_floor({name: result["accuracy"] for name, result in results.items()})
    gap = accuracy_gap(truth, network, predicted[best], np.asarray(groups), rng)
    return {"floors": results, "best": best, "gap": vars(gap)}


def _macro_auroc(truth: np.ndarray, scores: np.ndarray) -> float | None:
    """Mean over the classes of the AUROC against the others; None where a class is missing."""
    kinds = range(scores.shape[1])
    if any((truth == k).all() or not (truth == k).any() for k in kinds):
        return None
    return float(np.mean([roc_auc_score(truth == k, scores[:, k]) for k in kinds]))
