"""Networks: reproducible from their seed, and no weights of the wrong kind get in."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.cost import parameter_count
from workflow_scripts.cxrcam.networks.models import (
    METADATA_KEY,
    ModelCard,
    WeightsError,
    build_classifier,
    load_model,
    load_pretrained,
    save_model,
)

pytestmark = pytest.mark.usefixtures("one_torch_thread")

RESNET18 = Backbone("resnet18")
STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.zeros(2)}

CARD = ModelCard(
    classes=["Normal", "肺炎"],
    architecture="resnet18",
    image_size=32,
    mean=[0.485, 0.456, 0.406],
    std=[0.229, 0.224, 0.225],
    weights_origin="random",
    configuration_hash="c0ffee",
    data_fingerprint="f00d",
    training={"epochs": 1, "watch": ["test"], "precision": "float32"},
)


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    """One network for all tests that do not change it."""
    return build_classifier(RESNET18, 2, seed=0)


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    """A stand-in for ImageNet weights: a body of its own, and a head of 1,000 classes."""
    return build_classifier(RESNET18, 1000, seed=77).state_dict()


@pytest.fixture(scope="module")
def saved(network, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_model(path, network, CARD)
    return path


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# --- building -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_classes", "parameters"), [(2, 11_177_538), (3, 11_178_051)])
def test_resnet18_has_the_parameters_that_its_paper_and_classes_imply(n_classes, parameters):
    assert parameter_count(build_classifier(RESNET18, n_classes, seed=0)) == parameters


def test_the_same_seed_gives_the_same_weights_and_another_one_others(network):
    state = network.state_dict()
    assert same(state, build_classifier(RESNET18, 2, seed=0).state_dict())
    other = build_classifier(RESNET18, 2, seed=1).state_dict()
    assert not torch.equal(state["conv1.weight"], other["conv1.weight"])
    assert not torch.equal(state["fc.weight"], other["fc.weight"])


def test_weights_do_not_depend_on_what_was_drawn_before(network):
    torch.manual_seed(5)
    torch.rand(17)
    assert same(network.state_dict(), build_classifier(RESNET18, 2, seed=0).state_dict())


def test_building_leaves_the_global_random_state_alone():
    torch.manual_seed(123)
    before = torch.random.get_rng_state()
    build_classifier(RESNET18, 2, seed=0)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_new_network_is_in_training_mode_and_float32(network):
    assert network.training
    assert {p.dtype for p in network.parameters()} == {torch.float32}


# --- pretrained weights ---------------------------------------------------------------------------


def started(weights: dict[str, torch.Tensor], backbone: Backbone = RESNET18) -> torch.nn.Module:
    """A network that starts from weights."""
    model = build_classifier(backbone, 2, seed=0)
    load_pretrained(model, backbone, weights)
    return model


def test_a_pretrained_network_has_the_body_of_the_file_and_a_head_of_its_own(network, published):
    state = started(published).state_dict()
    body = [name for name in state if not name.startswith("fc.")]
    assert all(torch.equal(state[name], published[name]) for name in body)
    # The head is that of the seed, drawn as if there were no file.
    assert torch.equal(state["fc.weight"], network.state_dict()["fc.weight"])
    assert state["fc.weight"].shape == (2, 512)


def test_the_pretrained_body_is_a_copy(published):
    model = started(published)
    before = published["conv1.weight"].clone()
    with torch.no_grad():
        model.conv1.weight.zero_()
    assert torch.equal(published["conv1.weight"], before)


def test_weights_older_than_the_step_counter_of_batch_norm_are_taken(published):
    old = {k: v for k, v in published.items() if not k.endswith("num_batches_tracked")}
    model = started(old)
    assert torch.equal(model.state_dict()["conv1.weight"], published["conv1.weight"])


def refused(pretrained: dict[str, torch.Tensor]) -> str:
    with pytest.raises(WeightsError) as caught:
        started(pretrained)
    assert isinstance(caught.value, InputError)
    assert "model.weights" in str(caught.value)
    return str(caught.value)


def test_weights_of_another_architecture_are_refused_with_what_does_not_fit(published):
    other = {k: v for k, v in published.items() if not k.startswith("layer4.1")}
    other["layer5.weight"] = torch.zeros(3)
    other["conv1.weight"] = torch.zeros(64, 3, 3, 3)
    message = refused(other)
    for words in (
        "not those of resnet18",
        "10 tensors missing (for example layer4.1.bn1.bias)",
        "1 unknown tensors (for example layer5.weight)",
        "1 tensors of another shape (for example conv1.weight)",
        "state dict of torchvision's resnet18",
    ):
        assert words in message


def test_missing_tensors_are_refused_instead_of_left_random(published):
    message = refused({k: v for k, v in published.items() if k != "layer1.0.conv1.weight"})
    assert "1 tensors missing (for example layer1.0.conv1.weight)" in message
    refused({})


def test_tensors_that_the_network_has_no_place_for_are_refused_instead_of_left_out(published):
    message = refused({**published, "layer5.weight": torch.zeros(3)})
    assert "1 unknown tensors (for example layer5.weight)" in message
    assert "missing" not in message


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_with_nan_or_infinity_are_refused_by_tensor(published, value):
    bad = dict(published)
    bad["layer2.0.bn1.weight"] = published["layer2.0.bn1.weight"].clone()
    bad["layer2.0.bn1.weight"][3] = value
    message = refused(bad)
    assert "NaN or infinite" in message
    assert "layer2.0.bn1.weight" in message


def test_a_network_cut_behind_a_stage_takes_what_it_has_of_the_whole_file(published):
    backbone = Backbone("resnet18", last_stage=3)
    state = started(published, backbone).state_dict()
    assert not any(name.startswith("layer4") for name in state)
    assert torch.equal(state["layer3.1.conv2.weight"], published["layer3.1.conv2.weight"])
    assert state["fc.weight"].shape == (2, 256)
    assert load_pretrained(build_classifier(backbone, 2, 0), backbone, published) == []


# --- saved models ---------------------------------------------------------------------------------


def test_a_saved_model_comes_back_to_the_bit_with_its_card(network, saved):
    model, card = load_model(saved)
    assert card == CARD
    assert same(model.state_dict(), network.state_dict())
    assert not model.training


def test_saving_twice_gives_the_same_bytes_whatever_the_order_of_settings(network, saved, tmp_path):
    settings = dict(reversed(CARD.training.items()))
    card = ModelCard(**{**vars(CARD), "training": settings})
    save_model(tmp_path / "again.safetensors", network, card)
    assert (tmp_path / "again.safetensors").read_bytes() == saved.read_bytes()


def test_a_model_in_channels_last_is_saved_like_any_other(network, saved, tmp_path):
    model = build_classifier(RESNET18, 2, seed=0).to(memory_format=torch.channels_last)
    save_model(tmp_path / "last.safetensors", model, CARD)
    assert (tmp_path / "last.safetensors").read_bytes() == saved.read_bytes()


def test_the_input_size_is_that_of_the_images_unless_the_card_says_another(network, tmp_path):
    assert CARD.input_size == CARD.image_size == 32
    card = ModelCard(**{**vars(CARD), "input_size": 75})
    save_model(tmp_path / "m.safetensors", network, card)
    read = load_model(tmp_path / "m.safetensors")[1]
    assert (read.image_size, read.input_size) == (32, 75)


def test_a_model_older_than_the_input_size_is_still_read(network, tmp_path):
    newer = ("input_size", "input_part", "last_stage", "map_stride", "sub_classes")
    old = {key: value for key, value in vars(CARD).items() if key not in newer}
    metadata = {METADATA_KEY: json.dumps(old)}
    save_file(network.state_dict(), tmp_path / "old.safetensors", metadata=metadata)
    assert load_model(tmp_path / "old.safetensors")[1] == CARD


def test_a_cut_and_dilated_network_comes_back_as_it_was(tmp_path):
    backbone = Backbone("resnet18", last_stage=3, map_stride=8)
    network = build_classifier(backbone, 2, seed=0).eval()
    card = ModelCard(**{**vars(CARD), "last_stage": 3, "map_stride": 8})
    save_model(tmp_path / "m.safetensors", network, card)
    model, read = load_model(tmp_path / "m.safetensors")
    assert read.backbone == backbone
    image = torch.linspace(-1, 1, 3 * 64 * 64).reshape(1, 3, 64, 64)
    assert torch.equal(model(image), network(image))


def test_a_network_with_sub_classes_comes_back_with_them(tmp_path):
    network = build_classifier(Backbone("resnet18", sub_classes=3), 2, seed=0).eval()
    card = ModelCard(**{**vars(CARD), "sub_classes": 3})
    save_model(tmp_path / "m.safetensors", network, card)
    model, read = load_model(tmp_path / "m.safetensors")
    assert read == card and model.fc.out_features == 6
    image = torch.linspace(-1, 1, 3 * 64 * 64).reshape(1, 3, 64, 64)
    torch.testing.assert_close(model(image), network(image))  # of two classes


def test_reading_a_model_leaves_the_global_random_state_alone(saved):
    before = torch.random.get_rng_state()
    load_model(saved)
    assert torch.equal(torch.random.get_rng_state(), before)


def damaged(path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        load_model(path)
    for words in (str(path), "damaged or was not written by this workflow", "delete it"):
        assert words in str(caught.value)


@pytest.mark.parametrize("keep", [0, 100, 1_000_000])
def test_a_damaged_model_is_named_with_the_way_out(saved, tmp_path, keep):
    (tmp_path / "cut.safetensors").write_bytes(saved.read_bytes()[:keep])
    damaged(tmp_path / "cut.safetensors")


def test_a_missing_model_is_named(tmp_path):
    damaged(tmp_path / "nowhere.safetensors")


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {METADATA_KEY: "not JSON"},
        {METADATA_KEY: "[]"},
        {METADATA_KEY: json.dumps({"classes": ["A"]})},
        {METADATA_KEY: json.dumps({**vars(CARD), "architecture": "vgg16"})},
        {METADATA_KEY: json.dumps({**vars(CARD), "last_stage": 9})},
        {METADATA_KEY: json.dumps(vars(CARD))},
    ],
    ids=["no card", "no JSON", "no mapping", "half a card", "architecture", "stage", "tensors"],
)
def test_tensors_that_are_not_our_model_are_refused(tmp_path, metadata):
    save_file(STATE, tmp_path / "other.safetensors", metadata=metadata)
    damaged(tmp_path / "other.safetensors")


def test_a_card_with_another_number_of_classes_is_refused(network, tmp_path):
    card = ModelCard(**{**vars(CARD), "classes": ["A", "B", "C"]})
    save_model(tmp_path / "m.safetensors", network, card)
    damaged(tmp_path / "m.safetensors")
