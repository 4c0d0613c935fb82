"""Turn images upright, as EXIF and TIFF say it: tag 274, Orientation."""

from __future__ import annotations

from typing import Final

import numpy as np

from workflow_scripts.cxrcam.arrays import UInt8Array

ORIENTATION: Final = 0x0112
LYING: Final = frozenset({5, 6, 7, 8})  # upright, width and height change places


def upright(pixels: UInt8Array, orientation: object) -> UInt8Array:
    """Turn and mirror an image.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width)
    orientation : int
        1 to 8; anything else says nothing and is taken as 1.

    Returns
    -------
    ndarray of uint8, shape (height, width) or (width, height), C-contiguous
    """
    if orientation not in range(2, 9):
        return np.ascontiguousarray(pixels)
    if orientation in LYING:
        pixels = pixels.T
    # What side the first row and the first column stand on: top or bottom, left or right.
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
