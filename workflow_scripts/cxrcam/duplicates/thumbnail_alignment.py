"""Correlation of thumbnails at the best crop and shift.

After local contrast normalisation, a copy that was cropped by 3 % correlates at 0.3 to 0.7 only,
like a stranger. Aligned, it correlates at 0.8 to 0.95.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.fft import rfft2

from workflow_scripts.cxrcam.arrays import Float32Array, Int64Array, UInt8Array
from workflow_scripts.cxrcam.data.fingerprints import THUMBNAIL_SIDE
from workflow_scripts.cxrcam.duplicates.thumbnail_correlation import (
    THUMBNAIL_CHUNK,
    check_thumbnails,
    distinct_rows,
    normalised_thumbnails,
)
from workflow_scripts.cxrcam.duplicates.thumbnail_views import Thumbnails
from workflow_scripts.cxrcam.workers import ALONE, Workers, slices

ComplexArray = npt.NDArray[np.complex64]

#: Shares of the width that a crop may have left: all, 1.5 % and 3 % cut on each side.
CROP_SCALES: Final = (1.0, 0.97, 0.94)
#: Displacements that are tried along each axis, in thumbnail pixels (3 % of the width). Steps of a
#: quarter: with steps of a half, two exposures of one patient score like copies.
SHIFTS: Final = np.arange(-6, 7) / 4
#: Images whose spectra are held at a time, of all crops: 214 MB.
HELD_SPECTRA: Final = 16_384
#: Spectra that are computed, and pairs that are aligned, at a time; they fit into the cache.
SPECTRA_AT_ONCE: Final = 256
PAIRS_AT_ONCE: Final = 64


def cropped_thumbnails(thumbnails: Thumbnails, scale: float) -> UInt8Array:
    """Cut the borders off thumbnails and enlarge what is left to the old size.

    Parameters
    ----------
    thumbnails : ndarray of uint8, shape (n, 32, 32)
        As from `fingerprints.thumbnail`.
    scale : float
        Share of the width and height that is left, above 0 and up to 1, in the centre.

    Returns
    -------
    ndarray of uint8, shape (n, 32, 32)
        Interpolated linearly.
    """
    check_thumbnails(thumbnails)
    if not 0 < scale <= 1:
        raise ValueError(f"scale is {scale}: it must be in (0, 1]")
    centre = (THUMBNAIL_SIDE - 1) / 2
    source = (np.arange(THUMBNAIL_SIDE) - centre) * scale + centre
    # Hat functions around the sources: linear interpolation as one matrix.
    distance = np.abs(source[:, None] - np.arange(THUMBNAIL_SIDE))
    weights = np.maximum(1 - distance, 0).astype(np.float32)
    cropped = np.empty(thumbnails.shape, np.uint8)
    for start in range(0, len(thumbnails), THUMBNAIL_CHUNK):
        rows = slice(start, start + THUMBNAIL_CHUNK)
        values = thumbnails[rows].astype(np.float32)
        cropped[rows] = np.rint(np.matmul(np.matmul(weights, values), weights.T))
    return cropped


def aligned_correlations(
    pairs: Int64Array, left: Thumbnails, right: Thumbnails, workers: Workers = ALONE
) -> Float32Array:
    """Correlation of pairs at the best crop of either image and the best shift.

    Either image is cropped as in `CROP_SCALES`, then shifted along both axes as in `SHIFTS`. All
    shifts come from one product of spectra; the thumbnails wrap around at their borders.

    Parameters
    ----------
    pairs : ndarray of int64, shape (k, 2)
        Row in `left`, row in `right`.
    left, right : ndarray of uint8, shapes (n, 32, 32) and (m, 32, 32)
        As from `fingerprints.thumbnail`. Where they are one and the same, (a, b) and (b, a) are
        aligned once.
    workers : Workers
        Threads that share the work.

    Returns
    -------
    ndarray of float32, shape (k,)
        -1 to 1; 0 where either image is of one grey throughout.
    """
    if not len(pairs):
        return np.empty(0, np.float32)
    # Both sets in one numbering.
    total = len(left) + len(right)
    ends = np.sort(pairs, axis=1) if left is right else pairs + np.array([0, len(left)])
    distinct, inverse = np.unique(ends[:, 0] * total + ends[:, 1], return_inverse=True)
    ends = np.stack(np.divmod(distinct, total), axis=1)
    best = np.empty(len(ends), np.float32)
    weights = _shift_weights()
    for group in _groups(ends):
        rows, places = distinct_rows(ends[group].ravel(), total)
        spectra = _spectra_of(rows, left, right, workers)
        i, j = places.reshape(-1, 2).T
        align = partial(_best_alignment, spectra, i, j, weights)
        best[group] = np.concatenate(list(workers.map(align, slices(len(group), PAIRS_AT_ONCE))))
    return best[inverse]


def _groups(ends: Int64Array) -> Iterator[Int64Array]:
    """Divide pairs so that each group has at most `HELD_SPECTRA` images, and few share one."""
    if len(np.unique(ends)) <= HELD_SPECTRA:
        yield np.arange(len(ends))
        return
    side = HELD_SPECTRA // 2
    tiles = ends // side
    order = np.lexsort((tiles[:, 1], tiles[:, 0]))
    starts = np.flatnonzero(np.diff(tiles[order], axis=0, prepend=-1).any(axis=1))
    group: list[Int64Array] = []
    # A tile of pairs has at most 2 x side images, and so have side pairs of any tiles.
    for tile in np.split(order, starts[1:]):
        if group and sum(map(len, group)) + len(tile) > side:
            yield np.concatenate(group)
            group = []
        group.append(tile)
    yield np.concatenate(group)


def _spectra_of(
    rows: Int64Array, left: Thumbnails, right: Thumbnails, workers: Workers
) -> ComplexArray:
    """Spectra of all crops of some images, shape (crops, rows, 17 * 32)."""
    spectra = np.empty(
        (len(CROP_SCALES), len(rows), (THUMBNAIL_SIDE // 2 + 1) * THUMBNAIL_SIDE), np.complex64
    )

    def transform(some: slice) -> None:
        of_left = rows[some][rows[some] < len(left)]
        of_right = rows[some][len(of_left) :] - len(left)
        thumbnails = np.concatenate([left[of_left], right[of_right]])
        for crop, scale in enumerate(CROP_SCALES):
            spectra[crop, some] = _spectra(
                thumbnails if scale == 1 else cropped_thumbnails(thumbnails, scale)
            )

    workers.do(transform, slices(len(rows), SPECTRA_AT_ONCE))
    return spectra


def _spectra(thumbnails: UInt8Array) -> ComplexArray:
    """Fourier transforms of normalised thumbnails of length 1, shape (n, 17 * 32)."""
    normalised = normalised_thumbnails(thumbnails)
    scale = np.where(normalised.lengths > 0, normalised.lengths, np.float32(1))
    values = normalised.codes.astype(np.float32) / scale[:, None]
    spectra = rfft2(values.reshape(len(values), THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    flat: ComplexArray = spectra.transpose(0, 2, 1).reshape(len(values), -1)
    return flat.astype(np.complex64, copy=False)


def _shift_weights() -> tuple[Float32Array, Float32Array]:
    """Matrices that turn a product of spectra into correlations at all shifts, axis by axis.

    Complex numbers are pairs of real ones. The first is for the second axis of the spectra and
    gives complex numbers, shape (64, 26); the other is for the first and gives real ones, (34, 13).
    """
    down = np.exp(2j * np.pi * np.outer(np.fft.fftfreq(THUMBNAIL_SIDE), SHIFTS))
    across = np.exp(2j * np.pi * np.outer(np.fft.rfftfreq(THUMBNAIL_SIDE), SHIFTS))
    # Half of a real picture's spectrum is stored: all but the ends stand for two.
    across[1:-1] *= 2
    first = np.empty((THUMBNAIL_SIDE, 2, len(SHIFTS), 2), np.float32)
    first[:, 0, :, 0], first[:, 0, :, 1] = down.real, down.imag
    first[:, 1, :, 0], first[:, 1, :, 1] = -down.imag, down.real
    second = np.stack([across.real, -across.imag], axis=1) / THUMBNAIL_SIDE**2
    return (
        first.reshape(2 * THUMBNAIL_SIDE, -1),
        second.reshape(2 * len(across), -1).astype(np.float32),
    )


def _best_alignment(
    spectra: ComplexArray,
    i: Int64Array,
    j: Int64Array,
    weights: tuple[Float32Array, Float32Array],
    some: slice,
) -> Float32Array:
    """Largest correlations of some pairs; `spectra` and `weights` as from the functions above."""

    def taken(crop: int, rows: Int64Array) -> ComplexArray:
        of_crop: ComplexArray = spectra[crop].take(rows[some], axis=0)
        return of_crop

    whole_left, whole_right = taken(0, i), taken(0, j).conj()
    best = _best_shift(whole_left, whole_right, weights)
    for crop in range(1, len(CROP_SCALES)):
        np.maximum(best, _best_shift(whole_left, taken(crop, j).conj(), weights), out=best)
        np.maximum(best, _best_shift(taken(crop, i), whole_right, weights), out=best)
    return best


def _best_shift(
    left: ComplexArray, conjugate_right: ComplexArray, weights: tuple[Float32Array, Float32Array]
) -> Float32Array:
    """Largest correlations of n pairs of spectra, shape (n, 17 * 32)."""
    down, across = weights
    n = len(left)
    products = (left * conjugate_right).view(np.float32).reshape(-1, len(down))
    along = (products @ down).view(np.complex64).reshape(n, len(across) // 2, -1)
    # Complex numbers are moved in half of the time of pairs of real ones.
    by_shift = np.ascontiguousarray(along.transpose(0, 2, 1)).view(np.float32)
    correlations = by_shift.reshape(-1, len(across)) @ across
    best: Float32Array = correlations.reshape(n, -1).max(axis=1)
    return best
