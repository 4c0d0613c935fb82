"""Images with a part taken away: a network that still answers as well did not need that part.

Maguolo & Nanni 2021 (Information Fusion 76:1-7) covered most of the lungs of public COVID X-rays
with a black rectangle, and classifiers told the data sets apart almost as well as before. Two
variants here need nothing but the pixels; those named after the lungs need lung masks.

What is covered becomes the mean grey of the pixels that stay, image by image: softer edges than
black, and nothing of the covered part leaks into it. An image of which nothing stays becomes black.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from workflow_scripts.cxrcam.arrays import BoolArray, UInt8Array
from workflow_scripts.cxrcam.terms import WHOLE

CENTRE_SIDE: Final = 0.6
"""Side of the square that `centre_black` covers, as a share of the image's side."""

BORDER_WIDTH: Final = 0.1
"""Width of the ring that `border_only` keeps, as a share of the image's side."""


@dataclass(frozen=True)
class MaskingVariant:
    """One way of taking a part of the image away, in words for readers."""

    name: str  # as `covered_pixels` takes it
    title: str  # a few words, for tables and figures
    description: str  # what is covered, and how to read the result
    needs_lung_masks: bool  # whether it is assessable only with lung masks


MASKING_VARIANTS: Final = (
    MaskingVariant(
        "lungs_out",
        "lungs covered",
        "Everything inside the lung mask is covered. A network that still answers as well does not "
        "need the lungs. The outline of the lungs stays visible as the edge of the cover.",
        needs_lung_masks=True,
    ),
    MaskingVariant(
        "lungs_only",
        "lungs only",
        "Everything outside the lung mask is covered. A network that reads the lungs keeps most of "
        "its accuracy; the outline of the lungs stays visible.",
        needs_lung_masks=True,
    ),
    MaskingVariant(
        "centre_black",
        "centre covered",
        f"A square in the centre, {100 * CENTRE_SIDE:.0f} % of the image's "
        "side, is covered, and with it most of the lungs, whatever their outline. Accuracy that "
        "stays high does not come from there.",
        needs_lung_masks=False,
    ),
    MaskingVariant(
        "border_only",
        "border only",
        f"Only a ring along the edges is kept, {100 * BORDER_WIDTH:.0f} % of the side "
        "wide; all else is covered. There is hardly any lung in it: accuracy above chance is a "
        "shortcut.",
        needs_lung_masks=False,
    ),
)


def border_mask(size: int, width_fraction: float) -> BoolArray:
    """Ring along the four edges of a square image.

    Parameters
    ----------
    size : int
        Pixels a side, at least 3.
    width_fraction : float
        Width of the ring as a share of the side, strictly between 0 and 0.5; rounded to whole
        pixels, at least one, and leaving at least one in the middle.

    Returns
    -------
    ndarray of bool, shape (size, size)
    """
    if not 0.0 < width_fraction < 0.5:
        raise ValueError(f"width_fraction is {width_fraction}, outside (0, 0.5)")
    width = min(max(1, round(size * width_fraction)), (size - 1) // 2)
    ring = np.ones((size, size), dtype=bool)
    ring[width:-width, width:-width] = False
    return ring


def covered_pixels(pixels: UInt8Array, part: str, lungs: BoolArray | None = None) -> UInt8Array:
    """Images as a network sees them: whole, or in one of `MASKING_VARIANTS`.

    Parameters
    ----------
    pixels : uint8 array, shape (n, size, size)
        May be empty (n = 0).
    part : {"whole", "lungs_out", "lungs_only", "centre_black", "border_only"}
        ``input`` of a scheme.
    lungs : bool array, shape (n, size, size), optional
        Lung masks, needed by the variants that are named after the lungs. An empty mask makes
        `lungs_out` the image itself and `lungs_only` black: select images that have a mask.

    Returns
    -------
    uint8 array, shape (n, size, size)
        `pixels` itself where the part is the whole.

    Raises
    ------
    ValueError
        If the part is unknown, or masks are missing or do not fit.
    """
    if part == WHOLE:
        return pixels
    covered = np.broadcast_to(_covered_part(part, pixels.shape, lungs), pixels.shape)
    total = pixels.sum(axis=(1, 2), dtype=np.int64, where=~covered)
    mean = np.round(total / np.maximum((~covered).sum(axis=(1, 2)), 1)).astype(np.uint8)
    return np.where(covered, mean[:, None, None], pixels)


def _covered_part(variant: str, shape: tuple[int, ...], lungs: BoolArray | None) -> BoolArray:
    """Where images of a shape are covered: one mask for all of them, or one for each."""
    if variant == "centre_black":
        return ~border_mask(shape[1], (1.0 - CENTRE_SIDE) / 2.0)
    if variant == "border_only":
        return ~border_mask(shape[1], BORDER_WIDTH)
    if variant not in ("lungs_out", "lungs_only"):
        raise ValueError(f"{variant!r} is none of {[known.name for known in MASKING_VARIANTS]}")
    if lungs is None:
        raise ValueError(f"{variant} needs lung masks; without them it is not assessable")
    if lungs.shape != shape:  # the mask of one image says nothing about another
        raise ValueError(f"lung masks have shape {lungs.shape}, expected {shape}")
    return lungs if variant == "lungs_out" else ~lungs
