"""Read the lung masks that a data set ships with its images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from workflow_scripts.cxrcam.arrays import BoolArray
from workflow_scripts.cxrcam.images.files import read_grey
from workflow_scripts.cxrcam.images.limits import UnreadableImage
from workflow_scripts.cxrcam.images.resizing import resize_grey


def read_mask(path: Path, size: int | None, max_pixels: int) -> BoolArray:
    """Read a lung mask: grey values above 127 are inside.

    Parameters
    ----------
    path : Path
        Of any format that `read_grey` reads.
    size : int or None
        Side of the square to stretch the mask to, in pixels. None keeps the file's own size.
    max_pixels : int
        As for `read_grey`.

    Returns
    -------
    ndarray of bool, shape (size, size) or (height, width)
        True inside. After resizing, a pixel is inside where at least half of its area was.

    Raises
    ------
    UnreadableImage
        As for `read_grey`; also where the mask is not black throughout but no value exceeds 127
        (labels stored as 0 and 1): read as it stands it would silently be an empty mask.
    """
    pixels = read_grey(path, max_pixels).pixels
    inside: BoolArray = pixels > 127
    if not inside.any() and pixels.any():
        raise UnreadableImage(
            f"The mask's largest value is {pixels.max()}; inside must be brighter than 127."
        )
    if size is None:
        return inside
    area = resize_grey(inside.astype(np.uint8) * np.uint8(255), size, "box")
    resized: BoolArray = area > 127
    return resized
