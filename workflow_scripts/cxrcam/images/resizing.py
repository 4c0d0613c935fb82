"""Stretch grey images to the square that a network sees."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from PIL import Image

from workflow_scripts.cxrcam.arrays import UInt8Array

Resampling = Literal["bilinear", "lanczos", "bicubic", "box"]

RESAMPLING_FILTERS: Final[dict[str, Image.Resampling]] = {
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
}


def resize_grey(pixels: UInt8Array, size: int, resampling: Resampling = "bilinear") -> UInt8Array:
    """Stretch a grey image to a square, with antialiasing.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width)
    size : int
        Side of the square, in pixels.
    resampling : {"bilinear", "lanczos", "bicubic", "box"}
        Pillow's filter. When shrinking, its support grows with the factor (antialiasing).

    Returns
    -------
    ndarray of uint8, shape (size, size)
        A new, writable array. The aspect ratio is not kept: the paper resizes and never crops.
    """
    if pixels.shape == (size, size):
        return pixels.copy()
    return np.array(Image.fromarray(pixels).resize((size, size), RESAMPLING_FILTERS[resampling]))
