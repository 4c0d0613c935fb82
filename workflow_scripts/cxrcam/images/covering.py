"""Images with a part taken away: a network that still answers as well did not need that part.

Maguolo & Nanni 2021 (Information Fusion 76:1-7) covered most of the lungs of public COVID X-rays
with a black rectangle, and classifiers told the data sets apart almost as well as before. Two
variants here need nothing but the pixels; those named after the lungs need lung masks.

What is covered becomes black (0), as in that paper, or, with ``fill="mean"``, the mean grey of the
pixels that stay, image by image: softer edges, and nothing of the covered part leaks into it. An
image of which nothing stays becomes black with either fill.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from workflow_scripts.cxrcam.arrays import BoolArray, UInt8Array

Fill = Literal["black", "mean"]

CENTRE_SIDE: Final = 0.6
"""Side of the square that `centre_black` covers, as a share of the image's side."""

BORDER_WIDTH: Final = 0.1
"""Width of the ring that `border_only` keeps, as a share of the image's side."""


@dataclass(frozen=True)
class MaskingVariant:
    """One way of taking a part of the image away, in words for readers.

    Attributes
    ----------
    name : str
        Key, as `masked_pixels` takes it.
    title : str
        A few words, for tables and figures.
    description : str
        What is covered, and how to read the result.
    needs_lung_masks : bool
        Whether it is assessable only with lung masks.
    """

    name: str
    title: str
    description: str
    needs_lung_masks: bool


_VARIANTS: Final = (
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


def masking_variants(has_lung_masks: bool = True) -> tuple[MaskingVariant, ...]:
    """Variants with names and descriptions for readers.

    Parameters
    ----------
    has_lung_masks : bool, default True
        False leaves out those that are not assessable without lung masks.
    """
    return tuple(v for v in _VARIANTS if has_lung_masks or not v.needs_lung_masks)


def border_mask(size: int, width_fraction: float) -> BoolArray:
    """Ring along the four edges of a square image.

    Parameters
    ----------
    size : int
        UInt8Array a side, at least 3.
    width_fraction : float
        Width of the ring as a share of the side, strictly between 0 and 0.5; rounded to whole
        pixels, at least one, and leaving at least one in the middle.

    Returns
    -------
    ndarray of bool, shape (size, size)

    Raises
    ------
    ValueError
        If `size` or `width_fraction` is out of range.
    """
    if size < 3:
        raise ValueError(f"size is {size}; a border with something inside needs at least 3 pixels")
    if not 0.0 < width_fraction < 0.5:
        raise ValueError(f"width_fraction is {width_fraction}, outside (0, 0.5)")
    width = min(max(1, round(size * width_fraction)), (size - 1) // 2)
    ring = np.ones((size, size), dtype=bool)
    ring[width:-width, width:-width] = False
    return ring


def centre_mask(size: int, side_fraction: float = CENTRE_SIDE) -> BoolArray:
    """Square in the centre of a square image.

    Parameters
    ----------
    size : int
        UInt8Array a side, at least 3.
    side_fraction : float, default 0.6
        Side of the square as a share of the image's side, strictly between 0 and 1. The ring
        around it is rounded to whole pixels, the same on all four sides.

    Returns
    -------
    ndarray of bool, shape (size, size)

    Raises
    ------
    ValueError
        If `size` or `side_fraction` is out of range.
    """
    if not 0.0 < side_fraction < 1.0:
        raise ValueError(f"side_fraction is {side_fraction}, outside (0, 1)")
    return ~border_mask(size, (1.0 - side_fraction) / 2.0)


def cover(pixels: UInt8Array, covered: npt.ArrayLike, fill: Fill = "black") -> UInt8Array:
    """Images with the masked pixels replaced by one grey value.

    Parameters
    ----------
    pixels : uint8 array, shape (n, size, size)
    covered : bool array, shape (n, size, size) or (size, size)
        True where the image is taken away.
    fill : {"black", "mean"}
        0, or each image's mean over the pixels that stay, rounded (0 if none stays).

    Returns
    -------
    ndarray of uint8, shape (n, size, size)
        A new array. An image whose mask is empty is unchanged.

    Raises
    ------
    ValueError
        If dtypes or shapes do not fit, or `fill` is unknown.
    """
    region = np.asarray(covered)
    if pixels.dtype != np.uint8 or pixels.ndim != 3:
        raise ValueError(f"pixels are {pixels.dtype} {pixels.shape}, expected uint8 (n, h, w)")
    if region.dtype != np.bool_ or region.shape not in (pixels.shape, pixels.shape[1:]):
        raise ValueError(f"masks are {region.dtype} {region.shape}, expected bool {pixels.shape}")
    if fill not in ("black", "mean"):
        raise ValueError(f"fill is {fill!r}, neither 'black' nor 'mean'")
    if fill == "black":
        return np.where(region, np.uint8(0), pixels)
    kept = np.broadcast_to(~region, pixels.shape)
    total = pixels.sum(axis=(1, 2), dtype=np.int64, where=kept)
    mean = np.round(total / np.maximum(kept.sum(axis=(1, 2)), 1)).astype(np.uint8)
    return np.where(region, mean[:, None, None], pixels)


def lungs_out(pixels: UInt8Array, lungs: npt.ArrayLike, fill: Fill = "black") -> UInt8Array:
    """Cover the lungs; see `cover` and `masked_pixels`."""
    return cover(pixels, _full_masks(pixels, lungs), fill)


def lungs_only(pixels: UInt8Array, lungs: npt.ArrayLike, fill: Fill = "black") -> UInt8Array:
    """Cover everything but the lungs; see `cover` and `masked_pixels`."""
    return cover(pixels, ~_full_masks(pixels, lungs), fill)


def centre_black(
    pixels: UInt8Array, fill: Fill = "black", side_fraction: float = CENTRE_SIDE
) -> UInt8Array:
    """Cover a square in the centre; see `cover` and `centre_mask`."""
    return cover(pixels, centre_mask(_side(pixels), side_fraction), fill)


def border_only(
    pixels: UInt8Array, fill: Fill = "black", width_fraction: float = BORDER_WIDTH
) -> UInt8Array:
    """Cover everything but a ring along the edges; see `cover` and `border_mask`."""
    return cover(pixels, ~border_mask(_side(pixels), width_fraction), fill)


def masked_pixels(
    pixels: UInt8Array,
    variant: str,
    lungs: npt.ArrayLike | None = None,
    fill: Fill = "black",
) -> UInt8Array:
    """Images in one of the variants of `masking_variants`.

    Parameters
    ----------
    pixels : uint8 array, shape (n, size, size)
        May be empty (n = 0).
    variant : {"lungs_out", "lungs_only", "centre_black", "border_only"}
    lungs : bool array, shape (n, size, size), optional
        Lung masks, needed by the variants that are named after the lungs. An empty mask makes
        `lungs_out` the image itself and `lungs_only` black: select images that have a mask.
    fill : {"black", "mean"}

    Returns
    -------
    ndarray of uint8, shape (n, size, size)
        A new array.

    Raises
    ------
    ValueError
        If the variant or fill is unknown, masks are missing or do not fit, or images are not
        square uint8.
    """
    if variant in ("lungs_out", "lungs_only"):
        if lungs is None:
            raise ValueError(f"{variant} needs lung masks; without them it is not assessable")
        return (lungs_out if variant == "lungs_out" else lungs_only)(pixels, lungs, fill)
    if variant == "centre_black":
        return centre_black(pixels, fill)
    if variant == "border_only":
        return border_only(pixels, fill)
    raise ValueError(f"{variant!r} is none of {[known.name for known in _VARIANTS]}")


def _full_masks(pixels: UInt8Array, lungs: npt.ArrayLike) -> BoolArray:
    """Lung masks, one for each image: the mask of one image says nothing about another."""
    masks = np.asarray(lungs)
    if masks.dtype != np.bool_ or masks.shape != pixels.shape:
        raise ValueError(
            f"lung masks are {masks.dtype} {masks.shape}, expected bool {pixels.shape}"
        )
    return masks


def _side(pixels: UInt8Array) -> int:
    if pixels.ndim != 3 or pixels.shape[1] != pixels.shape[2]:
        raise ValueError(f"pixels have shape {pixels.shape}, expected (n, size, size)")
    return int(pixels.shape[1])
