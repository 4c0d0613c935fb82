"""Grad-CAM by the library, raw: as its paper defines it, before anything is cut off or rescaled."""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from workflow_scripts.cxrcam.networks import cam
from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.cam import logits_and_class_maps
from workflow_scripts.cxrcam.networks.grad_cam import grad_cam
from workflow_scripts.cxrcam.networks.models import build_classifier

pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.fixture
def network() -> nn.Module:
    """As VGG: a pooled feature map, and more than one linear layer after it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 5, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(5 * 4 * 4, 8),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(8, 3),
        )


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype("f4"))


def test_maps_are_those_of_the_papers_equations(network, images):
    logits, maps = grad_cam(network, "2", images)
    features = network[:3](images)
    expected = network[3:](features)
    torch.testing.assert_close(logits, expected.detach())
    for c in range(3):
        (gradient,) = torch.autograd.grad(expected[:, c].sum(), features, retain_graph=True)
        weights = gradient.mean((2, 3))
        torch.testing.assert_close(maps[:, c], torch.einsum("nk,nkhw->nhw", weights, features))
    assert (maps.shape, maps.dtype) == ((4, 3, 4, 4), torch.float32)
    assert maps.min() < 0 < maps.max()


def test_the_library_itself_gives_these_maps_without_negatives_and_rescaled(network, images):
    # A layer as large as the image: the library does not have to enlarge its map.
    _, maps = grad_cam(network, "1", images)
    for c in range(3):
        with GradCAM(model=network, target_layers=[network[1]]) as library:
            theirs = library(images, [ClassifierOutputTarget(c)] * len(images))
        positive = maps[:, c].clamp(min=0)
        shifted = positive - positive.amin((1, 2), keepdim=True)
        ours = shifted / shifted.amax((1, 2), keepdim=True)
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_the_exact_map_of_resnet18_is_grad_cams_up_to_the_number_of_cells():
    model = build_classifier(Backbone("resnet18"), 3, seed=0).eval()
    batch = torch.from_numpy(np.random.default_rng(1).normal(size=(2, 3, 96, 96)).astype("f4"))
    exact_logits, exact = logits_and_class_maps(model, Backbone("resnet18"), batch)
    logits, maps = grad_cam(model, "layer4", batch)
    torch.testing.assert_close(logits, exact_logits)
    # The logit is a mean over 3 x 3 cells: so is its gradient.
    error = (maps * 9 - exact).abs().max() / exact.abs().max()
    assert error < 1e-4
    assert exact.min() < 0 < exact.max()


def test_an_image_does_not_depend_on_its_neighbours(network, images):
    together = grad_cam(network, "2", images)[1]
    alone = torch.cat([grad_cam(network, "2", images[k : k + 1])[1] for k in range(4)])
    torch.testing.assert_close(together, alone)


def state_of(network: nn.Module) -> tuple:
    return (
        [len(module._forward_hooks) for module in network.modules()],
        [p.requires_grad for p in network.parameters()],
        [p.grad for p in network.parameters()],
    )


def test_nothing_is_left_behind(network, images):
    network[0].bias.requires_grad_(False)
    before = state_of(network)
    weights = [p.clone() for p in network.parameters()]
    grad_cam(network, "2", images)
    assert state_of(network) == before
    assert all(torch.equal(p, w) for p, w in zip(network.parameters(), weights, strict=True))


def test_nothing_is_left_behind_after_an_error_which_is_not_swallowed(network, images):
    before = state_of(network)
    with pytest.raises(RuntimeError):
        grad_cam(network, "2", images[:, :1])  # one channel where three are due
    assert state_of(network) == before


def test_networks_with_exact_maps_do_without_the_library():
    for file in Path(cam.__file__).parent.glob("*.py"):
        if file.stem in ("grad_cam", "methods"):
            continue
        for statement in ast.parse(file.read_text(encoding="utf-8")).body:  # not inside functions
            if isinstance(statement, ast.Import | ast.ImportFrom):
                assert "grad_cam" not in ast.unparse(statement)
                assert "maps.methods" not in ast.unparse(statement)
                assert "cv2" not in ast.unparse(statement)
