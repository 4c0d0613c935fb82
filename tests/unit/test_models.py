"""Networks: reproducible from their seed, and no weights of the wrong kind get in."""

import hashlib
import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.networks.cost import parameter_count
from workflow_scripts.cxrcam.networks.models import (
    METADATA_KEY,
    ModelCard,
    WeightsError,
    build_classifier,
    download_imagenet,
    file_origin,
    load_model,
    read_state_dict,
    save_model,
)

pytestmark = pytest.mark.usefixtures("one_torch_thread")

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
    return build_classifier("resnet18", 2, seed=0)


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    """A stand-in for ImageNet weights: a body of its own, and a head of 1,000 classes."""
    return build_classifier("resnet18", 1000, seed=77).state_dict()


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
    assert parameter_count(build_classifier("resnet18", n_classes, seed=0)) == parameters


def test_the_same_seed_gives_the_same_weights_and_another_one_others(network):
    state = network.state_dict()
    assert same(state, build_classifier("resnet18", 2, seed=0).state_dict())
    other = build_classifier("resnet18", 2, seed=1).state_dict()
    assert not torch.equal(state["conv1.weight"], other["conv1.weight"])
    assert not torch.equal(state["fc.weight"], other["fc.weight"])


def test_weights_do_not_depend_on_what_was_drawn_before(network):
    torch.manual_seed(5)
    torch.rand(17)
    assert same(network.state_dict(), build_classifier("resnet18", 2, seed=0).state_dict())


def test_building_leaves_the_global_random_state_alone():
    torch.manual_seed(123)
    before = torch.random.get_rng_state()
    build_classifier("resnet18", 2, seed=0)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_new_network_is_in_training_mode_and_float32(network):
    assert network.training
    assert {p.dtype for p in network.parameters()} == {torch.float32}


# --- pretrained weights ---------------------------------------------------------------------------


def test_a_pretrained_network_has_the_body_of_the_file_and_a_head_of_its_own(network, published):
    state = build_classifier("resnet18", 2, seed=0, pretrained=published).state_dict()
    body = [name for name in state if not name.startswith("fc.")]
    assert all(torch.equal(state[name], published[name]) for name in body)
    # The head is that of the seed, drawn as if there were no file.
    assert torch.equal(state["fc.weight"], network.state_dict()["fc.weight"])
    assert state["fc.weight"].shape == (2, 512)


def test_the_pretrained_body_is_a_copy(published):
    model = build_classifier("resnet18", 2, seed=0, pretrained=published)
    before = published["conv1.weight"].clone()
    with torch.no_grad():
        model.conv1.weight.zero_()
    assert torch.equal(published["conv1.weight"], before)


def test_weights_older_than_the_step_counter_of_batch_norm_are_taken(published):
    old = {k: v for k, v in published.items() if not k.endswith("num_batches_tracked")}
    model = build_classifier("resnet18", 2, seed=0, pretrained=old)
    assert torch.equal(model.state_dict()["conv1.weight"], published["conv1.weight"])


def refused(pretrained: dict[str, torch.Tensor]) -> str:
    with pytest.raises(WeightsError) as caught:
        build_classifier("resnet18", 2, seed=0, pretrained=pretrained)
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


# --- files of weights -----------------------------------------------------------------------------

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.zeros(2)}


@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.safetensors"])
def test_state_dicts_are_read_from_both_formats(tmp_path, name):
    path = tmp_path / name
    save_file(STATE, path) if path.suffix == ".safetensors" else torch.save(STATE, path)
    assert same(read_state_dict(path), STATE)


def test_a_checkpoint_with_its_state_dict_inside_is_read(tmp_path):
    torch.save({"state_dict": STATE, "epoch": 3}, tmp_path / "w.pth")
    assert same(read_state_dict(tmp_path / "w.pth"), STATE)


class Harmful:
    """An object that would run code when it is unpickled."""

    def __reduce__(self):
        return (Path.touch, (Path("harmed"),))


def test_a_pickled_object_is_refused_and_its_code_does_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"a.weight": Harmful()}, "w.pth")
    Path("plain.pth").write_bytes(pickle.dumps({"a.weight": Harmful()}, protocol=2))
    for name in ("w.pth", "plain.pth"):
        with pytest.raises(WeightsError, match=rf"'{name}'.*Python objects, which are refused"):
            read_state_dict(Path(name))
    assert not Path("harmed").exists()


@pytest.mark.parametrize(
    "content", [{"epoch": 3}, [torch.zeros(1)], torch.zeros(1), {0: torch.zeros(1)}]
)
def test_a_file_of_something_else_than_named_tensors_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(
        WeightsError, match=r"w\.pth.*something else than named tensors.*state_dict"
    ):
        read_state_dict(tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"neither", None])
def test_a_damaged_or_cut_file_is_named(tmp_path, name, content):
    path = tmp_path / name
    if content is None:
        save_file(STATE, path) if path.suffix == ".safetensors" else torch.save(STATE, path)
        content = path.read_bytes()[:-20]
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=rf"{name}.*damaged"):
        read_state_dict(path)


def test_a_missing_file_and_one_of_another_kind_are_named_with_their_key(tmp_path):
    with pytest.raises(WeightsError, match=r"nowhere\.pth.*does not exist \(model\.weights\)"):
        read_state_dict(tmp_path / "nowhere.pth")
    (tmp_path / "w.h5").touch()
    with pytest.raises(WeightsError, match=r"w\.h5.*neither \.safetensors nor \.pth"):
        read_state_dict(tmp_path / "w.h5")


def test_the_origin_of_weights_is_their_name_and_checksum(tmp_path):
    (tmp_path / "w.pth").write_bytes(b"weights")
    assert (
        file_origin(tmp_path / "w.pth") == f"w.pth sha256:{hashlib.sha256(b'weights').hexdigest()}"
    )


# --- fetching -------------------------------------------------------------------------------------


@pytest.fixture
def mirror(tmp_path) -> Path:
    """A local stand-in for the server: a file named after its own checksum, as theirs are."""
    torch.save(STATE, tmp_path / "file")
    digest = hashlib.sha256((tmp_path / "file").read_bytes()).hexdigest()
    return (tmp_path / "file").rename(tmp_path / f"resnet18-{digest[:8]}.pth")


def test_fetched_weights_are_kept_as_safetensors(mirror, tmp_path):
    target = tmp_path / "weights" / "resnet18.safetensors"
    download_imagenet("resnet18", target, mirror.as_uri())
    assert same(load_file(target), STATE)


@pytest.mark.parametrize("fault", ["checksum", "content", "missing"])
def test_weights_that_are_not_the_published_ones_are_refused_and_nothing_is_left(
    mirror, tmp_path, fault
):
    if fault == "checksum":
        mirror = mirror.rename(tmp_path / "resnet18-00000000.pth")
    elif fault == "content":
        mirror.write_bytes(mirror.read_bytes() + b"tampered")
    else:
        mirror.unlink()
    target = tmp_path / "weights" / "resnet18.safetensors"
    with pytest.raises(WeightsError) as caught:
        download_imagenet("resnet18", target, mirror.as_uri())
    for words in ("ImageNet weights of resnet18", mirror.as_uri(), "model.weights", "local file"):
        assert words in str(caught.value)
    assert [path for path in (tmp_path / "weights").rglob("*") if path.is_file()] == []


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
    model = build_classifier("resnet18", 2, seed=0).to(memory_format=torch.channels_last)
    save_model(tmp_path / "last.safetensors", model, CARD)
    assert (tmp_path / "last.safetensors").read_bytes() == saved.read_bytes()


def test_the_input_size_is_that_of_the_images_unless_the_card_says_another(network, tmp_path):
    assert CARD.input_size == CARD.image_size == 32
    card = ModelCard(**{**vars(CARD), "input_size": 75})
    save_model(tmp_path / "m.safetensors", network, card)
    read = load_model(tmp_path / "m.safetensors")[1]
    assert (read.image_size, read.input_size) == (32, 75)


def test_a_model_older_than_the_input_size_is_still_read(network, tmp_path):
    newer = ("input_size", "input_part")
    old = {key: value for key, value in vars(CARD).items() if key not in newer}
    metadata = {METADATA_KEY: json.dumps(old)}
    save_file(network.state_dict(), tmp_path / "old.safetensors", metadata=metadata)
    assert load_model(tmp_path / "old.safetensors")[1] == CARD


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
        {METADATA_KEY: json.dumps(vars(CARD))},
    ],
    ids=["no card", "no JSON", "no mapping", "half a card", "architecture", "other tensors"],
)
def test_tensors_that_are_not_our_model_are_refused(tmp_path, metadata):
    save_file(STATE, tmp_path / "other.safetensors", metadata=metadata)
    damaged(tmp_path / "other.safetensors")


def test_a_card_with_another_number_of_classes_is_refused(network, tmp_path):
    card = ModelCard(**{**vars(CARD), "classes": ["A", "B", "C"]})
    save_model(tmp_path / "m.safetensors", network, card)
    damaged(tmp_path / "m.safetensors")
