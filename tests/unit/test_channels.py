"""The channels that speak for a class."""

import numpy as np
import pytest

from workflow_scripts.cxrcam.maps.channels import strongest_channels

POOLED = np.array([[1.0, 2.0, 0.0], [3.0, 0.0, 1.0], [0.0, 0.0, 5.0]])
WEIGHTS = np.array([[1.0, 3.0, -1.0], [0.0, -1.0, 2.0]])
LABELS = np.array([0, 0, 1])


def test_contributions_are_weight_times_mean_feature_of_the_classes_own_images():
    found = strongest_channels(POOLED, WEIGHTS, LABELS, ["a", "b"], 3)
    first = found[found["class"] == "a"]
    assert first["channel"].tolist() == [1, 0, 2]
    assert first["contribution"].tolist() == pytest.approx([3.0, 2.0, -0.5])
    assert first["share"].tolist() == pytest.approx([0.6, 0.4, 0.0])


def test_contributions_add_up_to_the_mean_logit_without_bias():
    found = strongest_channels(POOLED, WEIGHTS, LABELS, ["a", "b"], 3)
    logits = POOLED @ WEIGHTS.T
    sums = found.groupby("class")["contribution"].sum()
    assert sums["a"] == pytest.approx(logits[:2, 0].mean())
    assert sums["b"] == pytest.approx(logits[2, 1])


def test_a_class_without_images_has_no_channels():
    found = strongest_channels(POOLED[:2], WEIGHTS, LABELS[:2], ["a", "b"], 1)
    assert found["class"].tolist() == ["a"]
