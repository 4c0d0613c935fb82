"""Numbers of one run beside those of its test part: other parts, a threshold, calibration."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.metrics.calibration import apply_temperature, fit_temperature
from workflow_scripts.cxrcam.metrics.calibration_bins import expected_calibration_error
from workflow_scripts.cxrcam.metrics.decisions import at_threshold, youden_threshold
from workflow_scripts.cxrcam.metrics.part_accuracy import part_accuracy
from workflow_scripts.cxrcam.terms import REST, SHARED_TEST, TEST, VALIDATION


def other_parts(predictions: pd.DataFrame, classes: Sequence[str]) -> dict[str, Any]:
    """Accuracy beside the test part: on shared test images, and on all that was not drawn.

    `part_accuracy` of ``shared_test`` and ``rest``, of those that the run has.
    """
    truth = predictions["label"].map(list(classes).index).to_numpy(dtype=np.int64)
    predicted = predictions[[f"probability_{name}" for name in classes]].to_numpy().argmax(axis=1)
    parts = {}
    # Shared test images were not drawn either.
    for name, roles in ((SHARED_TEST, [SHARED_TEST]), (REST, [REST, SHARED_TEST])):
        chosen = predictions["role"].isin(roles).to_numpy()
        if (predictions["role"] == name).any():
            parts[name] = part_accuracy(truth[chosen], predicted[chosen], classes)
    return parts


def at_validation_threshold(predictions: pd.DataFrame, classes: Sequence[str]) -> dict[str, Any]:
    """Test results (`at_threshold`) at the threshold of the validation part, or a ``reason``."""
    if len(classes) != 2:
        return {"reason": "a threshold belongs to two classes; the largest probability decides"}
    positive = (predictions["label"] == classes[1]).to_numpy()
    score = predictions[f"probability_{classes[1]}"].to_numpy(dtype=np.float64)
    validation, test = ((predictions["role"] == role).to_numpy() for role in (VALIDATION, TEST))
    if positive[validation].all() or not positive[validation].any():
        return {"reason": "no validation part with both classes to choose a threshold on"}
    threshold = youden_threshold(positive[validation], score[validation])
    return at_threshold(positive[test], score[test], threshold)


def calibrated(
    predictions: pd.DataFrame, classes: Sequence[str]
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Temperature fitted on the validation part, and what it does to the test part.

    Returns
    -------
    table : DataFrame
        ``image_id``, ``label``, ``role`` and ``calibrated_probability_<class>``; without a
        validation part the raw ones, at temperature 1.
    result : dict
        Fields of `calibration.TemperatureFit`; ``expected_calibration_error`` and ``brier_score``
        of the test part, each ``_before`` and ``_after``.
    """
    truth = predictions["label"].map(list(classes).index).to_numpy(dtype=np.int64)
    logits = predictions[[f"logit_{name}" for name in classes]].to_numpy(dtype=np.float64)
    validation, test = ((predictions["role"] == role).to_numpy() for role in (VALIDATION, TEST))
    fit = fit_temperature(logits[validation], truth[validation])
    probabilities = apply_temperature(logits, fit.temperature)
    table = predictions[["image_id", "label", "role"]].copy()
    for k, name in enumerate(classes):
        table[f"calibrated_probability_{name}"] = probabilities[:, k].astype(np.float32)
    result: dict[str, Any] = dict(vars(fit))
    for when, scores in (("before", apply_temperature(logits, 1.0)), ("after", probabilities)):
        right = scores[test].argmax(axis=1) == truth[test]
        error = expected_calibration_error(scores[test].max(axis=1), right)
        brier = 0.5 * ((scores[test] - np.eye(len(classes))[truth[test]]) ** 2).sum(axis=1)
        result[f"expected_calibration_error_{when}"] = error
        result[f"brier_score_{when}"] = float(brier.mean())
    return table, result
