"""Fingerprints of one image: exact (SHA-256) and perceptual (256-bit difference hash, thumbnail).

The perceptual fingerprints start from one shared box reduction of the image and are shrunk from it
together, as products of matrices: a third of the time of Pillow's filter twice, a tenth of decoding
the file.

The difference hash follows the convention of the `imagehash` package, ``dhash(hash_size=16)``:
shrink to 17 x 16 pixels with an antialiased Lanczos filter; a bit is 1 where a pixel is brighter
than its left neighbour; row by row, most significant bit first. The box reduction changes about
two bits of the 256 against shrinking in one step (pixels that are nearly equal).
"""

from __future__ import annotations

import hashlib
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


def perceptual_fingerprints(
    pixels: npt.NDArray[np.uint8],
) -> tuple[bytes, npt.NDArray[np.uint8]]:
    """Difference hash and thumbnail of an image, from one shared reduction.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width)
        Grey image at full size.

    Returns
    -------
    dhash : bytes
        As from `dhash256`.
    thumbnail : ndarray of uint8, shape (32, 32)
        As from `thumbnail`.
    """
    compared, small = _shrunk(pixels, HASHED, THUMBNAIL)
    return hash_bits_to_bytes(difference_bits(compared)), small


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
    return _shrunk(pixels, HASHED)[0]


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
    return _shrunk(pixels, THUMBNAIL)[0]


def _shrunk(pixels: npt.NDArray[np.uint8], *shapes: tuple[int, int]) -> list[npt.NDArray[np.uint8]]:
    """Shrink an image to several shapes, as Pillow's Lanczos filter does.

    Across first, rounded to whole grey levels, then down: so that equal neighbours stay equal. All
    shapes together, of which the blocks on the diagonal are kept: so small, two products cost less
    than four.
    """
    reduced, covered_down, covered_across = _reduced(pixels)
    heights, widths = zip(*shapes, strict=True)
    across = _whole_greys(reduced @ _filters(reduced.shape[1], covered_across, widths).T)
    all_blocks = _whole_greys(_filters(len(reduced), covered_down, heights) @ across)
    greys = all_blocks.astype(np.uint8)
    ends_down, ends_across = accumulate(heights), accumulate(widths)
    return [
        np.ascontiguousarray(greys[down - height : down, right - width : right])
        for (height, width), down, right in zip(shapes, ends_down, ends_across, strict=True)
    ]


def _reduced(pixels: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], float, float]:
    """Average whole blocks of pixels, down to no less than three times the thumbnail's side.

    Where a block does not divide the size, the last one is only partly covered: the other two
    values say how many rows and columns the image covers. Without them the picture would be
    stretched by up to one per cent.
    """
    target = REDUCING_GAP * THUMBNAIL_SIDE
    height, width = pixels.shape
    down, across = max(1, height // target), max(1, width // target)
    if (across, down) != (1, 1):
        pixels = grey_array(Image.fromarray(pixels).reduce((across, down)))
    return pixels.astype(np.float32), height / down, width / across


def _whole_greys(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Round to grey levels, in place; the filter's overshoot beyond black and white is cut off."""
    values += np.float32(0.5)
    np.floor(values, out=values)
    return values.clip(0, 255, out=values)


@lru_cache(maxsize=256)
def _filters(n: int, covered: float, lengths: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Weights for several lengths, one below the other, shape (sum of lengths, n)."""
    return np.concatenate([_lanczos_weights(n, covered, length) for length in lengths])


def _lanczos_weights(n: int, covered: float, n_after: int) -> npt.NDArray[np.float32]:
    """Weights by which `n_after` pixels are made of the first `covered` of `n`, rows of sum 1.

    Lanczos filter with three lobes, widened by the factor when shrinking: as in Pillow's
    ``Image.resize(..., Image.Resampling.LANCZOS, box)`` (its file Resample.c).
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
    normalised: npt.NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(
        np.float32
    )
    return normalised
