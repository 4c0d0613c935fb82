"""Resizing: a square, with antialiasing, and arguments that are named when they are wrong."""

import numpy as np
import pytest

from tests.unit.pictures import picture
from workflow_scripts.cxrcam.images.resizing import resize_grey


@pytest.mark.parametrize("resampling", ["bilinear", "lanczos", "bicubic", "box"])
def test_resizing_stretches_to_a_square_with_antialiasing(resampling):
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 64))
    small = resize_grey(stripes, 16, resampling)
    assert small.shape == (16, 16) and small.dtype == np.uint8 and small.flags.writeable
    assert np.abs(small[2:-2, 2:-2].astype(int) - 128).max() <= 2


def test_resizing_to_the_same_size_copies():
    pixels = picture(32, 32)
    same = resize_grey(pixels, 32)
    assert np.array_equal(same, pixels) and not np.shares_memory(same, pixels)
