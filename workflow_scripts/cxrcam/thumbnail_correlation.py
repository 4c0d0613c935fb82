"""Correlation of thumbnails after local contrast normalisation.

Plain correlation cannot tell copies: different children correlate at up to 0.971, while true copies
with changed contrast fall to 0.91. Local contrast normalisation keeps ribs and vessels, which are
personal, and drops what all chests share.

It also makes the correlation fall off within half a thumbnail pixel: a copy that was cropped by 3 %
correlates at 0.3 to 0.7. Hence the second measure, the correlation at the best crop and shift.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.fft import rfft2
from scipy.ndimage import uniform_filter

from workflow_scripts.cxrcam.fingerprints import THUMBNAIL_SIDE

UInt8Array = npt.NDArray[np.uint8]
IndexArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
Int8Array = npt.NDArray[np.int8]
ComplexArray = npt.NDArray[np.complex64]

#: Window of the local contrast normalisation, in thumbnail pixels.
NORMALISATION_WINDOW: Final = 3
#: Local contrast, in grey levels, below which structure counts as noise and is damped.
NORMALISATION_FLOOR: Final = 4.0
#: No normalised value exceeds the window's side (one bright pixel in a flat window), so that this
#: factor fills the range of int8.
NORMALISATION_SCALE: Final = 127.0 / NORMALISATION_WINDOW

#: Thumbnails that are turned into float32 at a time: 16 MB.
THUMBNAIL_CHUNK: Final = 4096

#: Pairs that are correlated at a time.
PAIR_CHUNK: Final = 262_144
#: Multiplying all rows by all columns is quicker than gathering pairs where at least one in so many
#: is wanted (measured: 0.03 against 2.4 microseconds a pair), in tables of up to 40 MB.
DENSE_FACTOR: Final = 40
#: Columns of such a table, as float32: 128 MB.
DENSE_COLUMNS: Final = 32_768
#: Side of the tiles that are compared one by one, in thumbnail pixels.
TILE_SIDE: Final = 4

#: Shares of the width that a crop may have left: none cut, 1.5 % and 3 % cut on each side.
CROP_SCALES: Final = (1.0, 0.97, 0.94)
#: Displacements that are tried along each axis, in thumbnail pixels (3 % of the width). Steps of a
#: quarter: with steps of a half, two exposures of one patient score like copies.
SHIFTS: Final = np.arange(-6, 7) / 4
#: Pairs that are aligned at a time: their images' spectra take up to 2 x 36 MB.
ALIGNMENT_CHUNK: Final = 4096
#: Products of spectra at a time; they fit into the cache.
SPECTRUM_CHUNK: Final = 512


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

    codes: npt.NDArray[np.int8]
    lengths: FloatArray


def normalised_thumbnails(thumbnails: UInt8Array) -> NormalisedThumbnails:
    """Normalise the local contrast of thumbnails.

    From each pixel, the mean of its 3 x 3 neighbourhood is taken away; the rest is divided by its
    root mean square over the same neighbourhood plus 4 grey levels (Jarrett et al., ICCV 2009).
    Brightness, contrast and the large shapes that all chests share vanish.

    Parameters
    ----------
    thumbnails : ndarray of uint8, shape (n, 32, 32)
        As from `fingerprints.thumbnail`.

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
    window = (0, NORMALISATION_WINDOW, NORMALISATION_WINDOW)
    for start in range(0, len(thumbnails), THUMBNAIL_CHUNK):
        rows = slice(start, start + THUMBNAIL_CHUNK)
        values = thumbnails[rows].astype(np.float32)
        detail = values - uniform_filter(values, window, mode="reflect")
        # The running sums of the filter may leave a tiny negative.
        power = np.maximum(uniform_filter(detail**2, window, mode="reflect"), 0.0)
        normalised = detail / (np.sqrt(power) + np.float32(NORMALISATION_FLOOR))
        normalised = normalised.reshape(len(values), -1)
        normalised -= normalised.mean(axis=1, keepdims=True)
        scaled = np.clip(np.rint(normalised * NORMALISATION_SCALE), -127, 127)
        codes[rows] = scaled
        lengths[rows] = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))
    return NormalisedThumbnails(codes, lengths)


def check_thumbnails(thumbnails: UInt8Array) -> None:
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
    pairs: IndexArray, left: NormalisedThumbnails, right: NormalisedThumbnails
) -> FloatArray:
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
    correlations = np.empty(len(pairs), np.float32)
    for start in range(0, len(pairs), PAIR_CHUNK):
        rows = slice(start, start + PAIR_CHUNK)
        i, j = pairs[rows, 0], pairs[rows, 1]
        scale = left.lengths[i] * right.lengths[j]
        products = _products(i, j, left.codes, right.codes)
        correlations[rows] = np.divide(
            products, scale, out=np.zeros_like(products), where=scale > 0
        )
    return correlations


def _products(i: IndexArray, j: IndexArray, left: Int8Array, right: Int8Array) -> FloatArray:
    """Inner products of rows ``left[i]`` and ``right[j]``."""
    wanted_left, rows_left = np.unique(i, return_inverse=True)
    wanted_right, rows_right = np.unique(j, return_inverse=True)
    all_pairs = len(wanted_left) * len(wanted_right)
    if all_pairs <= DENSE_FACTOR * len(i) and len(wanted_right) <= DENSE_COLUMNS:
        table = left[wanted_left].astype(np.float32) @ right[wanted_right].astype(np.float32).T
        chosen: FloatArray = table[rows_left, rows_right]
        return chosen
    products = np.empty(len(i), np.float32)
    for start in range(0, len(i), THUMBNAIL_CHUNK):
        rows = slice(start, start + THUMBNAIL_CHUNK)
        products[rows] = np.einsum(
            "ij,ij->i", left[i[rows]].astype(np.float32), right[j[rows]].astype(np.float32)
        )
    return products


def tile_correlations(
    pairs: IndexArray, left: NormalisedThumbnails, right: NormalisedThumbnails
) -> FloatArray:
    """Median over tiles of 4 x 4 pixels of the correlation within the tile.

    Text, arrows and pasted panels spoil some tiles, not most; strangers whose ribs happen to run
    alike agree a little everywhere.

    Parameters
    ----------
    pairs, left, right
        As for `pair_correlations`.

    Returns
    -------
    ndarray of float32, shape (k,)
        -1 to 1; a tile of one grey counts as 0.
    """
    medians = np.empty(len(pairs), np.float32)
    for start in range(0, len(pairs), THUMBNAIL_CHUNK):
        rows = slice(start, start + THUMBNAIL_CHUNK)
        a, b = _tiles(left.codes[pairs[rows, 0]]), _tiles(right.codes[pairs[rows, 1]])
        medians[rows] = np.median(np.einsum("ijk,ijk->ij", a, b), axis=1)
    return medians


def _tiles(codes: Int8Array) -> FloatArray:
    """Tiles of mean 0 and length 1, shape (n, 64, 16)."""
    tiles_across = THUMBNAIL_SIDE // TILE_SIDE
    shape = (len(codes), tiles_across, TILE_SIDE, tiles_across, TILE_SIDE)
    in_order = codes.reshape(shape).transpose(0, 1, 3, 2, 4)
    tiles = in_order.reshape(len(codes), tiles_across**2, TILE_SIDE**2).astype(np.float32)
    tiles -= tiles.mean(axis=2, keepdims=True)
    lengths = np.linalg.norm(tiles, axis=2, keepdims=True)
    # Codes are whole numbers: what is shorter than 1 is rounding.
    ready: FloatArray = tiles / np.maximum(lengths, np.float32(1))
    return ready


def cropped_thumbnails(thumbnails: UInt8Array, scale: float) -> UInt8Array:
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
    cropped = np.empty_like(thumbnails)
    for start in range(0, len(thumbnails), THUMBNAIL_CHUNK):
        rows = slice(start, start + THUMBNAIL_CHUNK)
        values = thumbnails[rows].astype(np.float32)
        cropped[rows] = np.rint(np.matmul(np.matmul(weights, values), weights.T))
    return cropped


def aligned_correlations(pairs: IndexArray, left: UInt8Array, right: UInt8Array) -> FloatArray:
    """Correlation of pairs at the best crop of either image and the best shift.

    Either image is cropped as in `CROP_SCALES`, then shifted along both axes as in `SHIFTS`. All
    shifts come from one product of spectra; the thumbnails wrap around at their borders.

    Parameters
    ----------
    pairs : ndarray of int64, shape (k, 2)
        Row in `left`, row in `right`.
    left, right : ndarray of uint8, shapes (n, 32, 32) and (m, 32, 32)
        As from `fingerprints.thumbnail`.

    Returns
    -------
    ndarray of float32, shape (k,)
        -1 to 1; 0 where either image is of one grey throughout.
    """
    best = np.full(len(pairs), -1, np.float32)
    for start in range(0, len(pairs), ALIGNMENT_CHUNK):
        part = slice(start, start + ALIGNMENT_CHUNK)
        i, rows_left = np.unique(pairs[part, 0], return_inverse=True)
        j, rows_right = np.unique(pairs[part, 1], return_inverse=True)
        whole_left, whole_right = _spectra(left[i]), _spectra(right[j])
        for scale in CROP_SCALES:
            cropped = whole_left if scale == 1 else _spectra(cropped_thumbnails(left[i], scale))
            _raise_to_best_shift(best[part], cropped, whole_right, rows_left, rows_right)
            if scale != 1:
                cropped = _spectra(cropped_thumbnails(right[j], scale))
                _raise_to_best_shift(best[part], whole_left, cropped, rows_left, rows_right)
    return best


def _spectra(thumbnails: UInt8Array) -> ComplexArray:
    """Fourier transforms of normalised thumbnails of length 1, shape (n, 32 * 17)."""
    normalised = normalised_thumbnails(thumbnails)
    scale = np.where(normalised.lengths > 0, normalised.lengths, np.float32(1))
    values = normalised.codes.astype(np.float32) / scale[:, None]
    spectra = rfft2(values.reshape(len(values), THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    flat: ComplexArray = spectra.reshape(len(values), -1).astype(np.complex64, copy=False)
    return flat


def _shift_weights() -> FloatArray:
    """Matrix that turns a product of spectra, as real numbers, into correlations at all shifts."""
    down = np.exp(2j * np.pi * np.outer(np.fft.fftfreq(THUMBNAIL_SIDE), SHIFTS))
    across = np.exp(2j * np.pi * np.outer(np.fft.rfftfreq(THUMBNAIL_SIDE), SHIFTS))
    # Half of a real picture's spectrum is stored: all but the ends stand for two.
    twice = np.full(len(across), 2.0)
    twice[[0, -1]] = 1.0
    phases = np.einsum("ys,xt,x->yxst", down, across, twice).reshape(-1, len(SHIFTS) ** 2)
    weights = np.empty((2 * len(phases), len(SHIFTS) ** 2), np.float32)
    weights[0::2] = phases.real / THUMBNAIL_SIDE**2
    weights[1::2] = -phases.imag / THUMBNAIL_SIDE**2
    return weights


def _raise_to_best_shift(
    best: FloatArray, left: ComplexArray, right: ComplexArray, i: IndexArray, j: IndexArray
) -> None:
    """Raise each value to the largest correlation of spectra ``left[i]`` with ``right[j]``."""
    weights = _shift_weights()
    for start in range(0, len(best), SPECTRUM_CHUNK):
        rows = slice(start, start + SPECTRUM_CHUNK)
        product = left[i[rows]] * right[j[rows]].conj()
        np.maximum(best[rows], (product.view(np.float32) @ weights).max(axis=1), out=best[rows])
