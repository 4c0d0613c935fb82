"""Fingerprints: the conventions that other tools share, and what they are blind to."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from workflow_scripts.cxrcam.data.fingerprints import (
    HASHED,
    THUMBNAIL,
    UNIT,
    _filters,
    dhash256,
    difference_bits,
    file_sha256,
    hash_bits_to_bytes,
    hash_image,
    perceptual_fingerprints,
    pixel_sha256,
    reduced_image,
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


@pytest.mark.parametrize("size", [(16, 17), (40, 60), (101, 95)])
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
    bits = np.zeros((16, 16), bool)
    bits[0, 0] = bits[1, 15] = True
    assert hash_bits_to_bytes(bits) == b"\x80\x00\x00\x01" + bytes(28)


@given(st.integers(0, 10**6))
@settings(max_examples=20)
def test_variants_from_the_small_image_are_those_of_the_large_one(seed):
    pixels = picture(seed, 128, 160)
    pixels[:, :20] = 0  # a black border: equal neighbours
    small = hash_image(pixels)
    mirrored = np.ascontiguousarray(pixels[:, ::-1])
    for image, options in (
        (mirrored, {"mirrored": True}),
        (255 - pixels, {"inverted": True}),
        (255 - mirrored, {"mirrored": True, "inverted": True}),
    ):
        derived = hash_bits_to_bytes(difference_bits(small, **options))
        # Rounding may go the other way where two neighbours are nearly equal.
        assert distance(derived, dhash256(image)) <= 8
    assert distance(dhash256(pixels), dhash256(mirrored)) > 60


def test_variants_of_many_small_images_are_those_of_each():
    small = np.stack([hash_image(picture(seed, 64, 64)) for seed in range(3)])
    together = difference_bits(small, mirrored=True)
    for row in range(3):
        assert np.array_equal(together[row], difference_bits(small[row], mirrored=True))


def test_fingerprints_of_many_images_of_any_sizes_are_those_of_each():
    sizes = [(299, 299), (16, 900), (299, 299), (1000, 97), (300, 299), (299, 299)]
    pictures = [picture(seed, *size) for seed, size in enumerate(sizes)]
    dhashes, small = perceptual_fingerprints([reduced_image(pixels) for pixels in pictures])
    assert (dhashes.shape, small.shape) == ((6, 32), (6, 32, 32))
    assert dhashes.dtype == small.dtype == np.uint8
    for k, pixels in enumerate(pictures):
        assert dhashes[k].tobytes() == dhash256(pixels)
        assert np.array_equal(small[k], thumbnail(pixels))


def test_no_images_have_no_fingerprints():
    dhashes, small = perceptual_fingerprints([])
    assert (dhashes.shape, small.shape) == ((0, 32), (0, 32, 32))


def test_sums_are_exact_and_so_the_same_on_any_processor():
    """Against whole numbers of 64 bits, on noise, whose sums differ most."""
    noise = np.random.default_rng(0).integers(0, 256, (300, 96, 96), dtype=np.uint8)
    dhashes, small = perceptual_fingerprints([reduced_image(pixels) for pixels in noise])
    unit = int(UNIT)

    def shrunk(pictures: np.ndarray, length: int) -> np.ndarray:
        sums = pictures.astype(np.int64) @ _filters(96, 96.0, (length,)).astype(np.int64)
        return np.clip((sums + unit // 2) // unit, 0, 255).swapaxes(1, 2)

    thumbnails, compared = (
        shrunk(shrunk(noise, width), height) for height, width in (THUMBNAIL, HASHED)
    )
    assert np.array_equal(small, thumbnails)
    bits = np.packbits(difference_bits(compared).reshape(300, -1), axis=1)
    assert np.array_equal(dhashes, bits)


@pytest.mark.parametrize("length", sorted({*HASHED, *THUMBNAIL}))
def test_no_sum_of_grey_levels_leaves_the_whole_numbers_of_float32(length: int):
    for n in range(8, 400):
        for covered in (float(n), n - 0.99):
            weights = np.abs(_filters(n, covered, (length,))).sum(0)
            assert 255 * weights.max() < 2**24, (n, covered)
            assert _filters(n, covered, (length,)).sum(0) == pytest.approx(UNIT, rel=1e-3)


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


def test_file_hash_is_sha256():
    assert file_sha256(b"abc").startswith("ba7816bf8f01cfea414140de5dae2223")
