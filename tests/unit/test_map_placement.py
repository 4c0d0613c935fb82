"""Maps lie where the network looked: cells are drawn at the centres of their receptive fields."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from workflow_scripts.cxrcam.configuration.stages import STAGES, stage_problem
from workflow_scripts.cxrcam.maps.placement import place_map
from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.cam import captured_features
from workflow_scripts.cxrcam.networks.capsules import CapsuleLayer


class MeanOfChannels(nn.Module):
    """A convolution of the same geometry as another one, from the mean of all channels to one."""

    def __init__(self, original: nn.Conv2d) -> None:
        super().__init__()
        kernel, stride, padding = original.kernel_size, original.stride, original.padding
        geometry = (kernel, stride, padding, original.dilation)
        self.same_geometry = nn.Conv2d(1, 1, *geometry, bias=False)
        nn.init.constant_(self.same_geometry.weight, 1.0 / np.prod(kernel))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.same_geometry(features.mean(1, keepdim=True))


class MeanOfFeatures(nn.Module):
    """In the place of a linear layer, which may no longer find as many features as it expects."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features.mean(1, keepdim=True)


def geometry_of(backbone: Backbone) -> nn.Module:
    """A network without weights: only its kernels, strides, paddings and connections are left."""
    with torch.device("meta"):  # weights are replaced by none, so none are drawn
        model = backbone.build(2).eval()
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Conv2d):
            replaced: nn.Module = MeanOfChannels(module)
        elif isinstance(module, nn.BatchNorm2d | nn.ReLU | nn.ReLU6 | CapsuleLayer):
            replaced = nn.Identity()
        elif isinstance(module, nn.Linear):
            replaced = MeanOfFeatures()
        else:
            continue
        model.set_submodule(name, replaced)
    return model


def average_pool(
    image, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """An average pool has the geometry of a maximum pool and spreads its gradient evenly."""
    assert not return_indices
    side = kernel_size if isinstance(kernel_size, int) else kernel_size[0]
    rows = image.flatten(0, 1)[:, None]
    even = torch.full((1, 1, side, side), 1 / side**2)
    pooled = nn.functional.conv2d(rows, even, None, stride, padding, dilation)
    return pooled.view(*image.shape[:2], *pooled.shape[-2:])


def receptive_field(backbone: Backbone, cells: int) -> tuple[float, int, int]:
    """Centre and width, in input pixels, of what the middle cell of the last feature map sees.

    With equal weights everywhere, and without rectification (what is left of it sees positive
    values only), the gradient of a cell with respect to the input is the shape of its receptive
    field.

    Returns
    -------
    (float, int, int)
        Centre, width and number of the cell, along one side.
    """
    model = geometry_of(backbone)
    size = cells * backbone.stride + 1
    image = torch.ones(1, 3, size, size, requires_grad=True)
    with captured_features(model, backbone) as features:
        model(image)
        middle = features[0].shape[-1] // 2
        features[0][0, :, middle, middle].sum().backward()
    field = image.grad[0].sum(0).numpy().astype(float)
    rows, columns = (np.flatnonzero(field.sum(axis)) for axis in (1, 0))
    assert rows.tolist() == columns.tolist(), "the same down and across"
    centre = (field.sum(1) * np.arange(size)).sum() / field.sum()
    return centre, rows[-1] - rows[0] + 1, middle


def backbones() -> list[Backbone]:
    """Every network, ended behind every stage, at every stride that it can have there."""
    return [
        Backbone(architecture, last_stage, stride)
        for architecture, stages in STAGES.items()
        for last_stage in (None, *stages)
        for stride in (None, 8, 16)
        if not stage_problem(architecture, last_stage, stride)
    ]


# Found by looking at them; those with squeeze and excitation see all of the image.
FOUND = [Backbone(name) for name in ("resnext50_32x4d", "squeezenet1_0", "mnasnet0_5", "googlenet")]


@pytest.mark.parametrize("backbone", [*backbones(), *FOUND], ids=str)
def test_cells_are_centred_where_stride_and_offset_say(backbone, monkeypatch):
    monkeypatch.setattr(nn.functional, "max_pool2d", average_pool)
    # Large enough that the field of the middle cell is hardly cut off at the border.
    centre, _, cell = receptive_field(backbone, 768 // backbone.stride)
    assert centre == pytest.approx(backbone.offset + cell * backbone.stride, abs=0.1)


# Images that hold a larger field take minutes each; the test above has those networks too.
MEASURED = [b for b in backbones() if b.stage.receptive_field <= 1000]


@pytest.mark.parametrize("backbone", MEASURED, ids=str)
def test_a_cell_sees_as_many_pixels_as_the_table_says(backbone, monkeypatch):
    wanted = backbone.stage.receptive_field
    monkeypatch.setattr(nn.functional, "max_pool2d", average_pool)
    _, width, _ = receptive_field(backbone, math.ceil(1.2 * wanted / backbone.stride) + 8)
    assert width == wanted


@pytest.mark.parametrize("architecture", ["inception_v3", "vgg19"])
def test_cells_lie_evenly_in_an_image_of_the_native_size(architecture):
    backbone = Backbone(architecture)
    cells = 8 if architecture == "inception_v3" else 7
    last = backbone.offset + (cells - 1) * backbone.stride
    native_size = backbone.known.imagenet.transforms().crop_size[0]
    assert backbone.offset == native_size - 1 - last


def test_an_impulse_is_drawn_where_its_cell_looks():
    raw = np.zeros((4, 4), dtype=np.float32)
    raw[2, 1] = 1.0
    placed = place_map(raw, 128, input_size=128, stride=32, offset=0)
    assert np.unravel_index(placed.argmax(), placed.shape) == (64, 32)
    assert placed[64, 32] == 1.0
    assert placed[64, 48] == pytest.approx(0.5)


def test_the_offset_moves_the_heat():
    raw = np.zeros((4, 4), dtype=np.float32)
    raw[2, 1] = 1.0
    placed = place_map(raw, 128, input_size=128, stride=32, offset=14)
    assert np.unravel_index(placed.argmax(), placed.shape) == (78, 46)
    assert placed[78, 30] == pytest.approx(0.5)
    between = place_map(raw, 128, input_size=128, stride=32, offset=15.5)
    assert between[79, 47] == between[80, 48] > between[78, 46]


def test_before_the_first_cell_its_value_goes_on():
    raw = np.arange(1, 5, dtype=np.float32)[None, :].repeat(4, axis=0)
    placed = place_map(raw, 128, input_size=128, stride=32, offset=14)
    assert (placed[:, :15] == 1.0).all()


def test_the_first_cell_sits_on_the_first_pixel_and_the_last_goes_on_to_the_edge():
    raw = np.arange(4, dtype=np.float32)[None, :].repeat(4, axis=0)
    placed = place_map(raw, 128, input_size=128, stride=32, offset=0)
    assert placed[0, 0] == 0.0
    assert (placed[:, 96:] == 3.0).all()


def test_placing_does_not_depend_on_the_size_of_the_picture():
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(3, 5, 5)).astype(np.float32)
    small = place_map(raw, 129, input_size=129, stride=32, offset=0)
    large = place_map(raw, 3 * 129, input_size=129, stride=32, offset=0)
    # The middle pixel of each 3 × 3 block of the large picture has the small one's centre.
    np.testing.assert_allclose(large[:, 1::3, 1::3], small, atol=1e-5)
