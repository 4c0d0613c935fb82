"""The channels that speak for a class."""

import numpy as np
import pytest

from workflow_scripts.cxrcam.maps.channels import speaking_samples, strongest_channels

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


def test_the_sample_of_a_class_is_its_own_image_on_which_its_channels_say_most():
    table = strongest_channels(POOLED, WEIGHTS, LABELS, ["a", "b"], 2)
    # Channels 1 and 0 of a: 3 × 2 + 1 on the first image, 3 on the second.
    assert speaking_samples(table, POOLED, WEIGHTS, LABELS, ["a", "b"]) == {"a": 0, "b": 2}
    one = table[table["rank"] == 2]  # channel 0 alone: 1 on the first image, 3 on the second
    assert speaking_samples(one, POOLED, WEIGHTS, LABELS, ["a", "b"])["a"] == 1
