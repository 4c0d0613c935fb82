"""Correlation of thumbnails after local contrast normalisation.

Plain correlation cannot tell copies: different children correlate at up to 0.971, while true copies
with changed contrast fall to 0.91. Local contrast normalisation keeps ribs and vessels, which are
personal, and drops what all chests share.

It also makes the correlation fall off within half a thumbnail pixel: see `thumbnail_alignment`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from workflow_scripts.cxrcam.arrays import Float32Array, Int64Array
from workflow_scripts.cxrcam.data.fingerprints import THUMBNAIL_SIDE
from workflow_scripts.cxrcam.duplicates.thumbnail_views import Thumbnails
from workflow_scripts.cxrcam.workers import ALONE, Workers, slices

Int8Array = npt.NDArray[np.int8]

#: Window of the local contrast normalisation, in thumbnail pixels.
NORMALISATION_WINDOW: Final = 3
#: Local contrast, in grey levels, below which structure counts as noise and is damped.
NORMALISATION_FLOOR: Final = 4.0
#: No normalised value exceeds the window's side (one bright pixel in a flat window), so that this
#: factor fills the range of int8.
NORMALISATION_SCALE: Final = 127.0 / NORMALISATION_WINDOW

#: Thumbnails that are turned into float32 at a time: 16 MB.
THUMBNAIL_CHUNK: Final = 4096
#: Thumbnails that are normalised at a time; they fit into the cache.
NORMALISED_AT_ONCE: Final = 256

#: Pairs that are correlated at a time. Larger pieces leave the cache and take three times as long.
PAIRS_AT_ONCE: Final = 128

#: Sides of the tiles that are compared one by one, in thumbnail pixels, and which quantile of their
#: correlations counts.
TILES: Final = {4: 0.5, 8: 0.75}


@dataclass(frozen=True)
class NormalisedThumbnails:
    """Thumbnails after local contrast normalisation, ready to be correlated.

    Attributes
    ----------
    codes : ndarray of int8, shape (n, 1024)
        Normalised values times `NORMALISATION_SCALE`: a quarter of the memory of float32, and a
        correlation that is off by less than 0.001.
    lengths : ndarray of float32, shape (n,)
        Euclidean length of each row; 0 for an image of one grey throughout.
    """

    codes: Int8Array
    lengths: Float32Array


def normalised_thumbnails(thumbnails: Thumbnails, workers: Workers = ALONE) -> NormalisedThumbnails:
    """Normalise the local contrast of thumbnails.

    From each pixel, the mean of its 3 x 3 neighbourhood is taken away; the rest is divided by its
    root mean square over the same neighbourhood plus 4 grey levels (Jarrett et al., ICCV 2009).
    Brightness, contrast and the large shapes that all chests share vanish.

    Parameters
    ----------
    thumbnails : ndarray of uint8, shape (n, 32, 32)
        As from `fingerprints.thumbnail`.
    workers : Workers
        Threads that share the work.

    Returns
    -------
    NormalisedThumbnails
        Rows in the order given.

    Raises
    ------
    ValueError
        Wrong shape or dtype.
    """
    check_thumbnails(thumbnails)
    codes = np.empty((len(thumbnails), THUMBNAIL_SIDE**2), np.int8)
    lengths = np.empty(len(thumbnails), np.float32)

    def normalise(rows: slice) -> None:
        values = thumbnails[rows].astype(np.float32)
        detail = values - _local_means(values)
        contrast = np.sqrt(_local_means(detail**2))
        normalised = detail / (contrast + np.float32(NORMALISATION_FLOOR))
        normalised = normalised.reshape(len(values), -1)
        normalised -= normalised.mean(axis=1, keepdims=True)
        scaled = np.clip(np.rint(normalised * NORMALISATION_SCALE), -127, 127)
        codes[rows] = scaled
        lengths[rows] = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))

    workers.do(normalise, slices(len(thumbnails), NORMALISED_AT_ONCE))
    return NormalisedThumbnails(codes, lengths)


def _local_means(pictures: Float32Array) -> Float32Array:
    """Means of 3 x 3 pixels, the borders mirrored; twice as fast as scipy's filter."""
    padded = np.pad(pictures, ((0, 0), (1, 1), (1, 1)), mode="symmetric")
    columns = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    sums = columns[:, :, :-2] + columns[:, :, 1:-1] + columns[:, :, 2:]
    means: Float32Array = sums / np.float32(NORMALISATION_WINDOW**2)
    return means


def check_thumbnails(thumbnails: Thumbnails) -> None:
    """Refuse what are not thumbnails.

    Raises
    ------
    ValueError
        Wrong shape or dtype.
    """
    if thumbnails.dtype != np.uint8 or thumbnails.shape[1:] != (THUMBNAIL_SIDE, THUMBNAIL_SIDE):
        raise ValueError(
            f"thumbnails are {thumbnails.dtype} of shape {thumbnails.shape}: "
            f"expected uint8 (n, {THUMBNAIL_SIDE}, {THUMBNAIL_SIDE})"
        )


def pair_correlations(
    pairs: Int64Array, left: NormalisedThumbnails, right: NormalisedThumbnails
) -> Float32Array:
    """Pearson correlation of the normalised thumbnails of pairs.

    Parameters
    ----------
    pairs : ndarray of int64, shape (k, 2)
        Row in `left`, row in `right`.
    left, right : NormalisedThumbnails
        May be one and the same.

    Returns
    -------
    ndarray of float32, shape (k,)
        -1 to 1; 0 where either image is of one grey throughout, which resembles nothing.
    """
    i, j = pairs[:, 0], pairs[:, 1]
    products = np.empty(len(pairs), np.float32)
    for some in slices(len(pairs), PAIRS_AT_ONCE):
        # Whole numbers, the sums below 2^24: exact, and quicker than converting to float32 first.
        codes = left.codes.take(i[some], axis=0), right.codes.take(j[some], axis=0)
        products[some] = np.multiply(*codes, dtype=np.int16).sum(axis=1, dtype=np.int32)
    scale = left.lengths[i] * right.lengths[j]
    correlations = np.zeros_like(products)
    np.divide(products, scale, out=correlations, where=scale > 0)
    return correlations


def distinct_rows(rows: Int64Array, n: int) -> tuple[Int64Array, Int64Array]:
    """Find which row numbers occur, as `np.unique` does, without sorting.

    Parameters
    ----------
    rows : ndarray of int64, shape (k,)
        Row numbers, 0 to n - 1.
    n : int
        How many rows there are.

    Returns
    -------
    distinct : ndarray of int64
        Those that occur, ascending.
    positions : ndarray of int64, shape (k,)
        Place of each in `distinct`.
    """
    present = np.zeros(n, bool)
    present[rows] = True
    position = np.cumsum(present) - 1
    return np.flatnonzero(present), position[rows]


def tile_correlations(
    pairs: Int64Array, left: NormalisedThumbnails, right: NormalisedThumbnails
) -> Float32Array:
    """How well the tiles of pairs agree that agree best.

    Text, arrows and pasted panels spoil some tiles, not most; strangers whose ribs happen to run
    alike agree a little everywhere. Mean of two numbers: the median correlation of the 64 tiles of
    4 x 4 pixels, and the upper quartile of that of the 16 tiles of 8 x 8 pixels. Together they
    tell copies from strangers with twice the margin of either.

    Parameters
    ----------
    pairs, left, right
        As for `pair_correlations`.

    Returns
    -------
    ndarray of float32, shape (k,)
        -1 to 1; a tile of one grey counts as 0.
    """
    agreement = np.zeros(len(pairs), np.float32)
    for start in range(0, len(pairs), THUMBNAIL_CHUNK):
        rows = slice(start, start + THUMBNAIL_CHUNK)
        for side, share in TILES.items():
            a = _tiles(left.codes[pairs[rows, 0]], side)
            b = _tiles(right.codes[pairs[rows, 1]], side)
            correlations = np.einsum("ijk,ijk->ij", a, b)
            agreement[rows] += np.quantile(correlations, share, axis=1) / len(TILES)
    return agreement


def _tiles(codes: Int8Array, side: int) -> Float32Array:
    """Tiles of mean 0 and length 1, shape (n, tiles, side * side)."""
    across = THUMBNAIL_SIDE // side
    in_order = codes.reshape(len(codes), across, side, across, side).transpose(0, 1, 3, 2, 4)
    tiles = in_order.reshape(len(codes), across**2, side**2).astype(np.float32)
    tiles -= tiles.mean(axis=2, keepdims=True)
    lengths = np.linalg.norm(tiles, axis=2, keepdims=True)
    # Codes are whole numbers: what is shorter than 1 is rounding.
    ready: Float32Array = tiles / np.maximum(lengths, np.float32(1))
    return ready
