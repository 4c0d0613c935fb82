"""What the floors may see: features of images from which no lung can be recognised.

Each function takes images, uint8 (n, size, size) with a side of at least 28 pixels, and gives one
row of float32 an image. The places (ring, corners, centre) are those from which the audit's
reference figures were measured on images of 224 x 224 pixels; on other sizes they keep their share
of the side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from workflow_scripts.cxrcam.arrays import Float32Array, Int64Array, UInt8Array

REFERENCE_SIDE: Final = 224
"""Side of the images, in pixels, in which the widths below are given."""

RING_WIDTH: Final = 4
"""Width of the outer ring, in pixels of the reference side; at least 2 pixels of the image."""

CORNER_SIDE: Final = 6
"""Side of the corner squares, in pixels of the reference side; at least 3 pixels of the image."""

CENTRE_SHARE: Final = 0.6
"""Side of the blackened central square, as a share of the image's side."""

THUMBNAIL_CELLS: Final = 28
"""Side of the thumbnail, in cells."""

GREY_BINS: Final = 64
"""Bins of the histogram, each four of the 256 grey levels wide."""

# Pixels that are converted at a time: 4 MB as float32, so that a chunk stays in the CPU's cache.
_CHUNK_PIXELS: Final = 1_000_000


def pixel_chunks(pixels: UInt8Array) -> Iterator[slice]:
    """Rows of `pixels` to take at a time, about a million pixels."""
    step = max(1, _CHUNK_PIXELS // (pixels.shape[1] * pixels.shape[2]))
    return (slice(start, start + step) for start in range(0, len(pixels), step))


def area_weights(inputs: int, outputs: int) -> Float32Array:
    """Weights that average `inputs` neighbouring values into `outputs` cells of equal length.

    Parameters
    ----------
    inputs, outputs : int
        A value that lies across the edge of a cell counts in both, by its share.

    Returns
    -------
    ndarray of float32, shape (inputs, outputs)
        Each column sums to 1: ``values @ weights`` are the means of the cells.
    """
    # In units of 1/(inputs · outputs) of the whole length, so that edges are whole numbers.
    edges_in = np.arange(inputs + 1) * outputs
    edges_out = np.arange(outputs + 1) * inputs
    overlap = np.minimum(edges_in[1:, None], edges_out[None, 1:]) - np.maximum(
        edges_in[:-1, None], edges_out[None, :-1]
    )
    weights: Float32Array = (np.maximum(overlap, 0) / inputs).astype(np.float32)
    return weights


def _scaled(reference_pixels: int, size: int, least: int) -> int:
    return max(least, round(size * reference_pixels / REFERENCE_SIDE))


def _area_averaged(part: npt.NDArray[np.generic], rows: int, columns: int) -> Float32Array:
    """Cells of area means of images (n, height, width), flattened: (n, rows · columns)."""
    values = part.astype(np.float32)
    across = values @ area_weights(part.shape[2], columns)
    cells = area_weights(part.shape[1], rows).T @ across
    averaged: Float32Array = cells.reshape(len(part), rows * columns)
    return averaged


def histogram(pixels: UInt8Array) -> Float32Array:
    """Share of the pixels in each of 64 grey bins, (n, 64): nothing about the places."""
    counts = np.empty((len(pixels), GREY_BINS), np.float32)
    for rows in pixel_chunks(pixels):
        counts[rows] = grey_counts(pixels[rows] // np.uint8(256 // GREY_BINS), GREY_BINS)
    shares: Float32Array = counts / np.float32(pixels.shape[1] * pixels.shape[2])
    return shares


def grey_counts(values: UInt8Array, bins: int = 256) -> Int64Array:
    """How often each value below `bins` occurs in each image, int64 (n, bins).

    Needs 8 bytes a pixel meanwhile: pass `pixel_chunks` of many images.
    """
    first_bin = np.arange(len(values))[:, None] * bins
    shifted = np.add(values.reshape(len(values), -1), first_bin, dtype=np.int64)
    return np.bincount(shifted.ravel(), minlength=len(values) * bins).reshape(-1, bins)


def border(pixels: UInt8Array) -> Float32Array:
    """Mean greys (0 to 255) along the outer ring, in 28 sections of each side, (n, 112).

    The ring is 4/224 of the side wide, at least 2 pixels. Order: top, bottom, left, right.
    """
    width = _scaled(RING_WIDTH, pixels.shape[1], least=2)
    cells = THUMBNAIL_CELLS
    return np.concatenate(
        [
            _area_averaged(pixels[:, :width], 1, cells),
            _area_averaged(pixels[:, -width:], 1, cells),
            _area_averaged(pixels[:, :, :width], cells, 1),
            _area_averaged(pixels[:, :, -width:], cells, 1),
        ],
        axis=1,
    )


def corners(pixels: UInt8Array) -> Float32Array:
    """Greys (0 to 255) of four corner squares, 6/224 of the side each, at least 3 pixels.

    Shape (n, 4 · cells²), where `cells` is 3 to 6: larger squares are averaged down to 6 x 6.
    """
    side = _scaled(CORNER_SIDE, pixels.shape[1], least=3)
    cells = min(side, CORNER_SIDE)
    first, last = slice(None, side), slice(-side, None)
    return np.concatenate(
        [
            _area_averaged(pixels[:, rows, columns], cells, cells)
            for rows in (first, last)
            for columns in (first, last)
        ],
        axis=1,
    )


def _thumbnail(pixels: UInt8Array, blackened: slice | None) -> Float32Array:
    cells = THUMBNAIL_CELLS
    thumbnails = np.empty((len(pixels), cells * cells), np.float32)
    for rows in pixel_chunks(pixels):
        chunk = pixels[rows]
        if blackened is not None:
            chunk = chunk.copy()
            chunk[:, blackened, blackened] = 0
        thumbnails[rows] = _area_averaged(chunk, cells, cells)
    return thumbnails


def centre_black(pixels: UInt8Array) -> Float32Array:
    """Greys (0 to 255) of a thumbnail after the central 60 % square was blacked out, (n, 784)."""
    size = pixels.shape[1]
    margin = round(size * (1 - CENTRE_SHARE) / 2)
    return _thumbnail(pixels, slice(margin, size - margin))


def thumbnail(pixels: UInt8Array) -> Float32Array:
    """Greys (0 to 255) of a thumbnail of 28 x 28 cells, each the mean of its area, (n, 784)."""
    return _thumbnail(pixels, None)


FEATURES: Final[dict[str, Callable[[UInt8Array], Float32Array]]] = {
    "histogram": histogram,
    "border": border,
    "corners": corners,
    "centre_black": centre_black,
    "thumbnail": thumbnail,
}
"""Features by the name of the floor that uses them."""
