"""Other map methods: the library's, raw, of one class an image, placed as our own maps are."""

import numpy as np
import pandas as pd
import pytest
import torch
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from workflow_scripts.cxrcam.configuration.stages import STAGES, Stage
from workflow_scripts.cxrcam.maps.methods import METHODS, maps_by, maps_of_predicted, method_maps
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps
from workflow_scripts.cxrcam.networks.architectures import ARCHITECTURES, Architecture, Backbone
from workflow_scripts.cxrcam.networks.cam import logits_and_class_maps
from workflow_scripts.cxrcam.networks.device_images import Normalisation
from workflow_scripts.cxrcam.networks.models import ModelCard, build_classifier, save_model

pytestmark = pytest.mark.usefixtures("one_torch_thread")

PLAIN = Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
CPU = torch.device("cpu")
every_method = pytest.mark.parametrize("method", METHODS)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """A network of few channels whose feature map is as large as the image: no resizing."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = nn.Sequential(
            nn.Conv2d(3, 5, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(20, 6),
            nn.ReLU(inplace=True),
            nn.Linear(6, 3),
        )
    entry = Architecture(
        build=lambda **_: network,
        imagenet=None,
        head="6",
        end=lambda *_: None,
        minimum_size=1,
        dense_layers=True,
    )
    monkeypatch.setitem(ARCHITECTURES, "small", entry)
    monkeypatch.setitem(STAGES, "small", {1: Stage("1", 5, 1, 0.25, 3)})
    return network.eval()


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (4, 8, 8)).astype(np.uint8)


WHICH = np.array([2, 0, 1, 2])


def maps(method: str, network: nn.Module, pixels: np.ndarray, which=WHICH, **other) -> RawMaps:
    settings = {"architecture": "small", "input_size": pixels.shape[1]} | other
    architecture = settings.pop("architecture")
    return method_maps(
        method, network, Backbone(architecture), pixels, which, PLAIN, CPU, **settings
    )


def rescaled(maps: np.ndarray) -> np.ndarray:
    """From 0 to 1, image by image; a map without any evidence stays 0."""
    shifted = maps - maps.min(axis=(1, 2), keepdims=True)
    peak = shifted.max(axis=(1, 2), keepdims=True)
    return np.divide(shifted, peak, out=np.zeros_like(shifted), where=peak > 0)


@every_method
def test_a_map_is_the_librarys_before_its_cut_and_its_scale(small, pixels, method):
    raw = maps(method, small, pixels).values[:, 0]
    ours = rescaled(np.maximum(raw, 0))
    targets = [ClassifierOutputTarget(int(k)) for k in WHICH]
    with METHODS[method](model=small, target_layers=[small[1]]) as library:
        theirs = library(PLAIN.apply(torch.from_numpy(pixels)), targets)
    # It divides by a little more than the largest value, twice: undone by scaling once more.
    np.testing.assert_allclose(ours, rescaled(theirs), atol=1e-4)
    assert ours.std() > 0.05  # the claim is not empty
    # These three have evidence against a class as well, and keep it.
    assert raw.min() < 0 or method not in ("grad_cam", "hires_cam", "eigen_cam")


@every_method
def test_each_image_is_explained_for_its_own_class_whatever_its_neighbours(small, pixels, method):
    together = maps(method, small, pixels).values
    alone = [maps(method, small, pixels[k : k + 1], WHICH[k : k + 1]).values for k in range(4)]
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-4, atol=1e-5)
    in_twos = maps(method, small, pixels, batch_size=3).values
    np.testing.assert_allclose(together, in_twos, rtol=1e-4, atol=1e-5)
    other = maps(method, small, pixels, (WHICH + 1) % 3).values
    assert np.allclose(together, other, atol=1e-6) == (method == "eigen_cam")


@every_method
def test_nothing_is_left_behind_and_nothing_printed(small, pixels, method, capfd):
    small[0].bias.requires_grad_(False)

    def state() -> tuple:
        return (
            [len(module._forward_hooks) for module in small.modules()],
            [p.requires_grad for p in small.parameters()],
            [p.grad for p in small.parameters()],
            [p.tolist() for p in small.parameters()],
        )

    before = state()
    maps(method, small, pixels)
    assert state() == before
    assert capfd.readouterr() == ("", "")


def test_score_cams_own_passes_keep_no_features(small, pixels, monkeypatch):
    """A ResNet101's would take 800 MB an image."""
    kept = []

    def weights(self, images, layer, targets, activations, gradients):
        self.model(images)
        kept.append(len(self.activations_and_grads.activations))
        return np.ones(activations.shape[:2], dtype=np.float32)

    monkeypatch.setattr(METHODS["score_cam"], "get_cam_weights", weights)
    maps("score_cam", small, pixels)
    assert kept == [0] * 4


@pytest.mark.parametrize(
    "architecture", ["resnet18", "mobilenet_v2", "squeezenet1_1", "densenet121"]
)
@pytest.mark.parametrize("method", ["grad_cam", "hires_cam"])
def test_where_one_layer_follows_grad_cam_and_hires_cam_are_the_exact_map(architecture, method):
    # DenseNet rectifies after the layer, in place: weighed is what it goes on with.
    network = build_classifier(Backbone(architecture), 3, seed=0).eval()
    images = np.random.default_rng(1).integers(0, 256, (2, 96, 96)).astype(np.uint8)
    exact = logits_and_class_maps(
        network, Backbone(architecture), PLAIN.apply(torch.from_numpy(images))
    )[1]
    which = np.array([2, 0])
    wanted = exact.numpy()[[0, 1], which]
    raw = maps(method, network, images, which, architecture=architecture).values[:, 0]
    cells = wanted[0].size  # the logit is a mean over them: so is its gradient
    assert np.abs(raw * cells - wanted).max() < 1e-4 * np.abs(wanted).max()
    assert wanted.std(axis=(1, 2)).min() > 0


def test_maps_are_made_at_the_networks_input_size_and_lie_where_it_looks():
    network = build_classifier(Backbone("densenet121"), 2, seed=0)
    images = np.random.default_rng(1).integers(0, 256, (2, 64, 64)).astype(np.uint8)
    raw = maps(
        "layer_cam", network, images, np.array([1, 0]), architecture="densenet121", input_size=96
    )
    assert raw.values.shape == (2, 1, 3, 3)
    assert raw.values.dtype == np.float32
    assert (raw.input_size, raw.stride, raw.offset) == (96, 32, 14.0)


def card(architecture: str) -> ModelCard:
    return ModelCard(
        *(["a", "b", "c"], architecture, 64, [0.4] * 3, [0.2] * 3, "random", "", "", {})
    )


def test_a_method_is_asked_as_the_card_says_and_the_own_kind_is_evidence():
    backbone, pixels = Backbone("resnet18"), np.random.default_rng(1).integers(0, 256, (2, 64, 64))
    network, pixels = build_classifier(backbone, 3, 0).eval(), pixels.astype(np.uint8)
    which, plain = np.array([2, 0]), Normalisation((0.4,) * 3, (0.2,) * 3)
    images = plain.apply(torch.from_numpy(pixels))
    _, class_maps = logits_and_class_maps(network, backbone, images)
    evidence = (class_maps - class_maps.mean(1, keepdim=True)).numpy()
    own = maps_by("exact", network, card("resnet18"), pixels, which, CPU)
    np.testing.assert_allclose(own.values[:, 0], evidence[[0, 1], which], atol=1e-5)
    assert (own.input_size, own.stride, own.offset) == (64, backbone.stride, backbone.offset)
    other = maps_by("layer_cam", network, card("resnet18"), pixels, which, CPU)
    expected = method_maps("layer_cam", network, backbone, pixels, which, plain, CPU, 64)
    np.testing.assert_array_equal(other.values, expected.values)


def test_maps_of_a_run_explain_the_predicted_classes(tmp_path, monkeypatch):
    network = build_classifier(Backbone("resnet18"), 3, 0)
    save_model(tmp_path / "model.safetensors", network, card("resnet18"))
    seen = np.random.default_rng(2).integers(0, 256, (2, 64, 64)).astype(np.uint8)
    asked = []

    def read(*of):
        asked.append(of)
        return seen

    monkeypatch.setattr("workflow_scripts.cxrcam.maps.methods.read_network_input", read)
    images = pd.DataFrame({"image_id": ["x", "y"], "predicted": ["c", "a"]})
    model = str(tmp_path / "model.safetensors")
    found = maps_of_predicted("grad_cam", model, None, [], "masks", images)
    assert asked == [([], ["x", "y"], 64, "whole", "masks")]
    expected = maps_by("grad_cam", network, card("resnet18"), seen, np.array([2, 0]), CPU)
    np.testing.assert_array_equal(found.values, expected.values)
