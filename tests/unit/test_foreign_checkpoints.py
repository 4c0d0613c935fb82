"""Checkpoints of other projects: taken where the network computes the same, refused where not."""

import copy

import pytest
import torch
from torch import nn

from workflow_scripts.cxrcam.networks.architectures import ARCHITECTURES, Backbone
from workflow_scripts.cxrcam.networks.weights.files import WeightsError
from workflow_scripts.cxrcam.networks.weights.foreign_checkpoints import (
    fitted_tensors,
    radiology_normalisation,
)

pytestmark = pytest.mark.usefixtures("one_torch_thread")

State = dict[str, torch.Tensor]


def trained(model: nn.Module, seed: int = 3) -> nn.Module:
    """The network with statistics and scales of batch normalisation as training leaves them."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                for tensor in (layer.running_var, layer.weight):
                    tensor.uniform_(0.5, 1.5, generator=generator)
                for tensor in (layer.running_mean, layer.bias):
                    tensor.normal_(0, 0.1, generator=generator)
                layer.num_batches_tracked.fill_(100)
    return model.eval()


def built(architecture: str, n_classes: int = 1000, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return ARCHITECTURES[architecture].build(weights=None, num_classes=n_classes)


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    return trained(built("resnet18"))


@pytest.fixture(scope="module")
def published(resnet) -> State:
    """Stand-in for published weights: a trained body and a head of 1,000 classes."""
    return resnet.state_dict()


def fitted(
    state: State, architecture: str = "resnet18", model: nn.Module | None = None
) -> tuple[State, list[str]]:
    expected = (model or built(architecture, 2)).state_dict()
    return fitted_tensors(state, expected, Backbone(architecture))


def loaded(state: State, architecture: str = "resnet18", model: nn.Module | None = None):
    """A network with the fitted tensors, without its last layer; and what was done for it."""
    model = model or built(architecture, 2, seed=9)
    tensors, notes = fitted(state, architecture, model)
    model.load_state_dict(tensors, strict=False)
    return headless(model, architecture), notes


def headless(model: nn.Module, architecture: str = "resnet18") -> nn.Module:
    model = copy.deepcopy(model).eval()
    model.set_submodule(ARCHITECTURES[architecture].head, nn.Identity())
    return model


def refusal(state: State, architecture: str = "resnet18") -> str:
    with pytest.raises(WeightsError) as caught:
        fitted(state, architecture)
    assert "model.weights" in str(caught.value)
    return str(caught.value)


def body(state: State, head: str = "fc") -> State:
    return {k: v for k, v in state.items() if not k.startswith(f"{head}.")}


def same(a: State, b: State) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def grey(side: int = 64, images: int = 2) -> torch.Tensor:
    return torch.rand(images, 1, side, side, generator=torch.Generator().manual_seed(5))


# --- names ----------------------------------------------------------------------------------------


def test_published_weights_are_taken_as_they_are_but_for_their_head(published):
    for state in (published, body(published)):
        tensors, notes = fitted(state)
        assert same(tensors, body(published))
        assert notes == []


@pytest.mark.parametrize(
    "prefix",
    [
        *("module.", "model.", "backbone.", "net.", "encoder."),
        *("module.model.", "model.backbone.", "module.resnet18.", "a.b.c.d."),
    ],
)
def test_a_prefix_is_taken_off_and_said(published, prefix):
    tensors, notes = fitted({prefix + name: v for name, v in published.items()})
    assert same(tensors, body(published))
    assert notes == [
        f"{len(tensors)} tensors of the weights were renamed by taking off '{prefix}'."
    ]


def test_what_stands_beside_a_prefix_is_left_out_only_if_it_is_a_head_or_a_counter(published):
    wrapped = {f"backbone.{name}": v for name, v in body(published).items()}
    beside = {"classifier.weight": torch.zeros(3, 512), "n_averaged": torch.tensor(4)}
    assert fitted(wrapped | beside)[1][1:] == [
        "2 tensors of the weights were left out (classifier.weight, n_averaged)."
    ]
    for name in ("decoder.0.weight", "conv1.weight", "layer1.0.conv1.weight"):
        assert f"1 unknown tensors (for example {name})" in refusal(
            wrapped | {name: torch.zeros(64, 3, 7, 7)}
        )
    moved = {k: v for k, v in wrapped.items() if k != "backbone.bn1.bias"}
    moved["bn1.bias"] = wrapped["backbone.bn1.bias"]
    message = refusal(moved)
    assert "1 tensors missing (for example bn1.bias)" in message
    assert "1 unknown tensors (for example bn1.bias)" in message


def test_of_two_networks_in_one_file_neither_is_taken(published):
    both = {f"{who}.{k}": v for who in ("student", "teacher") for k, v in published.items()}
    assert "unknown tensors (for example teacher." in refusal(both)


def test_a_single_tensor_with_a_prefix_is_no_reason_to_take_it_off(published):
    name = "layer1.0.conv1.weight"
    odd = {f"module.{k}" if k == name else k: v for k, v in published.items()}
    message = refusal(odd)
    assert f"1 tensors missing (for example {name})" in message
    assert f"1 unknown tensors (for example module.{name})" in message


def test_a_tensor_under_two_names_is_refused_as_either_might_be_meant():
    model = trained(built("densenet121"))
    old = "features.denseblock1.denselayer1.norm.1.weight"
    state = model.state_dict() | {old: torch.zeros(64)}
    assert f"1 unknown tensors (for example {old})" in refusal(state, "densenet121")


@pytest.mark.parametrize("prefix", ["", "module.densenet121."])
def test_names_of_old_densenet_files_are_taken_for_today_s(prefix):
    model = trained(built("densenet121"))
    state = model.state_dict()

    def old(name: str) -> str:
        for layer in ("norm", "relu", "conv"):
            for number in "12":
                name = name.replace(f".{layer}{number}.", f".{layer}.{number}.")
        return name

    olden = {prefix + old(name): v for name, v in state.items()}
    assert f"{prefix}features.denseblock1.denselayer1.norm.1.weight" in olden
    tensors, notes = fitted(olden, "densenet121")
    assert same(tensors, body(state, "classifier"))
    how = f"by taking off '{prefix}'." if prefix else "from their older names."
    assert len(notes) == 1
    assert int(notes[0].split()[0]) > 500
    assert notes[0].endswith(how)


# --- what is left out -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        {"fc.weight": (14, 512), "fc.bias": (14,)},
        {"fc.0.weight": (64, 512), "fc.0.bias": (64,), "fc.2.weight": (2, 64), "fc.2.bias": (2,)},
        {"classifier.weight": (2, 512), "classifier.bias": (2,)},
        {"classifier.1.weight": (2, 512)},
        {"head.fc.weight": (2, 512)},
        {"last_linear.weight": (2, 512)},
        {},
    ],
    ids=lambda head: ", ".join(head) or "none",
)
def test_a_head_of_any_name_and_shape_is_left_out_and_the_body_taken(published, head):
    state = body(published) | {name: torch.zeros(shape) for name, shape in head.items()}
    tensors, notes = fitted(state)
    assert same(tensors, body(published))
    said = " ".join(notes)
    assert all((name in said) == (not name.startswith("fc.")) for name in head)


def test_layers_of_a_head_s_name_that_the_network_needs_are_no_head():
    # As VGG has: three dense layers, of which the last one is the head.
    vgg = nn.ModuleDict({"classifier": nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))})
    state = vgg.state_dict()
    head_is_the_second = Backbone("mobilenet_v2")
    tensors, _ = fitted_tensors(state, state, head_is_the_second)
    assert list(tensors) == ["classifier.0.weight", "classifier.0.bias"]
    del state["classifier.0.weight"]
    with pytest.raises(WeightsError, match=r"1 tensors missing \(for example classifier\.0"):
        fitted_tensors(state, vgg.state_dict(), head_is_the_second)


def test_of_many_tensors_that_are_left_out_the_first_are_named(published):
    extras = {f"head.{k}.weight": torch.zeros(1) for k in range(5)}
    assert fitted(published | extras)[1] == [
        "5 tensors of the weights were left out (head.0.weight, head.1.weight, head.2.weight, ...)."
    ]


def test_thresholds_of_torchxrayvision_and_counters_are_left_out(published):
    extras = {
        "op_threshs": torch.full((18,), float("nan")),
        "bn9.num_batches_tracked": torch.ones(1),
    }
    assert fitted(published | extras)[1] == [
        "2 tensors of the weights were left out (op_threshs, bn9.num_batches_tracked)."
    ]


@pytest.mark.parametrize("counter", [torch.tensor(7.0), torch.tensor([7])], ids=["float", "shape"])
def test_a_counter_of_another_kind_is_no_reason_to_refuse(published, counter):
    tensors, _ = fitted(published | {"bn1.num_batches_tracked": counter})
    assert tensors.keys() == body(published).keys() - {"bn1.num_batches_tracked"}
    none = {k: v for k, v in published.items() if not k.endswith("num_batches_tracked")}
    assert same(fitted(none)[0], body(none))


def test_the_auxiliary_classifier_of_inception_is_left_out():
    state = trained(built("inception_v3")).state_dict()
    tensors, notes = fitted(state | {"AuxLogits.fc.bias": torch.zeros(1000)}, "inception_v3")
    assert same(tensors, body(state))
    assert notes == []


def test_a_network_cut_before_its_last_stage_leaves_out_what_lies_behind(published):
    backbone = Backbone("resnet18", last_stage=3)
    own = backbone.build(2).state_dict()
    tensors, notes = fitted_tensors(published, own, backbone)
    assert same(tensors, {k: v for k, v in body(published).items() if "layer4" not in k})
    assert notes == []
    # Not so what the published network does not have either, nor without being cut.
    more = published | {"layer4.2.conv1.weight": torch.zeros(1)}
    with pytest.raises(WeightsError, match=r"1 unknown tensors \(for example layer4\.2\.conv1"):
        fitted_tensors(more, own, backbone)
    with pytest.raises(WeightsError, match="25 unknown tensors"):
        fitted_tensors(published, own, Backbone("resnet18"))


# --- channels -------------------------------------------------------------------------------------


def with_channels(model: nn.Module, channels: int) -> nn.Module:
    """A trained network like `model` whose first convolution takes so many channels."""
    model = copy.deepcopy(model)
    model.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
    nn.init.normal_(model.conv1.weight, std=0.1, generator=torch.Generator().manual_seed(2))
    return model


@pytest.mark.parametrize(("given", "wanted"), [(1, 3), (3, 1)])
def test_a_first_convolution_of_other_channels_computes_the_same_of_grey(resnet, given, wanted):
    theirs = with_channels(resnet, given)
    ours, notes = loaded(theirs.state_dict(), model=with_channels(built("resnet18", 2), wanted))
    with torch.inference_mode():
        expected = headless(theirs)(grey().expand(-1, given, -1, -1))
        torch.testing.assert_close(ours(grey().expand(-1, wanted, -1, -1)), expected)
    assert len(notes) == 1
    assert notes[0].startswith("conv1.weight of the weights has")


@pytest.mark.parametrize("shape", [(64, 4, 7, 7), (64, 1, 3, 3), (32, 1, 7, 7), (64, 7, 7), (1,)])
def test_a_first_convolution_of_any_other_shape_is_refused(published, shape):
    message = refusal(published | {"conv1.weight": torch.zeros(shape)})
    assert "1 tensors of another shape (for example conv1.weight)" in message


def test_only_the_first_convolution_is_made_to_fit(published):
    name = "layer1.0.conv1.weight"
    message = refusal(published | {name: torch.zeros(64, 1, 3, 3)})
    assert f"1 tensors of another shape (for example {name})" in message


# --- what is refused ------------------------------------------------------------------------------


def test_another_network_is_refused_with_what_does_not_fit(published):
    message = refusal(built("resnet101", 2).state_dict())
    for words in ("not those of resnet18", "unknown tensors", "of another shape", "Name a state"):
        assert words in message
    assert "tensors missing" in refusal(published, "densenet121")
    assert "tensors missing" in refusal({})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["layer2.0.bn1.running_var", "conv1.weight"])
def test_numbers_that_are_none_are_refused_by_tensor(published, name, value):
    bad = {**published, name: published[name].clone()}
    bad[name].view(-1)[3] = value
    message = refusal(bad)
    assert "NaN or infinite" in message
    assert name in message


def test_a_bad_number_in_what_is_left_out_does_no_harm(published):
    fitted(published | {"fc.bias": torch.full((1000,), float("nan"))})


@pytest.mark.parametrize(
    "dtype", [torch.int8, torch.bool, torch.complex64, torch.float8_e4m3fn], ids=str
)
def test_numbers_of_another_type_are_refused(published, dtype):
    name = "layer1.0.conv1.weight"
    message = refusal(published | {name: torch.zeros(64, 64, 3, 3).to(dtype)})
    assert f"1 tensors of another type of number (for example {name})" in message


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_other_precisions_become_single(published, dtype):
    other = {k: v.to(dtype) if v.is_floating_point() else v for k, v in published.items()}
    tensors, notes = fitted(other)
    assert same(tensors, {k: v.to(published[k].dtype) for k, v in body(other).items()})
    assert notes == []


# --- batch normalisation --------------------------------------------------------------------------


def folded(model: nn.Module) -> nn.Module:
    """The same function in evaluation, with the statistics moved into scales and shifts."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                scale = layer.weight / (layer.running_var + layer.eps).sqrt()
                layer.bias -= layer.running_mean * scale
                layer.weight.copy_(scale * (1 + layer.eps) ** 0.5)
                layer.running_mean.zero_()
                layer.running_var.fill_(1)
    return model


def test_folded_batch_normalisation_is_taken_with_a_warning(resnet):
    model = folded(resnet)
    image = grey().expand(-1, 3, -1, -1)
    with torch.inference_mode():
        torch.testing.assert_close(model(image), resnet(image), rtol=1e-3, atol=1e-3)
    _, notes = fitted(model.state_dict())
    assert len(notes) == 1
    assert "fine in evaluation and ruinous in training" in notes[0]


def test_there_is_no_warning_of_statistics_that_are_there_or_were_never_taken(resnet):
    assert fitted(resnet.state_dict())[1] == []
    assert fitted(built("resnet18").state_dict())[1] == []
    assert fitted(built("squeezenet1_1").state_dict(), "squeezenet1_1")[1] == []
    for statistic in ("running_mean", "running_var"):
        almost = folded(resnet)
        getattr(almost.layer4[1].bn2, statistic)[7] = 0.9
        assert fitted(almost.state_dict())[1] == []


# --- TorchXRayVision ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def radiology() -> nn.Module:
    """Like a DenseNet121 of TorchXRayVision: one channel, -1024 to 1024, 18 findings."""
    model = built("densenet121", 18, seed=4)
    model.features.conv0 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
    generator = torch.Generator().manual_seed(6)
    nn.init.normal_(model.features.conv0.weight, mean=0.02, std=0.1, generator=generator)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0  # statistics of one batch
    model.register_buffer("op_threshs", torch.full((18,), 0.5))
    with torch.inference_mode():
        model.train()((2 * grey(images=8) - 1) * 1024)
    return model.eval()


@pytest.mark.parametrize("prefix", ["", "model."])
def test_a_network_of_torchxrayvision_computes_the_same_of_our_images(radiology, prefix):
    state = {prefix + name: v for name, v in radiology.state_dict().items()}
    normalisation = radiology_normalisation(state)
    assert normalisation is not None
    mean, std = (torch.tensor(values)[:, None, None] for values in normalisation)
    ours, notes = loaded(state, "densenet121")
    # In double precision, as chance weights make much of rounding: what is left is that of a third.
    ours, theirs, image = ours.double(), copy.deepcopy(radiology).double(), grey(96).double()
    with torch.inference_mode():
        expected = theirs.features((2 * image - 1) * 1024)
        computed = ours.features((image.expand(-1, 3, -1, -1) - mean) / std)
    assert expected.std() > 0.1
    # Borders included: what is padded is 0 in both, which is mid-grey.
    torch.testing.assert_close(computed, expected, rtol=1e-4, atol=1e-4)
    assert f"({prefix}op_threshs)" in notes[-1]


def test_only_networks_of_torchxrayvision_get_their_normalisation(radiology, published):
    state = radiology.state_dict()
    first, last = "features.conv0.weight", "classifier.weight"
    assert radiology_normalisation(published) is None
    assert radiology_normalisation({}) is None
    assert radiology_normalisation(state | {last: torch.zeros(14, 1024)}) is None
    assert radiology_normalisation(state | {first: torch.zeros(64, 3, 7, 7)}) is None
    assert radiology_normalisation({k: v for k, v in state.items() if k != last}) is None
