"""Maps lie where the network looked: cells are drawn at the centres of their receptive fields."""

import numpy as np
import pytest
import torch
from torch import nn

from workflow_scripts.cxrcam.cam import captured_features
from workflow_scripts.cxrcam.map_placement import place_map
from workflow_scripts.cxrcam.models import ARCHITECTURES, build_classifier


def receptive_centre(architecture: str, size: int, cell: tuple[int, int]) -> np.ndarray:
    """Centre, in input pixels, of what one cell of the last feature map sees.

    With equal weights everywhere, and without rectification, the gradient of a cell with respect to
    the input is the shape of its receptive field.
    """
    model = build_classifier(architecture, 2, seed=0).eval()
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1.0 / module.weight[0].numel())
        if isinstance(module, nn.MaxPool2d):
            # An average pool has the same geometry and spreads its gradient evenly.
            replaced = nn.AvgPool2d(module.kernel_size, module.stride, module.padding)
            model.maxpool = replaced
    image = torch.ones(1, 3, size, size, requires_grad=True)
    with captured_features(model, architecture) as features:
        model(image)
        features[0][0, :, cell[0], cell[1]].sum().backward()
    field = image.grad[0].sum(0).numpy()
    rows, columns = np.indices(field.shape)
    return np.array([(field * rows).sum(), (field * columns).sum()]) / field.sum()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_cells_are_centred_on_multiples_of_the_stride(architecture):
    stride = ARCHITECTURES[architecture].feature_stride
    # Large enough that the field of the middle cell is not cut off at the border.
    size, cell = 641, (10, 9)
    assert receptive_centre(architecture, size, cell) == pytest.approx(
        np.array(cell) * stride, abs=0.5
    )


def test_an_impulse_is_drawn_where_its_cell_looks():
    raw = np.zeros((4, 4), dtype=np.float32)
    raw[2, 1] = 1.0
    placed = place_map(raw, 128, input_size=128, stride=32)
    assert np.unravel_index(placed.argmax(), placed.shape) == (64, 32)
    assert placed[64, 32] == 1.0
    assert placed[64, 48] == pytest.approx(0.5)


def test_the_first_cell_sits_on_the_first_pixel_and_the_last_goes_on_to_the_edge():
    raw = np.arange(4, dtype=np.float32)[None, :].repeat(4, axis=0)
    placed = place_map(raw, 128, input_size=128, stride=32)
    assert placed[0, 0] == 0.0
    assert (placed[:, 96:] == 3.0).all()


def test_placing_does_not_depend_on_the_size_of_the_picture():
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(3, 5, 5)).astype(np.float32)
    small = place_map(raw, 129, input_size=129, stride=32)
    large = place_map(raw, 3 * 129, input_size=129, stride=32)
    # The middle pixel of each 3 × 3 block of the large picture has the small one's centre.
    np.testing.assert_allclose(large[:, 1::3, 1::3], small, atol=1e-5)
