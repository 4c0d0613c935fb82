"""Pixels at the network's input: how many, and resized faithfully."""

import numpy as np
import pytest
import torch
from PIL import Image

from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.networks.architectures import ARCHITECTURES
from workflow_scripts.cxrcam.networks.input_size import network_input_size, resize_pixels


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 40, 40), dtype=np.uint8))


@pytest.mark.parametrize(
    ("architecture", "image_size", "input_size", "expected"),
    [
        ("resnet18", 32, None, 32),
        ("resnet18", 224, None, 224),
        ("resnet18", 224, 128, 128),
        ("inception_v3", 32, None, 75),
        ("inception_v3", 75, None, 75),
        ("inception_v3", 224, None, 224),
        ("inception_v3", 224, 299, 299),
        ("inception_v3", 224, 75, 75),
    ],
)
def test_the_size_is_the_images_unless_set_or_too_small(
    architecture, image_size, input_size, expected
):
    assert network_input_size(architecture, image_size, input_size) == expected


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_size_below_the_networks_minimum_is_refused_with_the_way_out(architecture):
    minimum = ARCHITECTURES[architecture].minimum_size
    with pytest.raises(InputError) as caught:
        network_input_size(architecture, 224, minimum - 1)
    for words in (f"model.input_size is {minimum - 1}", architecture, f"to {minimum} or more"):
        assert words in str(caught.value)


@pytest.mark.parametrize("size", [24, 75, 99])
def test_resizing_is_that_of_pillow(pixels, size):
    resized = resize_pixels(pixels, size)
    assert (resized.shape, resized.dtype) == ((3, size, size), torch.float32)
    for ours, original in zip(resized, pixels, strict=True):
        image = Image.fromarray(original.numpy())
        theirs = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR), dtype=float)
        # Pillow rounds twice, after the rows and after the columns.
        assert np.abs(ours.numpy() - theirs).max() <= 1.01


def test_pixels_of_the_right_size_are_left_alone(pixels):
    assert resize_pixels(pixels, 40) is pixels


def test_grey_stays_in_its_range_and_white_stays_white():
    white = torch.full((1, 40, 40), 255, dtype=torch.uint8)
    for size in (24, 99):
        torch.testing.assert_close(resize_pixels(white, size), torch.full((1, size, size), 255.0))
        edges = resize_pixels((torch.arange(40) % 2 * 255).to(torch.uint8).expand(1, 40, 40), size)
        assert edges.min() >= 0
        assert edges.max() <= 255
