"""Numbers beside those of the test part: other parts, the chosen threshold, the temperature."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from workflow_scripts.cxrcam.metrics.calibration import fit_temperature
from workflow_scripts.cxrcam.metrics.run_metrics import (
    at_validation_threshold,
    calibrated,
    other_parts,
)

CLASSES = ["a", "b"]


def predictions(roles: list[str], each: int = 40) -> pd.DataFrame:
    """Images of each role, of which a quarter is called wrongly, and too surely."""
    rng = np.random.default_rng(0)
    n = each * len(roles)
    truth = np.arange(n) % 2
    called = np.where(np.arange(n) // 2 % 4 == 0, 1 - truth, truth)
    logits = np.where(np.eye(2)[called] > 0, 4.0, -4.0) + rng.normal(size=(n, 2))
    table = pd.DataFrame(
        {
            "image_id": [f"i{k}" for k in range(n)],
            "label": np.array(CLASSES)[truth],
            "role": np.repeat(roles, each),
        }
    )
    for k, name in enumerate(CLASSES):
        table[f"logit_{name}"] = logits[:, k].astype(np.float32)
        table[f"probability_{name}"] = softmax(logits, axis=1)[:, k].astype(np.float32)
    return table


def test_shared_test_images_count_as_images_that_were_not_drawn():
    parts = other_parts(predictions(["test", "shared_test", "rest"]), CLASSES)
    assert {name: part["n"] for name, part in parts.items()} == {"shared_test": 40, "rest": 80}
    assert parts["rest"]["accuracy"] == 0.75
    assert other_parts(predictions(["test", "validation"]), CLASSES) == {}
    assert set(other_parts(predictions(["test", "shared_test"]), CLASSES)) == {"shared_test"}


def test_the_threshold_is_chosen_on_validation_images_and_applied_to_test_images():
    table = predictions(["validation", "test"])
    table["probability_b"] = np.where(table["label"] == "b", 0.3, 0.1)
    table.loc[table["role"] == "test", "probability_b"] += 0.15
    found = at_validation_threshold(table, CLASSES)
    assert found["threshold"] == pytest.approx(0.2)
    # On test images 0.25 is above it as well: all are called b.
    assert (found["accuracy"], found["sensitivity"], found["specificity"]) == (0.5, 1.0, 0.0)


@pytest.mark.parametrize(
    ("table", "classes", "reason"),
    [
        (predictions(["validation", "test"]), ["a", "b", "c"], "belongs to two classes"),
        (predictions(["test"]), CLASSES, "no validation part"),
        (predictions(["validation", "test"]).assign(label="a"), CLASSES, "with both classes"),
    ],
)
def test_where_no_threshold_can_be_chosen_the_reason_is_told(table, classes, reason):
    assert reason in at_validation_threshold(table, classes)["reason"]


def test_the_temperature_comes_from_validation_images_and_makes_test_images_honest():
    table = predictions(["validation", "test"])
    probabilities, result = calibrated(table, CLASSES)
    of_validation = table[table["role"] == "validation"]
    truth = (of_validation["label"] == "b").to_numpy().astype(np.int64)
    fit = fit_temperature(of_validation[["logit_a", "logit_b"]].to_numpy(float), truth)
    assert result["temperature"] == fit.temperature > 2
    assert result["expected_calibration_error_after"] < 0.1
    assert result["expected_calibration_error_before"] > 0.2
    assert result["brier_score_after"] < result["brier_score_before"]
    expected = softmax(table[["logit_a", "logit_b"]].to_numpy(float) / fit.temperature, axis=1)
    np.testing.assert_allclose(probabilities["calibrated_probability_b"], expected[:, 1], rtol=1e-6)
    assert probabilities.columns.tolist()[:3] == ["image_id", "label", "role"]


def test_without_a_validation_part_probabilities_stay_what_they_are():
    table = predictions(["test"])
    probabilities, result = calibrated(table, CLASSES)
    assert result["temperature"] == 1.0 and result["reason"]
    raw = table["probability_a"]
    np.testing.assert_allclose(probabilities["calibrated_probability_a"], raw, rtol=1e-5)
