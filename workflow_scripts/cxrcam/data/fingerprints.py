"""Fingerprints of images: exact (SHA-256) and perceptual (256-bit difference hash, thumbnail).

The perceptual fingerprints start from one shared box reduction of the image and are shrunk from it
together, many images at once, as products of matrices. Weights are whole numbers, as in Pillow, and
so small that all sums are exact in float32: fingerprints depend neither on the processor and its
library of matrix products nor on how many images are shrunk at once.

The difference hash follows the convention of the `imagehash` package, ``dhash(hash_size=16)``:
shrink to 17 x 16 pixels with an antialiased Lanczos filter; a bit is 1 where a pixel is brighter
than its left neighbour; row by row, most significant bit first. The box reduction changes about
two bits of the 256 against shrinking in one step (pixels that are nearly equal).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from workflow_scripts.cxrcam.images.arrays import grey_array

#: Bits of the difference hash along each side.
HASH_SIDE: Final = 16
HASH_BITS: Final = HASH_SIDE * HASH_SIDE
HASH_BYTES: Final = HASH_BITS // 8

#: Side of the thumbnail that confirms a match, in pixels.
THUMBNAIL_SIDE: Final = 32

#: The box reduction leaves at least this many pixels for each pixel of the thumbnail, so that the
#: final filter still does nearly all of the antialiasing (Pillow's advice for `reducing_gap`).
REDUCING_GAP: Final = 3

LANCZOS_LOBES: Final = 3

#: One, in units of the filter's weights. A float32 holds whole numbers up to 2²⁴, which no sum of
#: grey levels times weights comes to, whatever is added up first.
UNIT: Final = float(1 << 15)

#: Height and width of what is compared by the hash, and of the thumbnail.
HASHED: Final = (HASH_SIDE, HASH_SIDE + 1)
THUMBNAIL: Final = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)


def file_sha256(encoded: bytes) -> str:
    """SHA-256 of a file's bytes.

    Parameters
    ----------
    encoded : bytes
        Content of the file.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    return hashlib.sha256(encoded).hexdigest()


def pixel_sha256(pixels: npt.NDArray[np.uint8]) -> str:
    """SHA-256 of a decoded image: equal for equal pictures in different files or formats.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width)
        Grey image at full size.

    Returns
    -------
    str
        64 hexadecimal digits. The shape is part of it: 2 x 8 and 4 x 4 pixels of the same values
        differ.
    """
    digest = hashlib.sha256(f"{pixels.shape[0]}x{pixels.shape[1]}:".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


@dataclass(frozen=True)
class ReducedImage:
    """An image whose whole blocks of pixels were averaged, from which it is shrunk further.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (rows, columns)
    covered : (float, float)
        How many rows and columns the image covers: where a block does not divide the size, the last
        one only partly. Without it the picture would be stretched by up to one per cent.
    """

    pixels: npt.NDArray[np.uint8]
    covered: tuple[float, float]


def reduced_image(pixels: npt.NDArray[np.uint8]) -> ReducedImage:
    """Average whole blocks of pixels, down to no less than three times the thumbnail's side.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width)
        Grey image at full size.

    Returns
    -------
    ReducedImage
        What `perceptual_fingerprints` needs of it, 10 to 36 KB.
    """
    target = REDUCING_GAP * THUMBNAIL_SIDE
    height, width = pixels.shape
    down, across = max(1, height // target), max(1, width // target)
    if (across, down) != (1, 1):
        pixels = grey_array(Image.fromarray(pixels).reduce((across, down)))
    return ReducedImage(pixels, (height / down, width / across))


def perceptual_fingerprints(
    images: Sequence[ReducedImage],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Difference hashes and thumbnails of images.

    Parameters
    ----------
    images : sequence of ReducedImage, length n
        Those of one size are shrunk together.

    Returns
    -------
    dhashes : ndarray of uint8, shape (n, 32)
        As from `dhash256`.
    thumbnails : ndarray of uint8, shape (n, 32, 32)
        As from `thumbnail`.
    """
    compared, thumbnails = _shrunk(images, HASHED, THUMBNAIL)
    bits = difference_bits(compared).reshape(len(images), HASH_BITS)
    return np.packbits(bits, axis=1), thumbnails


def dhash256(pixels: npt.NDArray[np.uint8]) -> bytes:
    """256-bit difference hash.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width)
        Grey image at full size.

    Returns
    -------
    bytes
        32 bytes: 16 rows of 16 bits, most significant bit first. ``dhash256(p).hex()`` reads like
        ``str(imagehash.dhash(image, hash_size=16))``.
    """
    return hash_bits_to_bytes(difference_bits(hash_image(pixels)))


def hash_image(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Shrink an image to the 16 x 17 pixels that the difference hash compares.

    The hashes of the mirrored and of the inverted image follow from this small image, without the
    large one: see `difference_bits`.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width)
        Grey image at full size.

    Returns
    -------
    ndarray of uint8, shape (16, 17)
        Small image.
    """
    (small,) = _shrunk([reduced_image(pixels)], HASHED)
    return small.reshape(HASHED)


def difference_bits(
    small: npt.NDArray[Any], *, mirrored: bool = False, inverted: bool = False
) -> npt.NDArray[np.bool_]:
    """Bits of the difference hash of small images, as they are, mirrored or inverted.

    Parameters
    ----------
    small : ndarray, shape (..., 16, 17)
        Small images, of any real dtype.
    mirrored : bool
        Left and right exchanged.
    inverted : bool
        Black and white exchanged.

    Returns
    -------
    ndarray of bool, shape (..., 16, 16)
        True where a pixel is brighter than its left neighbour. Equal neighbours give False in all
        variants, which is why a variant cannot be derived from the finished hash.
    """
    if mirrored:
        small = small[..., ::-1]
    left, right = small[..., :-1], small[..., 1:]
    bits: npt.NDArray[np.bool_] = (right < left) if inverted else (right > left)
    return bits


def hash_bits_to_bytes(bits: npt.NDArray[np.bool_]) -> bytes:
    """Pack the bits of one hash.

    Parameters
    ----------
    bits : ndarray of bool, shape (16, 16)
        As from `difference_bits`.

    Returns
    -------
    bytes
        32 bytes.
    """
    return np.packbits(bits).tobytes()


def thumbnail(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Thumbnail that confirms or rejects a match of hashes.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width)
        Grey image at full size.

    Returns
    -------
    ndarray of uint8, shape (32, 32)
        Antialiased (Lanczos), stretched to a square. Not by Pillow's box filter, which weighs whole
        pixels only: copies of different sizes would correlate at 0.94 after local normalisation,
        against 0.99 with Lanczos.
    """
    (small,) = _shrunk([reduced_image(pixels)], THUMBNAIL)
    return small.reshape(THUMBNAIL)


def _shrunk(
    images: Sequence[ReducedImage], *shapes: tuple[int, int]
) -> list[npt.NDArray[np.uint8]]:
    """Shrink images to several shapes, as Pillow's Lanczos filter does; one array a shape."""
    results = [np.empty((len(images), *shape), np.uint8) for shape in shapes]
    alike: dict[tuple[tuple[int, ...], tuple[float, float]], list[int]] = {}
    for number, image in enumerate(images):
        alike.setdefault((image.pixels.shape, image.covered), []).append(number)
    for (_, covered), numbers in alike.items():
        pixels = np.stack([images[number].pixels for number in numbers])
        for result, shrunk in zip(results, _shrunk_alike(pixels, covered, shapes), strict=True):
            result[numbers] = shrunk
    return results


def _shrunk_alike(
    pixels: npt.NDArray[np.uint8],
    covered: tuple[float, float],
    shapes: Sequence[tuple[int, int]],
) -> Iterator[npt.NDArray[np.uint8]]:
    """Shrink images of one size, uint8 (n, rows, columns), to each of some shapes.

    Across first, rounded to whole grey levels, then down: so that equal neighbours stay equal. All
    shapes together, of which the blocks on the diagonal are kept: so small, two products cost less
    than four.
    """
    n, rows, columns = pixels.shape
    heights, widths = zip(*shapes, strict=True)
    to_widths = _filters(columns, covered[1], widths)
    to_heights = _filters(rows, covered[0], heights)
    across = pixels.reshape(n * rows, columns).astype(np.float32) @ to_widths
    down = to_heights.T @ _whole_greys(across).reshape(n, rows, -1)
    greys = _whole_greys(down).astype(np.uint8)
    ends_down, ends_across = accumulate(heights), accumulate(widths)
    for (height, width), bottom, right in zip(shapes, ends_down, ends_across, strict=True):
        yield greys[:, bottom - height : bottom, right - width : right]


def _whole_greys(sums: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Round to grey levels, in place; the filter's overshoot beyond black and white is cut off."""
    sums += UNIT / 2
    sums *= 1 / UNIT
    np.floor(sums, out=sums)
    return sums.clip(0, 255, out=sums)


@lru_cache(maxsize=256)
def _filters(n: int, covered: float, lengths: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Weights for several lengths, side by side, shape (n, sum of lengths)."""
    weights = [_lanczos_weights(n, covered, length) for length in lengths]
    return np.ascontiguousarray(np.concatenate(weights).T, dtype=np.float32)


def _lanczos_weights(n: int, covered: float, n_after: int) -> npt.NDArray[np.float64]:
    """Weights by which `n_after` pixels are made of the first `covered` of `n`.

    Lanczos filter with three lobes, widened by the factor when shrinking; whole numbers of which a
    row's sum is `UNIT`, but for rounding: as in Pillow's ``Image.resize(...,
    Image.Resampling.LANCZOS, box)`` (its file Resample.c).
    """
    step = covered / n_after
    widened = max(step, 1.0)
    centres = (np.arange(n_after)[:, None] + 0.5) * step
    pixel = np.arange(n)
    first = np.maximum(np.trunc(centres - LANCZOS_LOBES * widened + 0.5), 0)
    behind = np.trunc(centres + LANCZOS_LOBES * widened + 0.5)
    distance = (pixel + 0.5 - centres) / widened
    weights = np.sinc(distance) * np.sinc(distance / LANCZOS_LOBES)
    weights[(np.abs(distance) >= LANCZOS_LOBES) | (pixel < first) | (pixel >= behind)] = 0
    whole: npt.NDArray[np.float64] = np.rint(UNIT * weights / weights.sum(axis=1, keepdims=True))
    return whole
