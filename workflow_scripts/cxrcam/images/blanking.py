"""Images without their corners, where letters and dates stand that can tell the classes apart.

A module of its own: the cache depends on it, and on nothing of `covering`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from workflow_scripts.cxrcam.arrays import BoolArray, UInt8Array

CORNERS: Final = "corners"
"""What `blanked` takes away of every image, as ``image.blank`` names it."""

CORNER_WIDTH, CORNER_HEIGHT = 0.25, 0.1
"""Sides of the boxes that `blanked` blackens, as shares of the image's: letters and dates are wide
and low. Of lung masks they hold 0.1 % (phantoms) to 1.3 % (41 of the COVID-19 Radiography
Database, at most 9 %)."""


def corner_mask(size: int) -> BoolArray:
    """Four boxes in the corners of a square image, each at least one pixel a side.

    Returns
    -------
    ndarray of bool, shape (size, size)
    """
    height, width = (max(1, round(size * share)) for share in (CORNER_HEIGHT, CORNER_WIDTH))
    rows, columns = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
    rows[:height] = rows[-height:] = True
    columns[:width] = columns[-width:] = True
    return np.outer(rows, columns)


def blanked(pixels: UInt8Array, blank: str) -> UInt8Array:
    """Images whose corners are black, whoever looks at them: network, floors or reader.

    Black, unlike a grey of the image, tells nothing of it, and any program can make it.

    Parameters
    ----------
    pixels : uint8 array, shape (n, size, size)
    blank : {"none", "corners"}
        ``image.blank`` of the configuration.

    Returns
    -------
    uint8 array, shape (n, size, size)
        `pixels` itself where nothing is blanked.
    """
    if blank != CORNERS:
        return pixels
    return np.where(corner_mask(pixels.shape[-1]), np.uint8(0), pixels)
