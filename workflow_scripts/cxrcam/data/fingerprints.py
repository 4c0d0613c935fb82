"""Fingerprints of images: exact (SHA-256) and perceptual (256-bit difference hash, thumbnail).

The difference hash follows the convention of the `imagehash` package, ``dhash(hash_size=16)``:
shrink to 17 x 16 pixels with an antialiased Lanczos filter; a bit is 1 where a pixel is brighter
than its left neighbour; row by row, most significant bit first. Large images are reduced by whole
blocks of pixels first (`REDUCING_GAP`), which changes a few bits of the 256 (pixels that are nearly
equal) against shrinking in one step.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from workflow_scripts.cxrcam.arrays import BoolArray, UInt8Array

#: Bits of the difference hash along each side.
HASH_SIDE: Final = 16
HASH_BITS: Final = HASH_SIDE * HASH_SIDE
HASH_BYTES: Final = HASH_BITS // 8

#: Side of the thumbnail that confirms a match, in pixels.
THUMBNAIL_SIDE: Final = 32

#: Blocks of pixels are averaged as long as this many are left for each pixel of the result, so that
#: the Lanczos filter still does nearly all of the antialiasing (Pillow's advice).
REDUCING_GAP: Final = 3


def pixel_sha256(pixels: UInt8Array) -> str:
    """SHA-256 of a decoded image: equal for equal pictures in different files or formats.

    The shape is part of it: 2 x 8 and 4 x 4 pixels of the same values differ.
    """
    digest = hashlib.sha256(f"{pixels.shape[0]}x{pixels.shape[1]}:".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def dhash256(pixels: UInt8Array) -> bytes:
    """256-bit difference hash of a grey image at full size, in 32 bytes.

    16 rows of 16 bits, most significant bit first: ``dhash256(p).hex()`` reads like
    ``str(imagehash.dhash(image, hash_size=16))``.
    """
    return np.packbits(difference_bits(_shrunk(pixels, HASH_SIDE, HASH_SIDE + 1))).tobytes()


def difference_bits(small: npt.NDArray[Any]) -> BoolArray:
    """Bits of the difference hash, shape (..., 16, 16), of small images, shape (..., 16, 17)."""
    bits: BoolArray = small[..., 1:] > small[..., :-1]
    return bits


def thumbnail(pixels: UInt8Array) -> UInt8Array:
    """Thumbnail, shape (32, 32), that confirms or rejects a match of hashes.

    Antialiased (Lanczos), stretched to a square. Not by Pillow's box filter, which weighs whole
    pixels only: copies of different sizes would correlate at 0.94 after local normalisation,
    against 0.99 with Lanczos.
    """
    return _shrunk(pixels, THUMBNAIL_SIDE, THUMBNAIL_SIDE)


def _shrunk(pixels: UInt8Array, height: int, width: int) -> UInt8Array:
    image = Image.fromarray(pixels)
    return np.asarray(
        image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=REDUCING_GAP)
    )
