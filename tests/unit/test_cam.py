"""Class activation maps: an exact decomposition of the logit over places."""

import numpy as np
import pytest
import torch
from torch import nn

from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.cam import (
    captured_features,
    class_activation_maps,
    classifier_head,
    logits_and_class_maps,
)
from workflow_scripts.cxrcam.networks.models import build_classifier

pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return build_classifier(Backbone("resnet18"), 3, seed=0).eval()


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    """Three images of 96 x 96: maps of 3 x 3 places."""
    return torch.from_numpy(np.random.default_rng(0).normal(size=(3, 3, 96, 96)).astype("f4"))


def hooks(network: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in network.modules())


def test_the_mean_of_a_map_and_the_bias_are_the_logit(network, images):
    head = classifier_head(network, Backbone("resnet18"))
    with torch.inference_mode(), captured_features(network, Backbone("resnet18")) as features:
        logits = network(images)
    maps = class_activation_maps(features[0], head)
    assert maps.shape == (3, 3, 3, 3)
    assert maps.std() > 0.01  # places differ: the claim is not empty
    torch.testing.assert_close(maps.mean((2, 3)) + head.bias, logits, rtol=0, atol=1e-5)


def test_a_map_is_the_weighted_sum_of_the_feature_maps_at_each_place():
    rng = np.random.default_rng(1)
    features = torch.from_numpy(rng.normal(size=(2, 5, 4, 6)).astype("f4"))
    head = nn.Linear(5, 3)
    maps = class_activation_maps(features, head)
    assert (maps.shape, maps.dtype) == ((2, 3, 4, 6), torch.float32)
    for c in range(3):
        expected = sum(head.weight[c, k] * features[1, k, 2, 5] for k in range(5))
        assert maps[1, c, 2, 5].item() == pytest.approx(expected.item(), abs=1e-5)


def test_evidence_stays_at_its_place():
    features = torch.zeros(1, 5, 4, 6)
    features[0, :, 1, 3] = 1.0
    maps = class_activation_maps(features, nn.Linear(5, 2))
    assert set(map(tuple, maps[0].nonzero()[:, 1:].tolist())) == {(1, 3)}


def test_maps_of_half_precision_features_are_float32():
    maps = class_activation_maps(torch.ones(1, 5, 2, 2, dtype=torch.bfloat16), nn.Linear(5, 2))
    assert maps.dtype == torch.float32


def test_only_the_newest_features_are_kept(network, images):
    with torch.inference_mode(), captured_features(network, Backbone("resnet18")) as features:
        assert features == []
        network(images)
        network(images[:1])
        assert [tensor.shape for tensor in features] == [(1, 512, 3, 3)]


def test_the_hook_is_taken_off_at_the_end(network):
    before = hooks(network)
    with captured_features(network, Backbone("resnet18")):
        assert hooks(network) == before + 1
    assert hooks(network) == before


def test_the_hook_is_taken_off_after_an_error_which_is_not_swallowed(network, images):
    before = hooks(network)
    with pytest.raises(RuntimeError), captured_features(network, Backbone("resnet18")):
        network(images[:, :1])  # one channel where three are due
    assert hooks(network) == before


def test_capturing_changes_no_logit(network, images):
    with torch.inference_mode():
        plain = network(images)
        with captured_features(network, Backbone("resnet18")):
            assert torch.equal(network(images), plain)


def test_logits_and_maps_are_those_of_the_plain_network(network, images):
    logits, maps = logits_and_class_maps(network, Backbone("resnet18"), images)
    with torch.inference_mode(), captured_features(network, Backbone("resnet18")) as features:
        assert torch.equal(network(images), logits)
        expected = class_activation_maps(features[0], network.fc)
    assert torch.equal(maps, expected)


def test_a_head_that_is_not_linear_has_no_exact_map(network):
    other = build_classifier(Backbone("resnet18"), 2, seed=0)
    other.fc = nn.Sequential(other.fc)
    with pytest.raises(TypeError, match="resnet18 is no linear layer"):
        classifier_head(other, Backbone("resnet18"))
