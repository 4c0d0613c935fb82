"""Pillow's pixels, looked at in place."""

import gc

import numpy as np
import pytest
from PIL import Image

from workflow_scripts.cxrcam.images.arrays import grey_array


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)


@pytest.mark.parametrize("size", [(299, 299), (77, 301), (16, 17), (1, 1)])
def test_an_image_in_one_piece_is_not_copied(size, monkeypatch):
    expected = noise(*size)
    image = Image.frombytes("L", size[::-1], expected.tobytes())
    monkeypatch.delattr(Image.Image, "tobytes")  # what copying goes through
    pixels = grey_array(image)
    assert pixels.dtype == np.uint8 and not pixels.flags.writeable
    np.testing.assert_array_equal(pixels, expected)


def test_an_image_in_several_pieces_is_whole_all_the_same():
    expected = noise(4000, 5000)  # 20 MB: Pillow's pieces have 16
    image = Image.frombytes("L", (5000, 4000), expected.tobytes())
    np.testing.assert_array_equal(grey_array(image), expected)


def test_the_pixels_outlive_the_image():
    expected = noise(299, 256)
    pixels = grey_array(Image.frombytes("L", (256, 299), expected.tobytes()))
    gc.collect()
    np.testing.assert_array_equal(pixels, expected)
