"""Predictions and maps of many images: in order, and whatever the batch size."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from workflow_scripts.cxrcam.contracts import features_schema
from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.device_images import Normalisation
from workflow_scripts.cxrcam.networks.input_size import resize_pixels
from workflow_scripts.cxrcam.networks.models import ModelCard, build_classifier
from workflow_scripts.cxrcam.networks.prediction import (
    Predictions,
    last_features,
    predict,
    predict_as_trained,
)
from workflow_scripts.cxrcam.networks.prediction_table import read_features, write_features

pytestmark = pytest.mark.usefixtures("one_torch_thread")

IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    return build_classifier(Backbone("resnet18"), 3, seed=0)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """Seven images of different brightness, so that none is taken for another."""
    noise = np.random.default_rng(0).integers(0, 100, (7, 64, 64))
    return (noise + 20 * np.arange(7)[:, None, None]).astype(np.uint8)


def predicted(network, pixels, batch_size: int = 64, **settings) -> Predictions:
    cpu = torch.device("cpu")
    return predict(network, Backbone("resnet18"), pixels, IMAGENET, cpu, batch_size, **settings)


@pytest.fixture(scope="module")
def result(network, pixels) -> Predictions:
    return predicted(network, pixels)


def test_outputs_have_one_row_an_image_and_one_column_a_class(result):
    assert result.logits.shape == result.probabilities.shape == (7, 3)
    assert result.class_maps.shape == (7, 3, 2, 2)
    assert result.features.shape == (7, 512)
    assert {a.dtype for a in vars(result).values()} == {np.dtype("float32")}
    assert result.class_maps.flags["C_CONTIGUOUS"]


def test_probabilities_are_the_softmax_of_the_logits(result):
    powers = np.exp(result.logits.astype(np.float64))
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(result.probabilities, expected, atol=1e-6)


def test_maps_belong_to_the_logits_of_the_same_image_and_class(network, result):
    bias = network.fc.bias.detach().numpy()
    np.testing.assert_allclose(result.class_maps.mean((2, 3)) + bias, result.logits, atol=1e-5)


# The last layer is the only one behind the pooling, or the last of several.
@pytest.mark.parametrize("architecture", ["resnet18", "densenet121", "vgg19"])
def test_features_are_what_the_last_layer_makes_the_logits_of(architecture):
    model, found = asked(architecture)
    head = model.get_submodule(Backbone(architecture).head)
    of_features = head(torch.from_numpy(found.features)).detach().numpy()
    np.testing.assert_allclose(of_features, found.logits, atol=1e-5)


def test_features_of_a_network_that_ends_with_a_convolution_are_means_over_places():
    model, found = asked("squeezenet1_1")
    with torch.inference_mode():
        expected = model.features(IMAGENET.apply(torch.from_numpy(noise(64)))).mean((2, 3))
    np.testing.assert_allclose(found.features, expected, atol=1e-5)


def noise(side: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, side, side), dtype=np.uint8)


def asked(architecture: str, side: int = 64) -> tuple[torch.nn.Module, Predictions]:
    """A network, and what it says of three images."""
    backbone = Backbone(architecture)
    model = build_classifier(backbone, 2, seed=0)
    cpu = torch.device("cpu")
    return model, predict(model, backbone, noise(side), IMAGENET, cpu, batch_size=2)


def test_capsules_have_no_features(tmp_path):
    _, found = asked("covid_caps", side=32)
    assert found.features.shape == (3, 0)
    write_features(tmp_path / "features.parquet", ["a", "b", "c"], found.features)
    again = read_features(tmp_path / "features.parquet")
    assert again.shape == (3, 0)
    assert again.index.tolist() == ["a", "b", "c"]


def test_features_are_read_as_they_were_written(tmp_path):
    features = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    for file in (tmp_path / "one.parquet", tmp_path / "two.parquet"):
        write_features(file, ["b", "a", "c"], features)
    assert file.read_bytes() == (tmp_path / "one.parquet").read_bytes()
    assert pq.read_schema(file) == features_schema(5)
    again = read_features(file)
    assert again.index.tolist() == ["b", "a", "c"]
    np.testing.assert_array_equal(again.to_numpy(), features)
    assert set(again.dtypes) == {np.dtype("float32")}


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7])
def test_the_batch_size_changes_nothing(network, pixels, result, batch_size):
    other = predicted(network, pixels, batch_size)
    for name in ("logits", "probabilities", "class_maps", "features"):
        np.testing.assert_allclose(getattr(other, name), getattr(result, name), atol=1e-5)


def test_results_come_in_the_order_of_the_images(network, pixels, result):
    order = [3, 0, 6, 1, 5, 2, 4]
    other = predicted(network, pixels[order], batch_size=2)
    assert len({tuple(row) for row in result.logits.round(4)}) == 7
    for name in ("logits", "class_maps", "features"):
        np.testing.assert_allclose(getattr(other, name), getattr(result, name)[order], atol=1e-5)


def test_prediction_is_in_evaluation_mode_and_changes_no_weight(network, pixels, result):
    network.train()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    again = predicted(network, pixels)
    np.testing.assert_allclose(again.logits, result.logits, atol=1e-5)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


def test_one_image_is_enough(network, pixels, result):
    np.testing.assert_allclose(predicted(network, pixels[:1]).logits, result.logits[:1], atol=1e-5)


def test_images_are_resized_to_what_the_network_was_trained_with(network, pixels, result):
    larger = predicted(network, pixels, input_size=96)
    assert larger.class_maps.shape == (7, 3, 3, 3)
    with torch.inference_mode():
        images = IMAGENET.apply(resize_pixels(torch.from_numpy(pixels), 96))
        expected = network(images)
    np.testing.assert_allclose(larger.logits, expected, atol=1e-5)
    assert np.abs(larger.logits - result.logits).max() > 1e-3


def test_an_input_size_equal_to_that_of_the_images_changes_nothing(network, pixels, result):
    same = predicted(network, pixels, input_size=64)
    np.testing.assert_array_equal(same.logits, result.logits)


# Maps of the last two are Grad-CAM's.
@pytest.mark.parametrize("architecture", ["resnet18", "vgg19", "covid_caps"])
def test_half_the_precision_gives_much_the_same_and_float32_is_the_default(architecture: str):
    backbone = Backbone(architecture)
    model = build_classifier(backbone, 2, seed=0)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32), dtype=np.uint8)
    arguments = (model, backbone, pixels, IMAGENET, torch.device("cpu"))
    exact, again = predict(*arguments), predict(*arguments, precision="float32")
    assert (exact.logits == again.logits).all()
    coarse = predict(*arguments, precision="bfloat16")
    assert coarse.class_maps.dtype == np.float32
    assert not (exact.logits == coarse.logits).all()
    assert np.allclose(exact.logits, coarse.logits, atol=0.05 * np.abs(exact.logits).max() + 0.01)


def card(**changes) -> ModelCard:
    usual = {"classes": ["a", "b", "c"], "architecture": "resnet18", "image_size": 64,
             "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4], "weights_origin": "random",
             "configuration_hash": "", "data_fingerprint": "", "training": {}}  # fmt: skip
    return ModelCard(**usual | changes)


def test_a_network_is_asked_in_the_size_and_normalisation_of_its_card(network, pixels):
    found = predict_as_trained(network, card(input_size=96), pixels, torch.device("cpu"))
    normalisation = Normalisation((0.4, 0.5, 0.6), (0.2, 0.3, 0.4))
    expected = predict(
        *(network, Backbone("resnet18"), pixels, normalisation, torch.device("cpu")), input_size=96
    )
    assert found.logits.tobytes() == expected.logits.tobytes()
    assert found.class_maps.shape == (7, 3, 3, 3)


def test_the_last_features_weighed_by_the_last_layer_are_the_maps(network, pixels):
    features = last_features(network, card(), pixels, torch.device("cpu"))
    said = predict_as_trained(network, card(), pixels, torch.device("cpu"))
    maps = torch.einsum("ck,nkhw->nchw", network.fc.weight.detach(), features)
    np.testing.assert_allclose(maps.numpy(), said.class_maps, atol=1e-4)
