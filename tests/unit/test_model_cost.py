"""Costs of networks: as published."""

import pytest
import torch
import torchvision
from torch import nn

from workflow_scripts.cxrcam.networks.architectures import ARCHITECTURES
from workflow_scripts.cxrcam.networks.cost import multiply_adds, parameter_count

PUBLISHED = [name for name, known in ARCHITECTURES.items() if known.imagenet]


@pytest.mark.parametrize("architecture", PUBLISHED)
def test_costs_are_those_that_torchvision_publishes(architecture):
    known = ARCHITECTURES[architecture]
    with torch.device("meta"):
        ours = known.build(weights=None, num_classes=1000)
        settings = {"init_weights": True} if architecture == "inception_v3" else {}  # or it warns
        theirs = torchvision.models.get_model(architecture, weights=None, **settings)
    published = known.imagenet.meta
    assert multiply_adds(ours, known.imagenet.transforms().crop_size[0]) == pytest.approx(
        published["_ops"], rel=0.01
    )
    assert parameter_count(theirs) == published["num_params"]
    auxiliary = getattr(theirs, "AuxLogits", None)
    without = published["num_params"] - (parameter_count(auxiliary) if auxiliary else 0)
    assert parameter_count(ours) == without


def test_multiply_adds_are_counted_by_hand():
    # 8 x 8 places, kernels of 5 x 5 from 3 channels to 4, in all; then 256 features to 2 classes.
    model = nn.Sequential(nn.Conv2d(3, 4, 5, padding=2), nn.Flatten(), nn.Linear(256, 2))
    assert multiply_adds(model, 8) == pytest.approx((8 * 8 * 25 * 3 * 4 + 256 * 2) / 1e9)


def test_grouped_convolutions_are_counted_by_group():
    model = nn.Conv2d(3, 6, 3, padding=1, groups=3)
    assert multiply_adds(model, 10) == pytest.approx(10 * 10 * 9 * 6 / 1e9)


def test_counting_changes_neither_weights_nor_modes():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout())
    model[1].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    multiply_adds(model, 8)
    assert [module.training for module in model] == [True, False, True]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert {tensor.device.type for tensor in model.state_dict().values()} == {"cpu"}


def test_frozen_weights_do_not_count_as_trainable():
    model = nn.Linear(3, 2)
    assert parameter_count(model) == 8
    model.bias.requires_grad_(False)
    assert parameter_count(model) == 6
