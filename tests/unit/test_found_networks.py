"""Networks that nobody described: what is found by looking at them is true, or they are refused."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from workflow_scripts.cxrcam.configuration.recipes import with_recipe
from workflow_scripts.cxrcam.configuration.stages import STAGES, stage_problem
from workflow_scripts.cxrcam.figures.architecture import block_of, network_blocks
from workflow_scripts.cxrcam.networks import architectures, found
from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.cam import logits_and_class_maps
from workflow_scripts.cxrcam.networks.found import look
from workflow_scripts.cxrcam.networks.input_size import network_input_size
from workflow_scripts.cxrcam.networks.libraries import (
    MissingLibraryError,
    NetworkError,
    refuse_unknown,
)
from workflow_scripts.cxrcam.networks.models import (
    ModelCard,
    build_classifier,
    load_model,
    load_pretrained,
    save_model,
)
from workflow_scripts.cxrcam.networks.weights.files import WeightsError
from workflow_scripts.cxrcam.networks.weights.initial_weights import choose_imagenet, read_start
from workflow_scripts.cxrcam.networks.weights.recorded_start import recorded_start

pytestmark = pytest.mark.usefixtures("one_torch_thread")

# Last layer, layer of the maps, and whether maps are exact.
TRUE = {
    "resnet34": ("fc", "layer4", True),
    "resnext50_32x4d": ("fc", "layer4", True),
    "efficientnet_b0": ("classifier.1", "features", True),
    "regnet_y_400mf": ("fc", "trunk_output", True),
    "shufflenet_v2_x1_0": ("fc", "conv5", True),
    "densenet169": ("classifier", "features", True),
    "squeezenet1_0": ("classifier.1", "classifier.2", True),
    "googlenet": ("fc", "inception5b", True),
    "convnext_tiny": ("classifier.2", "features", False),  # a normalisation behind the mean
    "mobilenet_v3_small": ("classifier.3", "features", False),  # two linear layers
}
EXACT = [name for name, (_, _, exact) in TRUE.items() if exact]
DESCRIBED = ["resnet18", "resnet50", "densenet121", "mobilenet_v2", "squeezenet1_1", "inception_v3"]


def images(side: int) -> torch.Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(side))


def as_trained(name: str) -> nn.Module:
    """A network in evaluation mode whose normalisation has statistics, as after a training."""
    model = build_classifier(Backbone(name), 3, seed=1)
    with torch.no_grad():
        for _ in range(2):
            model(images(96))
    return model.eval()


@pytest.mark.parametrize("name", TRUE)
def test_what_is_found_is_true(name):
    seen = look(name)
    assert (seen.head, seen.stage.layer, seen.exact) == TRUE[name]
    assert Backbone(name).map_kind == ("exact" if seen.exact else "grad_cam")
    assert [note for note in seen.notes if "Grad-CAM" in note] or seen.exact
    model = build_classifier(Backbone(name), 5, seed=0)
    assert model(images(64)).shape == (2, 5), "in training mode, too"


@pytest.mark.parametrize("name", EXACT)
def test_exact_maps_add_up_to_the_logit(name):
    model, backbone = as_trained(name), Backbone(name)
    logits, maps = logits_and_class_maps(model, backbone, images(128))
    head = model.get_submodule(backbone.head)
    bias = head.bias.detach() if isinstance(head, nn.Linear) else 0.0
    assert maps[0].std() > 0
    torch.testing.assert_close(maps.mean((2, 3)) + bias, logits, rtol=1e-3, atol=1e-4)


def test_classes_can_be_learnt_as_sub_classes():
    backbone = Backbone("shufflenet_v2_x0_5", sub_classes=2)
    model = build_classifier(backbone, 3, seed=0)
    assert model(images(64)).shape == (2, 6)
    logits, maps = logits_and_class_maps(model.eval(), backbone, images(64))
    assert logits.shape == (2, 3) and maps.shape == (2, 3, 2, 2)


@pytest.mark.parametrize("name", ["convnext_tiny", "mobilenet_v3_small"])
def test_what_is_not_exact_has_maps_of_grad_cam_that_do_not_add_up(name):
    model, backbone = as_trained(name), Backbone(name)
    logits, maps = logits_and_class_maps(model, backbone, images(128))
    assert maps.shape == (2, 3, 4, 4) and maps.isfinite().all() and maps.std() > 0
    bias = model.get_submodule(backbone.head).bias.detach()
    assert not torch.allclose(maps.mean((2, 3)) + bias, logits, rtol=0.05)


def test_layers_between_mean_and_logit_are_named():
    assert "LayerNorm2d" in look("convnext_tiny").notes[0]
    assert "Hardswish" in look("mobilenet_v3_small").notes[0]


@pytest.mark.parametrize("name", DESCRIBED)
def test_the_arithmetic_gives_what_was_worked_out_by_hand(name):
    by_hand, seen = STAGES[name][max(STAGES[name])], look(name)
    for what in ("channels", "stride", "offset", "receptive_field"):
        assert getattr(seen.stage, what) == getattr(by_hand, what), what
    known = architectures.ARCHITECTURES[name]
    assert (seen.head, seen.rectified_later) == (known.head, known.rectified_later)
    assert seen.minimum_size == known.minimum_size
    assert seen.exact and not seen.notes


def test_where_the_arithmetic_ends_cells_are_centred_and_a_sentence_says_so():
    stage, notes = look("swin_t").stage, look("swin_t").notes
    assert (stage.stride, stage.offset, stage.receptive_field) == (32, 15.5, None)
    assert "placed in the middle" in notes[0]


@pytest.mark.parametrize("name", ["vit_b_16", "maxvit_t"])
def test_a_network_without_a_map_or_of_one_size_is_refused(name):
    with pytest.raises(NetworkError, match=f"The network {name} .* choose a"):
        look(name)


@pytest.mark.parametrize(
    ("name", "near"),
    [("resnet340", "resnet34"), ("efficientnet_b9", "efficientnet_b"), ("covid_cap", "covid_caps")],
)
def test_an_unknown_name_is_refused_with_the_closest_one(name, near):
    with pytest.raises(NetworkError, match=f"{name!r}, but torchvision.*Did you mean '{near}"):
        refuse_unknown(name)


@pytest.mark.parametrize("name", ["fcn_resnet50", "raft_small", "timm", "resnet34.py", ""])
def test_only_classification_networks_are_known(name):
    with pytest.raises(NetworkError, match="lists them"):
        look(name)


def test_a_look_leaves_generator_mode_and_device_alone():
    found.look.cache_clear()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16), torch.device("meta"):
        inside = look("shufflenet_v2_x1_0")
    torch.testing.assert_close(torch.rand(3), expected)
    found.look.cache_clear()
    assert inside == look("shufflenet_v2_x1_0")


def test_the_same_seed_gives_the_same_network_whether_it_was_looked_at_or_not():
    states = []
    for _ in range(2):
        found.look.cache_clear()
        architectures._found_architecture.cache_clear()
        states.append(build_classifier(Backbone("shufflenet_v2_x0_5"), 2, seed=3).state_dict())
        states.append(build_classifier(Backbone("shufflenet_v2_x0_5"), 2, seed=3).state_dict())
    for state in states[1:]:
        assert all(torch.equal(states[0][name], state[name]) for name in state)


def test_a_found_network_can_only_be_whole():
    assert "resnet34 can only be whole" in stage_problem("resnet34", 3, None)
    assert "resnet34 can only have maps of its own stride" in stage_problem("resnet34", None, 16)
    assert stage_problem("resnet34", None, None) == ""
    model = {"architecture": "resnet34", "last_stage": "auto", "map_stride": "auto"}
    recipe = {"last_stage": 3, "map_stride": 16}
    chosen, _ = with_recipe(model, {"epochs": 1}, recipe, n_images=10)
    assert (chosen["last_stage"], chosen["map_stride"]) == (None, None)


def test_fewest_pixels_are_what_the_network_takes():
    smallest = look("alexnet").minimum_size
    model = build_classifier(Backbone("alexnet"), 2, seed=0).eval()
    assert model(images(smallest)).shape == (2, 2)
    with pytest.raises(RuntimeError):
        model(images(smallest - 1))
    assert network_input_size("alexnet", 32, None) == smallest > 32


def card_of(name: str) -> ModelCard:
    return ModelCard(
        **{"classes": ["a", "b", "c"], "architecture": name, "image_size": 96},
        **{"mean": [0.5] * 3, "std": [0.5] * 3, "weights_origin": "random"},
        **{"configuration_hash": "h", "data_fingerprint": "f", "training": {}},
    )


def test_a_model_is_saved_and_read_again(tmp_path):
    model = as_trained("regnet_y_400mf")
    save_model(tmp_path / "m.safetensors", model, card_of("regnet_y_400mf"))
    again, card = load_model(tmp_path / "m.safetensors")
    assert card.backbone == Backbone("regnet_y_400mf")
    with torch.no_grad():
        torch.testing.assert_close(again(images(96)), model(images(96)))


def test_published_tensors_are_taken_under_their_older_names_too():
    backbone = Backbone("densenet169")
    state = build_classifier(backbone, 1000, seed=1).state_dict()
    older = {
        name.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2."): tensor
        for name, tensor in state.items()
    }
    assert older.keys() != state.keys()
    model = build_classifier(backbone, 2, seed=0)
    load_pretrained(model, backbone, older)
    taken = model.state_dict()
    assert all(torch.equal(taken[k], v) for k, v in state.items() if "classifier" not in k)


def test_auxiliary_classifiers_of_a_published_file_are_left_out():
    backbone = Backbone("googlenet")
    model = build_classifier(backbone, 2, seed=0)
    state = build_classifier(backbone, 1000, seed=1).state_dict()
    load_pretrained(model, backbone, state | {"aux1.conv.conv.weight": torch.zeros(128, 512, 1, 1)})
    assert torch.equal(model.state_dict()["conv1.conv.weight"], state["conv1.conv.weight"])


@pytest.mark.parametrize("name", ["efficientnet_b0", "regnet_y_400mf", "resnet34"])
def test_the_drawing_marks_the_last_block_of_the_feature_map(name):
    backbone = Backbone(name)
    blocks = network_blocks(build_classifier(backbone, 3, seed=0), 64)
    maps = blocks[block_of(blocks, backbone.feature_layer)]
    assert maps.output == (backbone.stage.channels, 2, 2)
    assert block_of(blocks, backbone.head) == len(blocks) - 1


# --- timm, by a stand-in --------------------------------------------------------------------------


class Rectified(nn.Module):
    """Two linear layers behind a mean, and what comes in is rectified in place before that."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, n)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = nn.functional.relu(self.conv(x), inplace=True)
        return self.second(self.first(features.mean((2, 3))).relu())


class Reused(nn.Module):
    """Two convolutions behind each of which the same layer rectifies."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.first, self.second, self.act = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3), nn.ReLU()
        self.head = nn.Linear(6, n)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.act(self.second(self.act(self.first(x)))).mean((2, 3)))


class Small(nn.Module):
    """A convolution, a pooling to one number a channel, and a last part."""

    pretrained_cfg = {"url": "u", "mean": (0.5,) * 3, "std": (0.25,) * 3}  # noqa: RUF012

    def __init__(self, pooling: nn.Module, last: Callable[[int], nn.Module], n: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, stride=2)
        self.act = nn.ReLU()
        self.pooling = pooling
        self.last = last(n)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.pooling(self.act(self.conv(x))).flatten(1))


OTHERS: dict[str, Callable[[int], nn.Module]] = {"in_place": Rectified, "reused": Reused}
MEAN, LARGEST = nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1)
SMALL: dict[str, tuple[nn.Module, Callable[[int], nn.Module]]] = {
    "plain": (MEAN, lambda n: nn.Linear(6, n)),
    "dropped": (MEAN, lambda n: nn.Sequential(nn.Dropout(0.5), nn.Linear(6, n))),
    "largest": (LARGEST, lambda n: nn.Linear(6, n)),
    "normalised": (MEAN, lambda n: nn.Sequential(nn.LayerNorm(6), nn.Linear(6, n))),
    "scaled": (MEAN, lambda n: nn.Sequential(nn.Linear(6, n), nn.Softmax(1))),
    "no_head": (MEAN, lambda n: nn.Linear(6, 2)),
}


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What of timm is used here; `weights` are those that its hub has, `fails` what it raises."""
    library: Any = ModuleType("timm")
    library.weights, library.fails = None, OSError("the hub\nis far away")

    def create_model(name: str, pretrained: bool = False, num_classes: int = 7) -> nn.Module:
        if name in OTHERS:
            return OTHERS[name](num_classes)
        model = Small(*SMALL[name], num_classes)
        if name == "dropped":
            model.pretrained_cfg = Small.pretrained_cfg | {"url": ""}
        if pretrained and library.weights is None:
            raise library.fails
        if pretrained:
            model.load_state_dict(library.weights)
        return model

    library.create_model = create_model
    library.is_model = [*SMALL, *OTHERS].__contains__
    library.list_models = lambda: [*SMALL]
    monkeypatch.setitem(sys.modules, "timm", library)
    for cache in (found.look, architectures._found_architecture):
        cache.cache_clear()
    yield library
    for cache in (found.look, architectures._found_architecture):
        cache.cache_clear()


@pytest.mark.parametrize(
    ("name", "exact"),
    [("plain", True), ("dropped", True), ("largest", False), ("normalised", False)],
)
def test_only_a_mean_before_one_linear_layer_is_exact(timm, name, exact):
    seen = look(f"timm:{name}")
    assert (seen.exact, seen.stage.layer) == (exact, "act")
    assert (seen.stage.stride, seen.stage.offset, seen.stage.receptive_field) == (2, 1.0, 3)
    assert seen.normalisation == ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def test_features_that_are_changed_in_place_have_maps_of_grad_cam(timm):
    backbone = Backbone("timm:in_place")
    model = build_classifier(backbone, 2, seed=0).eval()
    logits, maps = logits_and_class_maps(model, backbone, images(40))
    assert (backbone.map_kind, backbone.feature_layer) == ("grad_cam", "conv")
    assert maps.shape == (2, 2, 38, 38) and maps.std() > 0
    torch.testing.assert_close(logits, model(images(40)))


def test_a_layer_that_runs_twice_is_not_where_maps_are_read(timm):
    seen = look("timm:reused")
    assert (seen.stage.layer, seen.exact, seen.rectified_later) == ("second", True, True)


def test_logits_that_are_changed_behind_the_last_layer_are_not_exact(timm):
    assert not look("timm:scaled").exact


def test_a_network_that_does_not_give_the_classes_is_refused(timm):
    with pytest.raises(NetworkError, match="timm:no_head does not give one logit a class"):
        look("timm:no_head")


def test_a_name_that_timm_does_not_have_is_refused(timm):
    with pytest.raises(NetworkError, match=r"timm has no .*Did you mean 'timm:largest'"):
        look("timm:largst")


def test_without_timm_one_sentence_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingLibraryError, match=r"'timm:plain', but .*pip install timm"):
        look("timm:plain")
    model = nn.Linear(2, 2)
    save_model(tmp_path / "m.safetensors", model, card_of("timm:plain"))
    with pytest.raises(MissingLibraryError, match="pip install timm"):
        load_model(tmp_path / "m.safetensors")


def choose(folder: Path, name: str = "timm:plain", insist: bool = False) -> Path:
    target = folder / f"{name}-start-auto.safetensors"
    choose_imagenet(name, insist, target, folder)
    return target


def test_weights_of_timm_are_fetched_by_timm_with_their_normalisation(timm, tmp_path):
    timm.weights = Small(*SMALL["plain"], 7).state_dict()
    target = choose(tmp_path, insist=True)
    assert recorded_start(target)["found"] == "fetched by timm"
    start = read_start(target, "timm:plain")
    assert (start.kind, start.normalisation) == (
        "imagenet",
        ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
    )
    assert start.origin.startswith("timm:plain-imagenet.safetensors sha256:")
    assert all(torch.equal(start.tensors[k], v) for k, v in timm.weights.items())
    assert [*tmp_path.iterdir()] == [target], "nothing is kept twice"
    first = target.read_bytes()
    target.unlink()
    assert choose(tmp_path).read_bytes() == first


def test_a_local_file_comes_before_the_hub(timm, tmp_path):
    own = tmp_path / "timm:plain-imagenet.safetensors"
    save_file(Small(*SMALL["plain"], 7).state_dict(), own)
    target = choose(tmp_path)
    assert recorded_start(target)["found"] == f"in {tmp_path.as_posix()}"
    assert load_file(target).keys() == load_file(own).keys()
    assert own.is_file()
    start = read_start(own, "timm:plain")
    assert (start.kind, start.normalisation[1]) == ("file", (0.25, 0.25, 0.25))
    assert read_start(own, "resnet18").normalisation is None


def test_a_hub_that_cannot_be_reached_leaves_random_weights_and_says_why(timm, tmp_path):
    reason = recorded_start(choose(tmp_path))["reason"]
    assert "timm's weights of timm:plain could not be fetched: the hub." in reason
    assert "(timm:plain-imagenet.safetensors)" in reason, "what to put there"
    with pytest.raises(WeightsError, match=r"put timm:plain-imagenet\.safetensors into"):
        choose(tmp_path, insist=True)


def test_a_network_without_published_weights_in_timm_starts_from_random_ones(timm, tmp_path):
    recorded = recorded_start(choose(tmp_path, "timm:dropped"))
    assert recorded["note"] == "No ImageNet weights of timm:dropped are published."


def test_a_card_of_a_network_that_no_library_has_is_refused(tmp_path):
    save_model(tmp_path / "m.safetensors", nn.Linear(2, 2), card_of("no_such_network"))
    with pytest.raises(WeightsError, match="damaged"):
        load_model(tmp_path / "m.safetensors")
