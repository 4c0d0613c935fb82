"""Cascading randomisation: order, what is replaced, and that a blind map is caught."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from workflow_scripts.cxrcam.map_tests.randomisation import (
    cascade_blocks,
    cascading_randomisation,
    summarise_cascade,
)
from workflow_scripts.cxrcam.maps.placement import upsample_map
from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.models import build_classifier


def small_network(seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(
            OrderedDict(
                first=nn.Conv2d(1, 4, 3, padding=1),
                norm=nn.BatchNorm2d(4),
                relu=nn.ReLU(),
                second=nn.Conv2d(4, 4, 3, padding=1),
                last=nn.Conv2d(4, 2, 1),
            )
        )
        nn.init.uniform_(network.norm.running_mean, -0.2, 0.2)
    return network.eval()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).random((4, 1, 16, 16)).astype(np.float32))


GROUPS = np.arange(4)


def cascade_of(model: nn.Module, untrained: nn.Module, maps_of, seed: int = 0):
    rng = np.random.default_rng(seed)
    return cascading_randomisation(model, untrained, maps_of, rng, GROUPS)


def maps_with(images: torch.Tensor):
    def maps_of(model: nn.Module) -> np.ndarray:
        with torch.inference_mode():
            return model(images)[:, 1].numpy()

    return maps_of


def test_resnet_is_randomised_from_the_classifier_to_the_first_convolution():
    with torch.device("meta"):  # the names are enough
        model = torchvision.models.resnet18(weights=None)
    blocks = cascade_blocks(model)
    assert list(blocks) == ["fc", "layer4", "layer3", "layer2", "layer1", "conv1"]
    assert blocks["conv1"] == ["conv1", "bn1"]


@pytest.mark.parametrize(
    ("build", "first", "last", "n"),
    [
        (torchvision.models.densenet121, "classifier", "features.conv0", 9),
        (torchvision.models.mobilenet_v3_small, "classifier.3", "features.0", 15),
        (torchvision.models.squeezenet1_1, "classifier.1", "features.0", 10),
    ],
)
def test_networks_of_features_and_classifier_are_opened_one_level(build, first, last, n):
    with torch.device("meta"):  # the names are enough
        model = build(weights=None, num_classes=2)
    blocks = cascade_blocks(model)
    assert (next(iter(blocks)), next(reversed(blocks)), len(blocks)) == (first, last, n)
    # Together the blocks hold every parameter, once.
    held = [
        f"{name}.{parameter}"
        for modules in blocks.values()
        for name in modules
        for parameter, _ in model.get_submodule(name).named_parameters()
    ]
    assert sorted(held) == sorted(name for name, _ in model.named_parameters())


def test_a_network_of_one_or_two_layers_has_its_layers_as_blocks():
    assert list(cascade_blocks(nn.Sequential(nn.Conv2d(1, 1, 1)))) == ["0"]
    wrapped = nn.Sequential(nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU()), nn.Linear(1, 1))
    assert list(cascade_blocks(wrapped)) == ["1", "0.0"]
    with pytest.raises(ValueError, match="no layers with parameters"):
        cascade_blocks(nn.ReLU())


def test_each_step_has_this_block_and_all_later_ones_untrained(images):
    model, untrained = small_network(0), small_network(1)
    seen = []

    def maps_of(network: nn.Module) -> np.ndarray:
        seen.append({k: v.clone() for k, v in network.state_dict().items()})
        return maps_with(images)(network)

    cascade = cascade_of(model, untrained, maps_of)
    assert list(cascade) == ["last", "second", "first", "floor"]
    trained, fresh = model.state_dict(), untrained.state_dict()
    randomised = [(), ("last",), ("last", "second"), ("last", "second", "norm", "first")]
    assert len(seen) == 4
    for state, names in zip(seen, randomised, strict=True):
        for key, value in state.items():
            source = fresh if key.split(".")[0] in names else trained
            assert torch.equal(value, source[key]), (names, key)


def test_neither_network_is_changed(images):
    networks = [small_network(0).train(), small_network(1)]
    before = [{k: v.clone() for k, v in n.state_dict().items()} for n in networks]
    cascade_of(*networks, maps_with(images))
    for network, state in zip(networks, before, strict=True):
        assert all(torch.equal(v, state[k]) for k, v in network.state_dict().items())
    assert networks[0].training


def test_the_same_seed_gives_the_same_cascade(images):
    first, second = (
        cascade_of(small_network(0), small_network(1), maps_with(images), seed=5) for _ in range(2)
    )
    for block, similarity in first.items():
        np.testing.assert_array_equal(similarity.ssim, second[block].ssim)


def test_a_map_that_does_not_depend_on_the_network_stays_at_one(images):
    edges = np.abs(np.gradient(images[:, 0].numpy(), axis=2))
    blind = cascade_of(small_network(0), small_network(1), lambda _: edges)
    floor = blind.pop("floor")
    for similarity in blind.values():
        assert similarity.ssim == pytest.approx(1.0)
        assert similarity.spearman == pytest.approx(1.0)
    assert (floor.ssim < 0.9).all()
    real = cascade_of(small_network(0), small_network(1), maps_with(images))
    assert (real["first"].spearman < 0.9).all()


def test_maps_that_are_written_into_the_same_memory_are_told_apart(images):
    memory = np.zeros((4, 16, 16), dtype=np.float32)

    def maps_of(network: nn.Module) -> np.ndarray:
        memory[:] = maps_with(images)(network)
        return memory

    networks = small_network(0), small_network(1)
    reused = cascade_of(*networks, maps_of)
    fresh = cascade_of(*networks, maps_with(images))
    for block, similarity in reused.items():
        np.testing.assert_array_equal(similarity.ssim, fresh[block].ssim)


def test_a_network_against_itself_stays_at_one(images):
    model = small_network(0)
    cascade = cascade_of(model, model, maps_with(images))
    del cascade["floor"]
    assert all((similarity.ssim > 1 - 1e-9).all() for similarity in cascade.values())


@pytest.mark.usefixtures("one_torch_thread")
def test_a_whole_resnet_goes_through(images):
    model, untrained = (build_classifier(Backbone("resnet18"), 2, seed=seed) for seed in (0, 1))
    pixels = images.repeat(1, 3, 4, 4)

    def maps_of(network: nn.Module) -> np.ndarray:
        features = nn.Sequential(*list(network.children())[:-2])
        with torch.inference_mode():
            raw = torch.einsum("k,nkhw->nhw", network.fc.weight[1], features(pixels))
        return upsample_map(raw.numpy(), 32)

    cascade = cascade_of(model, untrained, maps_of)
    rows = summarise_cascade(cascade, groups=GROUPS, seed=0)
    assert [row["block"] for row in rows][-2:] == ["conv1", "floor"]
    assert len(rows) == 7
    for row in rows:
        assert row["ssim"]["n"] == 4
        low, high = row["ssim"]["interval"]
        assert low <= row["ssim"]["mean"] <= high


def test_one_image_has_a_cascade_but_no_floor(images):
    rng = np.random.default_rng(0)
    networks = small_network(0), small_network(1)
    cascade = cascading_randomisation(*networks, maps_with(images[:1]), rng, np.array(["a"]))
    rows = summarise_cascade(cascade, groups=["a"], seed=0)
    assert [row["ssim"]["n"] for row in rows] == [1, 1, 1, 0]
    assert rows[-1]["ssim"]["mean"] is None
    assert rows[0]["ssim"]["interval"] is None


def test_networks_must_match(images):
    with pytest.raises(ValueError, match="other layers"):
        cascade_of(small_network(0), nn.Conv2d(1, 2, 1), maps_with(images))
