"""All known networks: each can be trained, saved, mapped, and takes the published weights."""

import re
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from workflow_scripts.cxrcam.networks.architectures import ARCHITECTURES, Backbone
from workflow_scripts.cxrcam.networks.cam import (
    captured_features,
    classifier_head,
    logits_and_class_maps,
)
from workflow_scripts.cxrcam.networks.cost import parameter_count
from workflow_scripts.cxrcam.networks.device_images import Normalisation
from workflow_scripts.cxrcam.networks.models import (
    ModelCard,
    build_classifier,
    load_model,
    load_pretrained,
    save_model,
)
from workflow_scripts.cxrcam.networks.pooling import GridAveragePool
from workflow_scripts.cxrcam.networks.prediction import predict
from workflow_scripts.cxrcam.networks.training.freezing import front_features, front_removed
from workflow_scripts.cxrcam.networks.weights.files import read_state_dict
from workflow_scripts.cxrcam.networks.weights.foreign_checkpoints import fitted_tensors

pytestmark = pytest.mark.usefixtures("one_torch_thread")

IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
PUBLISHED = [name for name, known in ARCHITECTURES.items() if known.imagenet]
SMALL = ["mobilenet_v2", "squeezenet1_1", "densenet121", "inception_v3"]  # to build once more


def random_images(n: int, size: int) -> torch.Tensor:
    """Network input, the same at each call."""
    values = np.random.default_rng(size).normal(size=(n, 3, size, size))
    return torch.from_numpy(values.astype("f4"))


@dataclass(frozen=True)
class Network:
    """A network of three classes, as after some training: its activations are of ordinary size."""

    name: str
    model: nn.Module

    @property
    def minimum(self) -> int:
        return ARCHITECTURES[self.name].minimum_size

    @property
    def head(self) -> nn.Module:
        return self.model.get_submodule(ARCHITECTURES[self.name].head)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def network(request) -> Network:
    built = Network(request.param, build_classifier(Backbone(request.param), 3, seed=0))
    for module in built.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the running mean of one batch is that of this batch
    with torch.no_grad():
        built.model(random_images(4, built.minimum))
    built.model.eval()
    return built


# --- training -------------------------------------------------------------------------------------


def test_only_the_last_layer_depends_on_the_number_of_classes(network):
    with torch.device("meta"):
        of_two = ARCHITECTURES[network.name].build(weights=None, num_classes=2)
    per_class = sum(p[0].numel() for p in network.head.parameters())
    assert network.head.weight.shape[0] == 3
    assert parameter_count(network.model) == parameter_count(of_two) + per_class


def trains(model: nn.Module, architecture: str, n_classes: int) -> None:
    """Take one step; the gradient must reach every weight, and the step the last layer."""
    images = random_images(4, ARCHITECTURES[architecture].minimum_size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # an unlucky dropout leaves all of SqueezeNet's logits at 0
        logits = model(images)
    assert logits.shape == (4, n_classes)
    nn.functional.cross_entropy(logits, torch.arange(4) % n_classes).backward()
    for parameter in model.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
    head = model.get_submodule(ARCHITECTURES[architecture].head)
    before = head.weight.detach().clone()
    torch.optim.SGD(model.parameters(), lr=1e-3).step()
    assert not torch.equal(head.weight, before)


def test_one_step_of_training_moves_three_classes(network):
    network.model.train()
    trains(network.model, network.name, 3)
    network.model.zero_grad(set_to_none=True)
    network.model.eval()


@pytest.mark.parametrize("architecture", ["resnet18", *SMALL])
def test_one_step_of_training_moves_two_classes(architecture):
    trains(build_classifier(Backbone(architecture), 2, seed=1), architecture, 2)


@pytest.mark.parametrize("architecture", SMALL)
def test_the_seed_decides_the_weights(architecture):
    first, again, other = (
        build_classifier(Backbone(architecture), 2, seed=seed).state_dict() for seed in (3, 3, 4)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    head = f"{ARCHITECTURES[architecture].head}.weight"
    assert not torch.equal(first[head], other[head])


# --- saving ---------------------------------------------------------------------------------------


def test_a_saved_network_comes_back_and_answers_the_same(network, tmp_path):
    card = ModelCard(
        classes=["Normal", "COVID", "肺炎"],
        architecture=network.name,
        image_size=32,
        mean=[0.5] * 3,
        std=[0.5] * 3,
        weights_origin="random",
        configuration_hash="c0ffee",
        data_fingerprint="f00d",
        training={},
        input_size=network.minimum,
    )
    save_model(tmp_path / "m.safetensors", network.model, card)
    model, read = load_model(tmp_path / "m.safetensors")
    (tmp_path / "m.safetensors").unlink()  # VGG19's is large, and pytest keeps its folders
    assert read == card
    assert not model.training
    expected = network.model.state_dict()
    assert model.state_dict().keys() == expected.keys()
    assert all(torch.equal(v, expected[k]) for k, v in model.state_dict().items())
    assert all(p.requires_grad for p in model.parameters())
    images = random_images(2, network.minimum)
    with torch.inference_mode():
        torch.testing.assert_close(model(images), network.model(images), rtol=1e-4, atol=1e-4)


# --- maps -----------------------------------------------------------------------------------------


def test_predictions_and_maps_are_finite_and_of_every_class(network):
    size = network.minimum
    pixels = np.random.default_rng(0).integers(0, 256, (3, size, size), dtype=np.uint8)
    cpu = torch.device("cpu")
    result = predict(network.model, Backbone(network.name), pixels, IMAGENET, cpu)
    several = network.name in ("squeezenet1_1", "covid_caps")
    cells = result.class_maps.shape[-1] if several else 1
    assert result.logits.shape == result.probabilities.shape == (3, 3)
    assert result.class_maps.shape == (3, 3, cells, cells)
    assert {a.dtype for a in vars(result).values()} == {np.dtype("float32")}
    assert all(np.isfinite(a).all() for a in vars(result).values())
    one_by_one = predict(network.model, Backbone(network.name), pixels, IMAGENET, cpu, batch_size=1)
    for name, values in vars(result).items():
        np.testing.assert_allclose(
            getattr(one_by_one, name),
            values,
            rtol=1e-4,
            atol=1e-4 * np.abs(values).max(initial=0.0),
        )


def test_maps_are_what_their_kind_promises(network):
    images = random_images(3, network.minimum + 64)
    logits, maps = logits_and_class_maps(network.model, Backbone(network.name), images)
    assert maps.shape[:2] == (3, 3)
    assert maps.shape[2] == maps.shape[3] >= 3
    assert maps.std((2, 3)).max() > 0.01 * maps.abs().max()  # places differ: no empty claim
    with torch.inference_mode():
        torch.testing.assert_close(network.model(images), logits, rtol=1e-4, atol=1e-5)
    if Backbone(network.name).map_kind == "exact":
        adds_up_to_the_logit(maps, logits, network.head)
    else:
        follows_the_equations(maps, images, network)


def adds_up_to_the_logit(maps: torch.Tensor, logits: torch.Tensor, head: nn.Module) -> None:
    """Zhou et al. 2016: mean over the cells, plus the bias where there is one outside the map."""
    bias = head.bias if isinstance(head, nn.Linear) else 0
    tolerance = 1e-4 * logits.abs().max().item()
    torch.testing.assert_close(maps.mean((2, 3)) + bias, logits, rtol=0, atol=tolerance)


def follows_the_equations(maps: torch.Tensor, images: torch.Tensor, network: Network) -> None:
    """Selvaraju et al. 2017, equations 1 and 2 without the ReLU, by plain automatic gradients."""
    layer = Backbone(network.name).feature_layer
    features = front_features(network.model, layer, images).detach().requires_grad_()
    with front_removed(network.model, layer, network.minimum) as behind:
        logits = behind(features)
    for c in range(logits.shape[1]):
        (gradient,) = torch.autograd.grad(logits[:, c].sum(), features, retain_graph=True)
        expected = torch.einsum("nk,nkhw->nhw", gradient.mean((2, 3)), features).detach()
        tolerance = 1e-4 * expected.abs().max().item()
        torch.testing.assert_close(maps[:, c], expected, rtol=0, atol=tolerance)


def test_captured_features_are_what_is_pooled(network):
    images = random_images(2, network.minimum)
    with (
        torch.inference_mode(),
        captured_features(network.model, Backbone(network.name)) as features,
    ):
        network.model(images)
    # Inception's and all others' last feature map is rectified, MobileNetV2's by ReLU6.
    assert features[0].min() >= 0
    assert (features[0].min() == 0) or features[0].shape[-1] == 1


def test_a_convolution_as_the_last_layer_is_no_linear_head():
    model = ARCHITECTURES["squeezenet1_1"].build(weights=None, num_classes=2)
    with pytest.raises(TypeError, match="squeezenet1_1 is no linear layer"):
        classifier_head(model, Backbone("squeezenet1_1"))


# --- published weights ----------------------------------------------------------------------------


def torchvisions_own(architecture: str) -> nn.Module:
    """The network as torchvision builds it, with Inception's auxiliary classifier."""
    settings = {"init_weights": True} if architecture == "inception_v3" else {}  # or it warns
    return torchvision.models.get_model(architecture, weights=None, **settings)


def published_state(architecture: str) -> dict[str, torch.Tensor]:
    """Names and shapes of the published file, as far as torchvision's code tells them."""
    with torch.device("meta"):
        state = torchvisions_own(architecture).state_dict()
    state = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    if not architecture.startswith("densenet"):
        return state
    return {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", k): v for k, v in state.items()
    }


@pytest.mark.parametrize("architecture", ["densenet121", "densenet201"])
def test_the_old_names_of_densenet_are_those_that_torchvision_itself_renames(architecture):
    state = published_state(architecture)
    assert "features.denseblock1.denselayer1.norm.1.weight" in state
    with torch.device("meta"):
        model = torchvisions_own(architecture)
    file = SimpleNamespace(get_state_dict=lambda **_: dict(state))
    with pytest.warns(UserWarning, match="no-op"):
        torchvision.models.densenet._load_state_dict(model, file, progress=False)


@pytest.mark.parametrize("architecture", PUBLISHED)
@pytest.mark.parametrize("last_layer", ["of 1000 classes", "missing"])
def test_the_published_tensors_are_the_networks_except_for_its_last_layer(architecture, last_layer):
    known = ARCHITECTURES[architecture]
    with torch.device("meta"):
        own = known.build(weights=None, num_classes=2).state_dict()
    state = published_state(architecture)
    if last_layer == "missing":
        state = {k: v for k, v in state.items() if not k.startswith(known.head + ".")}
    expected = {
        name: tensor.shape
        for name, tensor in own.items()
        if not name.startswith(known.head + ".") and not name.endswith("num_batches_tracked")
    }

    def zeros(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Tensors of the same shapes that take no memory."""
        return {k: torch.zeros((), dtype=v.dtype).expand(v.shape) for k, v in tensors.items()}

    fitted, _ = fitted_tensors(zeros(state), zeros(own), Backbone(architecture))
    taken = {k: v.shape for k, v in fitted.items() if not k.endswith("num_batches_tracked")}
    assert taken == expected


@pytest.mark.parametrize("architecture", SMALL)
def test_a_file_of_published_weights_becomes_the_body(architecture, tmp_path):
    names = published_state(architecture)
    rng = torch.Generator().manual_seed(5)
    torch.save(
        {k: torch.rand(v.shape, generator=rng) for k, v in names.items()}, tmp_path / "w.pth"
    )
    state = read_state_dict(tmp_path / "w.pth")
    network = build_classifier(Backbone(architecture), 2, seed=0)
    load_pretrained(network, Backbone(architecture), state)
    model = network.state_dict()
    head = f"{ARCHITECTURES[architecture].head}.weight"
    body = {k: v for k, v in state.items() if k in model and not k.startswith(head[:-6])}
    assert len(body) > 20
    assert all(torch.equal(model[name], tensor) for name, tensor in body.items())
    assert model[head].shape[0] == 2
    fresh = build_classifier(Backbone(architecture), 2, seed=0).state_dict()
    assert torch.equal(model[head], fresh[head])


@pytest.mark.parametrize("architecture", PUBLISHED)
def test_published_weights_can_be_verified_by_their_name(architecture):
    assert re.search(r"-[0-9a-f]{8,64}\.pth$", ARCHITECTURES[architecture].imagenet.url)


def test_inception_sees_pixels_from_minus_one_to_one_as_its_weights_expect():
    with torch.device("meta"):
        model = ARCHITECTURES["inception_v3"].build(weights=None, num_classes=2)
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(3, 1, 1)
    seen = model._transform_input(IMAGENET.apply(pixels))[:, :, 0, 0]
    expected = torch.tensor([-1.0, -0.6, 1.0])[:, None].expand(3, 3)
    torch.testing.assert_close(seen, expected, rtol=0, atol=1e-5)


# --- geometry -------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", PUBLISHED)
def test_the_minimum_size_is_no_less_than_torchvisions(architecture):
    known = ARCHITECTURES[architecture]
    assert known.minimum_size >= max(known.imagenet.meta["min_size"])
    assert known.minimum_size == 75 or architecture != "inception_v3"


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5), (7, 7), (8, 14), (20, 9)])
def test_pooling_to_a_grid_is_torchs_adaptive_pooling(height, width):
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, height, width)))
    features.requires_grad_()
    ours, theirs = GridAveragePool(7)(features), nn.AdaptiveAvgPool2d((7, 7))(features)
    torch.testing.assert_close(ours, theirs)
    weights = torch.arange(49.0, dtype=torch.float64).reshape(7, 7)
    gradients = [
        torch.autograd.grad((pooled * weights).sum(), features)[0] for pooled in (ours, theirs)
    ]
    torch.testing.assert_close(*gradients)
