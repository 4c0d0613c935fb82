"""Classes of unequal size: weights in the loss, and balanced epochs."""

import logging
from collections import Counter
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tests.unit.training_job_example import small_job
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.networks.device_images import Normalisation, Pixels
from workflow_scripts.cxrcam.networks.models import load_model
from workflow_scripts.cxrcam.networks.training import job as training_job
from workflow_scripts.cxrcam.networks.training.class_balance import (
    balanced_order,
    class_weights,
    numbered_sources,
    order_within_sources,
)
from workflow_scripts.cxrcam.networks.training.job import train_classifier
from workflow_scripts.cxrcam.networks.training.recipe import TrainSettings
from workflow_scripts.cxrcam.networks.training.step import Batch, Learner

pytestmark = pytest.mark.usefixtures("one_torch_thread")

CPU = torch.device("cpu")
LABELS = np.array([0] * 6 + [1] * 3 + [2])
CLASSES = ["Normal", "COVID", "Viral Pneumonia"]
SETTINGS = {
    **{"epochs": 1, "batch_size": 4, "optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.0},
    **{"weight_decay": 0.0, "schedule": "constant", "horizontal_flip": 0.0, "watch": []},
    **{"evaluate_every": "epoch", "keep": "last", "patience": 0},
}

# --- weights --------------------------------------------------------------------------------------


def test_balanced_weights_let_each_class_count_alike():
    weights = class_weights(LABELS, CLASSES, "balanced")
    np.testing.assert_allclose(weights, [10 / 18, 10 / 9, 10 / 3])
    np.testing.assert_allclose(np.bincount(LABELS) * weights, [10 / 3] * 3)


def test_weights_of_ones_own_keep_their_ratios_and_have_the_mean_1_over_the_images():
    chosen = {"Viral Pneumonia": 4, "Normal": 1, "COVID": 2}  # in another order
    weights = class_weights(LABELS, CLASSES, chosen)
    np.testing.assert_allclose(weights / weights[0], [1, 2, 4])
    assert weights[LABELS].mean() == pytest.approx(1)


def test_without_weights_there_are_none_and_a_class_without_images_does_no_harm():
    assert class_weights(LABELS, CLASSES, "none") is None
    weights = class_weights(np.array([0, 0, 0, 2]), CLASSES, "balanced")
    np.testing.assert_allclose(weights[[0, 2]], [2 / 3, 2])
    assert np.isfinite(weights).all()


def test_the_loss_and_its_gradient_are_those_of_weighted_images():
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 2))
    nn.init.zeros_(network[1].weight)
    network[1].bias.data = torch.tensor([1.0, 3.0]).log()  # probabilities 1/4 and 3/4
    labels = np.array([0, 0, 0, 1])
    part = Pixels.on(CPU, np.zeros((4, 4, 4), np.uint8), labels)
    weights = torch.tensor([0.5, 2.5])
    plain = Normalisation((0.0,) * 3, (1.0,) * 3)
    settings = TrainSettings.from_mapping(SETTINGS)
    learner = Learner(network, part, settings, plain, "float32", class_weights=weights)
    batch = Batch(0, torch.arange(4), torch.zeros(4, dtype=torch.bool), part.labels)
    loss = learner.step(batch, 0.1)
    expected = (3 * 0.5 * np.log(4) + 2.5 * np.log(4 / 3)) / 4
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    assert learner.loss_sum.item() == pytest.approx(4 * expected, rel=1e-6)
    # Mean over the images of w (p - truth), of the first class.
    gradient = (3 * 0.5 * (0.25 - 1) + 2.5 * 0.25) / 4
    moved = network[1].bias.detach().numpy() - np.log([1, 3])
    np.testing.assert_allclose(moved, [-0.1 * gradient, 0.1 * gradient], rtol=1e-5)


def test_sub_classes_have_the_weight_of_their_class():
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 4))
    nn.init.zeros_(network[1].weight)
    network[1].bias.data = torch.tensor([1.0, 3.0, 2.0, 4.0]).log()
    part = Pixels.on(CPU, np.zeros((4, 4, 4), np.uint8), np.arange(4))
    learner = Learner(
        *(network, part, TrainSettings.from_mapping(SETTINGS)),
        *(Normalisation((0.0,) * 3, (1.0,) * 3), "float32"),
        sub_classes=2,
        class_weights=torch.tensor([0.5, 1.5]),
    )
    batch = Batch(0, torch.arange(4), torch.zeros(4, dtype=torch.bool), part.labels)
    loss = learner.step(batch, 0.1)
    each = np.array([0.5, 0.5, 1.5, 1.5])
    assert loss.item() == pytest.approx((each * -np.log([0.1, 0.3, 0.2, 0.4])).mean(), rel=1e-5)
    shown = (each * -np.log([0.4, 0.4, 0.6, 0.6])).sum()
    assert learner.loss_sum.item() == pytest.approx(shown, rel=1e-5)


# --- balanced epochs ------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 4), min_size=1, max_size=80), st.integers(0, 9))
def test_a_balanced_epoch_is_as_long_and_has_as_many_of_each_class(labels, seed):
    labels = np.array(labels)
    order = balanced_order(labels, np.random.default_rng(seed))
    assert len(order) == len(labels)
    counts = np.unique(labels[order], return_counts=True)
    assert np.array_equal(counts[0], np.unique(labels))
    assert np.ptp(counts[1]) <= 1
    times = np.bincount(order, minlength=len(labels))
    for name in counts[0]:
        assert np.ptp(times[labels == name]) <= 1, "an image comes again before all have come"


def test_balanced_epochs_differ_mix_the_classes_and_show_each_image_of_a_large_one_in_time():
    rng = np.random.default_rng(0)
    labels = np.array([0] * 90 + [1] * 10)
    epochs = [balanced_order(labels, rng) for _ in range(20)]
    assert not np.array_equal(epochs[0], epochs[1])
    assert set(chain(*epochs)) == set(range(100))
    first_half = [(labels[order[:50]] == 1).mean() for order in epochs]
    assert 0.4 < np.mean(first_half) < 0.6 and 0.25 < min(first_half)


def test_the_odd_image_goes_to_another_class_from_time_to_time():
    labels = np.array([0, 0, 0, 1, 1])
    rng = np.random.default_rng(0)
    assert {int((labels[balanced_order(labels, rng)] == 0).sum()) for _ in range(20)} == {2, 3}


# --- a job ----------------------------------------------------------------------------------------

LOG = logging.getLogger("test")


@pytest.fixture
def no_signals(monkeypatch) -> None:
    """The handlers of the process that runs the tests stay as they are."""
    monkeypatch.setattr(training_job.signal, "signal", lambda *_: None)


@pytest.mark.usefixtures("no_signals")
def test_a_job_weighs_by_its_training_images_and_says_so(tmp_path: Path, caplog):
    weights = {"class_weights": {"bright": 3.0, "dark": 1.0}}
    caplog.set_level(logging.INFO)
    plain, weighted, decomposed = (
        small_job(tmp_path / "plain"),
        small_job(tmp_path / "weighted", settings=weights),
        small_job(tmp_path / "decomposed", {"decompose": 2}, weights),
    )
    for job in (plain, weighted, decomposed):
        train_classifier(job, CPU, LOG)
    assert caplog.text.count("Weights of the classes in the loss: bright 1.5, dark 0.5.") == 2
    models = [Path(job.model_file) for job in (plain, weighted, decomposed)]
    assert models[0].read_bytes() != models[1].read_bytes()
    for file in models[1:]:
        card = load_model(file)[1].training
        assert card["weights_in_loss"] == {"bright": 1.5, "dark": 0.5}
        assert card["class_weights"] == weights["class_weights"]
    assert "weights_in_loss" not in load_model(models[0])[1].training
    assert plain.configuration_hash() != weighted.configuration_hash()


# --- epochs balanced within sources ---------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_each_source_keeps_its_share_and_has_as_many_of_each_class(seed):
    labels = np.array([0] * 6 + [1] * 2 + [0] * 1 + [1] * 5)
    sources = np.array([0] * 8 + [1] * 6)
    order = order_within_sources(labels, sources, np.random.default_rng(seed))
    drawn = Counter(zip(sources[order].tolist(), labels[order].tolist(), strict=True))
    assert drawn == {(0, 0): 4, (0, 1): 4, (1, 0): 3, (1, 1): 3}
    assert len(np.unique(sources[order][:8])) == 2  # not one source after the other


def test_sources_are_numbered_and_images_without_one_are_one_more():
    numbers = numbered_sources(["b", "a", None, "b", "a", None], list("xxxyyy"), ["x", "y"])
    assert numbers.tolist() == [1, 0, 2, 1, 0, 2]


def test_a_source_that_lacks_a_class_is_named_with_the_way_out():
    with pytest.raises(InputError, match=r"source 'a' is of the class y.*leave that source out"):
        numbered_sources(["a", "a", "b", "b"], list("xxxy"), ["x", "y"])
