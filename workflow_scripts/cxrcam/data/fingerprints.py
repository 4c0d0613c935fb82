"""Fingerprints of one image: exact (SHA-256) and perceptual (256-bit difference hash, thumbnail).

The perceptual fingerprints start from one shared box reduction of the image, so that both together
cost about a tenth of decoding the file.

The difference hash follows the convention of the `imagehash` package, ``dhash(hash_size=16)``:
shrink to 17 x 16 pixels with an antialiased Lanczos filter; a bit is 1 where a pixel is brighter
than its left neighbour; row by row, most significant bit first. The box reduction changes about
two bits of the 256 against shrinking in one step (pixels that are nearly equal).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

#: Bits of the difference hash along each side.
HASH_SIDE: Final = 16
HASH_BITS: Final = HASH_SIDE * HASH_SIDE
HASH_BYTES: Final = HASH_BITS // 8

#: Side of the thumbnail that confirms a match, in pixels.
THUMBNAIL_SIDE: Final = 32

#: The box reduction leaves at least this many pixels for each pixel of the thumbnail, so that the
#: final filter still does nearly all of the antialiasing (Pillow's advice for `reducing_gap`).
REDUCING_GAP: Final = 3


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
    reduced = _reduced(pixels)
    return hash_bits_to_bytes(difference_bits(_hash_image(reduced))), _thumbnail(
        reduced, THUMBNAIL_SIDE
    )


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
    return hash_bits_to_bytes(difference_bits(_hash_image(_reduced(pixels))))


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
    return _hash_image(_reduced(pixels))


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


def thumbnail(pixels: npt.NDArray[np.uint8], size: int = THUMBNAIL_SIDE) -> npt.NDArray[np.uint8]:
    """Thumbnail that confirms or rejects a match of hashes.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width)
        Grey image at full size.
    size : int
        Side, in pixels.

    Returns
    -------
    ndarray of uint8, shape (size, size)
        Antialiased (Lanczos), stretched to a square.
    """
    return _thumbnail(_reduced(pixels, size), size)


@dataclass(frozen=True)
class _Reduced:
    """An image after its box reduction, and the part of it that the original covers."""

    image: Image.Image
    box: tuple[float, float, float, float]

    def resize(self, size: tuple[int, int], resampling: Image.Resampling) -> Image.Image:
        return self.image.resize(size, resampling, self.box)


def _reduced(pixels: npt.NDArray[np.uint8], side: int = THUMBNAIL_SIDE) -> _Reduced:
    """Average whole blocks of pixels, down to no less than three times the thumbnail's side."""
    image = Image.fromarray(pixels)
    target = REDUCING_GAP * max(side, HASH_SIDE + 1)
    across, down = max(1, image.width // target), max(1, image.height // target)
    # Where the factor does not divide the size, the last block is only partly covered; without the
    # box, the picture would be stretched by up to one per cent.
    box = (0.0, 0.0, image.width / across, image.height / down)
    if (across, down) != (1, 1):
        image = image.reduce((across, down))
    return _Reduced(image, box)


def _hash_image(reduced: _Reduced) -> npt.NDArray[np.uint8]:
    return np.asarray(reduced.resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.LANCZOS))


def _thumbnail(reduced: _Reduced, size: int) -> npt.NDArray[np.uint8]:
    # Pillow's box filter weighs whole pixels only: copies of different sizes would correlate at
    # 0.94 after local normalisation, against 0.99 with Lanczos.
    return np.array(reduced.resize((size, size), Image.Resampling.LANCZOS))
