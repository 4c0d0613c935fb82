"""Accuracy on a part, and thresholds chosen on another one."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from workflow_scripts.cxrcam.metrics.decisions import at_threshold, youden_threshold
from workflow_scripts.cxrcam.metrics.part_accuracy import part_accuracy

CLASSES = ["a", "b", "c"]


def test_accuracy_of_a_part_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 3, 200), rng.integers(0, 3, 200)
    found = part_accuracy(truth, predicted, CLASSES)
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, predicted))
    assert found["correct"] == int((truth == predicted).sum())
    low, high = found["accuracy_interval"]
    assert low < found["accuracy"] < high


def test_a_class_without_images_has_no_sensitivity_and_is_left_out_of_the_mean():
    found = part_accuracy(np.array([0, 0, 1]), np.array([0, 2, 1]), CLASSES)
    assert found["sensitivity"] == {"a": 0.5, "b": 1.0, "c": None}
    assert found["balanced_accuracy"] == 0.75


def test_a_part_without_images_is_refused():
    with pytest.raises(ValueError, match="without images"):
        part_accuracy(np.array([], dtype=int), np.array([], dtype=int), CLASSES)


def test_the_threshold_separates_what_can_be_separated():
    positive = np.array([False, False, False, True, True])
    score = np.array([0.01, 0.02, 0.10, 0.30, 0.90])
    assert youden_threshold(positive, score) == pytest.approx(0.20)


def test_the_threshold_has_the_largest_youden_index_of_all():
    rng = np.random.default_rng(1)
    positive = rng.random(150) < 0.3
    score = np.clip(0.4 * positive + rng.random(150) * 0.6, 0, 1)

    def youden(threshold: float) -> float:
        called = score >= threshold
        return called[positive].mean() - called[~positive].mean()

    best = max(youden(t) for t in np.append(score, 1.1))
    assert youden(youden_threshold(positive, score)) == pytest.approx(best)


def test_scores_that_say_nothing_leave_the_threshold_in_the_middle():
    assert youden_threshold(np.array([True, False]), np.array([0.1, 0.9])) == 0.5


def test_results_at_a_threshold_are_counted_by_hand():
    positive = np.array([True, True, True, False, False])
    found = at_threshold(positive, np.array([0.9, 0.5, 0.2, 0.6, 0.1]), 0.5)
    assert found["sensitivity"] == pytest.approx(2 / 3)
    assert found["specificity"] == 0.5
    assert found["accuracy"] == 0.6
    assert at_threshold(positive[:3], np.array([0.9, 0.5, 0.2]), 0.5)["specificity"] is None
