"""Temperature scaling: finds what was hidden, changes no decision, never makes it worse."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from workflow_scripts.cxrcam.metrics.calibration import (
    HIGHEST_TEMPERATURE,
    LOWEST_TEMPERATURE,
    apply_temperature,
    fit_temperature,
)


def calibrated(rng, n, classes, spread=2.0):
    """Logits, and labels that are drawn with exactly the probabilities the logits state."""
    logits = rng.normal(scale=spread, size=(n, classes))
    drawn = rng.random((n, 1)) > np.cumsum(softmax(logits, axis=1), axis=1)
    return logits, drawn.sum(axis=1).clip(max=classes - 1)


@pytest.mark.parametrize("hidden", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_known_temperature_is_recovered(hidden, classes):
    logits, labels = calibrated(np.random.default_rng(3), 20_000, classes)
    found = fit_temperature(logits * hidden, labels)
    assert found.temperature == pytest.approx(hidden, rel=0.04)
    assert found.reason is None


def test_two_classes_agree_with_an_unpenalised_logistic_regression_of_one_coefficient():
    logits, labels = calibrated(np.random.default_rng(5), 500, 2)
    logits *= 1.7
    difference = logits[:, 1:] - logits[:, :1]
    regression = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10).fit(
        difference, labels
    )
    found = fit_temperature(logits, labels)
    assert found.temperature == pytest.approx(1 / regression.coef_[0, 0], rel=1e-4)


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 300), st.integers(1, 30))
@settings(max_examples=60)
def test_no_fit_is_worse_than_none_and_no_decision_changes(seed, scale, n):
    rng = np.random.default_rng(seed)
    logits, labels = calibrated(rng, n, 3)
    logits *= scale
    found = fit_temperature(logits, labels)
    assert found.nll_after <= found.nll_before
    assert LOWEST_TEMPERATURE - 1e-12 <= found.temperature <= HIGHEST_TEMPERATURE + 1e-12
    scaled = apply_temperature(logits, found.temperature)
    # Probabilities may saturate at 1 and 0, but the largest stays where the largest logit is.
    assert (scaled[np.arange(n), logits.argmax(axis=1)] == scaled.max(axis=1)).all()


def test_the_reported_likelihood_is_scikit_learn_s_log_loss():
    logits, labels = calibrated(np.random.default_rng(7), 60, 3)
    found = fit_temperature(3 * logits, labels)
    after = log_loss(labels, apply_temperature(3 * logits, found.temperature), labels=[0, 1, 2])
    before = log_loss(labels, apply_temperature(3 * logits, 1.0), labels=[0, 1, 2])
    assert (found.nll_before, found.nll_after) == pytest.approx((before, after), abs=1e-12)


def test_separable_data_stop_at_the_lower_bound_and_say_so():
    logits = np.array([[2.0, -1.0], [-1.0, 2.0], [3.0, 0.0]])
    found = fit_temperature(logits, np.array([0, 1, 0]))
    assert found.temperature == pytest.approx(LOWEST_TEMPERATURE)
    assert "bound 0.05" in found.reason


def test_logits_that_are_always_wrong_stop_at_the_upper_bound_and_say_so():
    logits = np.array([[2.0, -1.0], [-1.0, 2.0]])
    found = fit_temperature(logits, np.array([1, 0]))
    assert found.temperature == pytest.approx(HIGHEST_TEMPERATURE)
    assert "bound 20" in found.reason


@pytest.mark.parametrize(
    ("logits", "labels", "reason"),
    [(np.zeros((4, 2)), [0, 1, 1, 1], "equal"), (np.zeros((0, 2)), [], "no images")],
)
def test_logits_without_information_leave_temperature_one_with_a_reason(logits, labels, reason):
    found = fit_temperature(logits, np.array(labels, dtype=np.int64))
    assert found.temperature == 1.0
    assert reason in found.reason


def test_a_fit_names_the_logit_that_makes_no_sense():
    with pytest.raises(ValueError, match="logit inf"):
        fit_temperature(np.array([[1.0, math.inf]]), np.array([0]))
