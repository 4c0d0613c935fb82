"""Fingerprints: checksums of what they say, thumbnails in their place."""

import hashlib

import numpy as np
import pytest
from PIL import Image

from workflow_scripts.cxrcam.data.fingerprints import pixel_sha256, thumbnail


def picture(seed: int = 0, height: int = 299, width: int = 299) -> np.ndarray:
    """Smooth structure at several scales, as in a radiograph, with a little noise."""
    generator = np.random.default_rng(seed)
    total = np.zeros((height, width))
    for side in (3, 6, 12, 24, 48):
        coarse = generator.integers(0, 256, (side, side), dtype=np.uint8)
        smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        total += np.asarray(smooth, float) / side
    total += generator.normal(0, 1, total.shape)
    return np.interp(total, (total.min(), total.max()), (5, 250)).astype(np.uint8)


@pytest.mark.parametrize("size", [97, 191, 256, 299, 383])
def test_thumbnail_neither_stretches_nor_shifts(size):
    """Whole blocks do not divide every size; the reduction must not show all the same."""
    pixels = picture(2, size, size)
    direct = np.asarray(Image.fromarray(pixels).resize((32, 32), Image.Resampling.LANCZOS), int)
    assert np.abs(thumbnail(pixels) - direct).mean() < 0.6


def test_pixel_hash_depends_on_values_and_shape_only():
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert pixel_sha256(pixels) == pixel_sha256(np.asfortranarray(pixels))
    assert pixel_sha256(pixels) != pixel_sha256(pixels.reshape(8, 32))
    changed = pixels.copy()
    changed[3, 3] ^= 1
    assert pixel_sha256(pixels) != pixel_sha256(changed)
    assert pixel_sha256(pixels) == hashlib.sha256(b"16x16:" + pixels.tobytes()).hexdigest()
