"""How colourful an image file is: a radiograph has no colours, a photograph nearly always has.

Data sets are not asked this, so it is not part of reading an image; only files that could hold
colours are decoded once more for it, JPEG at an eighth of the size.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import Image

from workflow_scripts.cxrcam.images.dicom import decode_colours
from workflow_scripts.cxrcam.images.raster import raster_colours

#: Pillow's modes without colours, beside those that start with "I" (integers of more bits).
GREY_MODES: Final = frozenset({"1", "L", "LA", "La", "F"})

#: Pixels a side at which colours are compared: single coloured letters or arrows average out.
COMPARED_SIDE: Final = 64


def may_hold_colour(mode: str) -> bool:
    """Tell by a file's mode (as `images.files.GreyImage.mode`) whether it could be in colour."""
    if mode.startswith("DICOM "):
        return not mode.startswith("DICOM MONOCHROME")
    return not (mode in GREY_MODES or mode.startswith("I"))


def colourfulness(encoded: bytes, mode: str) -> float:
    """Mean distance between the largest and the smallest of red, green and blue, in [0, 1].

    0 for grey, also where it is stored in three channels. `encoded` is the content of a file that
    could be read as an image, `mode` as `images.files.GreyImage.mode`.
    """
    if not may_hold_colour(mode):
        return 0.0
    image = (
        _dicom_colours(encoded)
        if mode.startswith("DICOM ")
        else raster_colours(encoded, 2 * COMPARED_SIDE)
    )
    small = np.asarray(
        image.resize((COMPARED_SIDE, COMPARED_SIDE), Image.Resampling.BOX), dtype=np.float64
    )
    return float((small.max(axis=2) - small.min(axis=2)).mean() / 255.0)


def _dicom_colours(encoded: bytes) -> Image.Image:
    values = decode_colours(encoded)
    if values.ndim == 2:
        values = np.repeat(values[..., None], 3, axis=2)
    brightest = max(float(values.max()), 1.0)
    return Image.fromarray((values / brightest * 255.0).astype(np.uint8))
