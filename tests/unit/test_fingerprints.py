"""Fingerprints: the conventions that other tools share, and what they are blind to."""

import hashlib

import numpy as np
import pytest
from PIL import Image

from workflow_scripts.cxrcam.data.fingerprints import (
    dhash256,
    difference_bits,
    pixel_sha256,
    thumbnail,
)


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


def imagehash_dhash(pixels: np.ndarray) -> str:
    """`str(imagehash.dhash(image, hash_size=16))`, written down independently, bit by bit."""
    small = Image.fromarray(pixels).resize((17, 16), Image.Resampling.LANCZOS)
    bits = ""
    for y in range(16):
        for x in range(16):
            bits += str(int(small.getpixel((x + 1, y)) > small.getpixel((x, y))))
    return f"{int(bits, 2):064x}"


def distance(a: bytes, b: bytes) -> int:
    return (int.from_bytes(a) ^ int.from_bytes(b)).bit_count()


@pytest.mark.parametrize("size", [(16, 17), (40, 60), (95, 101)])
def test_dhash_is_that_of_imagehash_where_nothing_is_reduced(size):
    for seed in range(5):
        pixels = picture(seed, *size)
        assert dhash256(pixels).hex() == imagehash_dhash(pixels)


@pytest.mark.parametrize("size", [(256, 256), (299, 299), (1200, 1024), (191, 2000)])
def test_dhash_of_larger_images_differs_from_imagehash_in_a_few_bits_at_most(size):
    distances = [
        distance(
            dhash256(picture(seed, *size)), bytes.fromhex(imagehash_dhash(picture(seed, *size)))
        )
        for seed in range(5)
    ]
    assert np.mean(distances) <= 4 and max(distances) <= 8


def test_rising_brightness_sets_every_bit():
    ramp = np.tile(np.arange(0, 256, 2, dtype=np.uint8), (128, 1))
    assert dhash256(ramp) == b"\xff" * 32
    assert dhash256(np.ascontiguousarray(ramp[:, ::-1])) == bytes(32)
    assert dhash256(np.full((64, 64), 77, np.uint8)) == bytes(32)


def test_bits_run_row_by_row_with_the_most_significant_first():
    small = np.zeros((16, 17), np.uint8)
    small[0, 1:] = small[1, 16] = 1
    bits = difference_bits(small)
    assert np.packbits(bits).tobytes() == b"\x80\x00\x00\x01" + bytes(28)
    assert np.array_equal(difference_bits(np.stack([small, small[:, ::-1]]))[0], bits)


def test_a_picture_and_its_mirror_image_have_unlike_hashes():
    pixels = picture(0, 128, 160)
    assert distance(dhash256(pixels), dhash256(np.ascontiguousarray(pixels[:, ::-1]))) > 60


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
