"""Networks that end behind an earlier stage or keep their resolution, and the evidence they give.

Where their cells lie is in test_map_placement.py.
"""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from workflow_scripts.cxrcam.configuration.stages import STAGES, stage_problem
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.networks.architectures import ARCHITECTURES, Backbone
from workflow_scripts.cxrcam.networks.cam import captured_features, logits_and_class_maps
from workflow_scripts.cxrcam.networks.cost import multiply_adds, parameter_count
from workflow_scripts.cxrcam.networks.evidence import evidence_maps
from workflow_scripts.cxrcam.networks.models import build_classifier

pytestmark = pytest.mark.usefixtures("one_torch_thread")

# One of each family, but for the two that are dear to build.
FAMILIES = ["mobilenet_v2", "squeezenet1_1", "resnet18", "densenet121", "vgg19", "covid_caps"]


def network(backbone: Backbone, n_classes: int = 3) -> nn.Module:
    """A network in evaluation mode whose activations are of ordinary size."""
    model = build_classifier(backbone, n_classes, seed=0)
    if backbone.architecture == "squeezenet1_1":
        nn.init.constant_(model.classifier[1].bias, 0.1)  # rectified: some of it must pass
    return model.eval()


def images(side: int) -> torch.Tensor:
    """Two images of noise, normalised."""
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(side))


def dilated() -> list[Backbone]:
    """Every stride that can be kept, of one network of each family."""
    return [
        Backbone(name, stage, stride)
        for name in FAMILIES
        for stage in STAGES[name]
        for stride in (8, 16)
        if not stage_problem(name, stage, stride) and stride < STAGES[name][stage].stride
    ]


@pytest.mark.parametrize("backbone", dilated(), ids=str)
def test_dilation_computes_what_the_network_computes_and_the_cells_between(backbone):
    plain = Backbone(backbone.architecture, backbone.last_stage)
    factor = plain.stride // backbone.stride
    # SqueezeNet's pools round up what does not fit, which adds cells that no others lie between.
    side = 127 if backbone.architecture == "squeezenet1_1" else 129
    with torch.inference_mode():
        maps = []
        for which in (plain, backbone):
            model = network(which)
            with captured_features(model, which) as features:
                model(images(side))
            maps.append(features[0])
    coarse, fine = maps
    assert fine.shape[-1] > 1.5 * coarse.shape[-1]
    every = fine[..., ::factor, ::factor]
    torch.testing.assert_close(every, coarse, rtol=1e-4, atol=1e-5)


def output_of(model: nn.Module, layer: str) -> torch.Tensor:
    """What a layer gives of two images."""
    found: list[torch.Tensor] = []
    handle = model.get_submodule(layer).register_forward_hook(lambda *g: found.append(g[2].clone()))
    with torch.inference_mode():
        model(images(64))
    handle.remove()
    return found[0]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_network_that_ends_earlier_is_the_whole_one_up_to_there(name):
    whole = network(Backbone(name))
    for number, stage in STAGES[name].items():
        backbone = Backbone(name, number)
        if backbone.is_whole:
            continue
        cut = network(backbone)
        own = {k: v for k, v in cut.state_dict().items() if not k.startswith(backbone.head + ".")}
        of_whole = whole.state_dict()
        assert own and all(own[k].shape == of_whole[k].shape for k in own)
        cut.load_state_dict({k: of_whole[k] for k in own}, strict=False)
        # Of the whole one, where it is cut; SqueezeNet's own last layer is behind that.
        torch.testing.assert_close(output_of(cut, stage.layer), output_of(whole, stage.layer))
        assert parameter_count(cut) < parameter_count(whole)
        assert multiply_adds(cut, 64) <= multiply_adds(whole, 64)


def all_ends() -> list[Backbone]:
    """Every network that is not dear to build, behind every stage."""
    return [Backbone(name, stage) for name in FAMILIES for stage in (None, *STAGES[name])]


@pytest.mark.parametrize("backbone", [b for b in all_ends() if b.map_kind == "exact"], ids=str)
def test_evidence_is_the_centred_logit_of_every_network(backbone):
    model = network(backbone)
    logits, maps = logits_and_class_maps(model, backbone, images(96))
    head = model.get_submodule(backbone.head)
    # SqueezeNet's bias is within the map.
    bias = head.bias.detach().numpy() if isinstance(head, nn.Linear) else np.zeros(3)
    centred_logits = logits.numpy() - logits.numpy().mean(1, keepdims=True)
    evidence = evidence_maps(maps.numpy())
    decomposed = evidence.mean((2, 3)) + (bias - bias.mean())
    scale = np.abs(maps.numpy()).max() + np.abs(logits.numpy()).max()
    np.testing.assert_allclose(decomposed, centred_logits, atol=2e-6 * scale)


@given(
    weights=st.integers(0, 2**32 - 1),
    n_classes=st.integers(2, 5),
    shift=st.floats(-50, 50),
)
def test_evidence_does_not_change_with_what_the_softmax_does_not_see(weights, n_classes, shift):
    rng = np.random.default_rng(weights)
    features = rng.random((1, 8, 4, 4))
    last = rng.normal(size=(n_classes, 8))
    moved = last + shift * rng.normal(size=8)  # one vector, added to all rows
    maps, others = (np.einsum("ck,nkhw->nchw", w, features) for w in (last, moved))

    def probabilities(class_maps: np.ndarray) -> np.ndarray:
        logits = class_maps.mean((2, 3))
        powers = np.exp(logits - logits.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)

    np.testing.assert_allclose(probabilities(maps), probabilities(others), atol=1e-9)
    before, after = (evidence_maps(m.astype(np.float32)) for m in (maps, others))
    np.testing.assert_allclose(before, after, atol=1e-5 * (1 + 8 * abs(shift)))


def test_a_class_map_does_change_and_with_it_the_place_it_points_at():
    rng = np.random.default_rng(0)
    moved = 0
    for _ in range(100):
        features, last = rng.random((1, 8, 4, 4)), rng.normal(size=(3, 8))
        maps = np.einsum("ck,nkhw->nchw", last, features)
        others = np.einsum("ck,nkhw->nchw", last + rng.normal(size=8), features)
        moved += maps[0, 1].argmax() != others[0, 1].argmax()
    assert moved > 30, "what the evidence map is for"


def test_evidence_of_two_classes_is_half_the_log_odds_and_opposite():
    maps = np.random.default_rng(1).normal(size=(2, 2, 3, 3)).astype(np.float32)
    evidence = evidence_maps(maps)
    np.testing.assert_allclose(evidence[:, 0], -evidence[:, 1], atol=1e-6)
    np.testing.assert_allclose(2 * evidence[:, 1], maps[:, 1] - maps[:, 0], atol=1e-6)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_whole_network_is_the_default(name):
    assert Backbone(name).is_whole
    assert Backbone(name).head == ARCHITECTURES[name].head


def test_vgg_without_its_dense_layers_has_exact_maps():
    whole, pooled = Backbone("vgg19"), Backbone("vgg19", last_stage=4)
    assert (whole.map_kind, pooled.map_kind) == ("grad_cam", "exact")
    assert isinstance(network(pooled).classifier, nn.Linear)
    assert parameter_count(network(pooled)) < 0.2 * parameter_count(network(whole))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("squeezenet1_1", 4), "squeezenet1_1 can end behind the stages 1, 2, 3 only"),
        (("vgg19", 1), "model.last_stage is 1, but vgg19"),
        (("inception_v3", None, 16), "model.map_stride is 16, but inception_v3"),
        (("densenet121", None, 8), "can have 32 or 16 only"),
        (("resnet18", 2, 16), "model.last_stage: 2 can have 8 only"),
        (("resnet18", 1, 8), "can have 4 only"),
    ],
)
def test_a_stage_or_stride_that_a_network_cannot_have_is_refused_with_those_it_can(settings, words):
    with pytest.raises(InputError) as caught:
        Backbone(*settings)
    assert words in str(caught.value)
    assert "or null for" in str(caught.value), "the way out"


def test_every_combination_that_is_not_refused_can_be_built_and_run():
    for name in FAMILIES:
        for stage in (None, *STAGES[name]):
            for stride in (None, 4, 8, 16, 32):
                if stage_problem(name, stage, stride):
                    continue
                backbone = Backbone(name, stage, stride)
                with torch.inference_mode():
                    assert network(backbone)(images(64)).shape == (2, 3)
