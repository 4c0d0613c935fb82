"""Correlation of thumbnails at the best crop and shift.

After local contrast normalisation, a copy that was cropped by 3 % correlates at 0.3 to 0.7 only,
like a stranger. Aligned, it correlates at 0.8 to 0.95.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.fft import rfft2

from workflow_scripts.cxrcam.data.fingerprints import THUMBNAIL_SIDE
from workflow_scripts.cxrcam.duplicates.thumbnail_correlation import (
    THUMBNAIL_CHUNK,
    check_thumbnails,
    distinct_rows,
    normalised_thumbnails,
)
from workflow_scripts.cxrcam.duplicates.thumbnail_views import Thumbnails

UInt8Array = npt.NDArray[np.uint8]
IndexArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
ComplexArray = npt.NDArray[np.complex64]

#: Shares of the width that a crop may have left: none cut, 1.5 % and 3 % cut on each side.
CROP_SCALES: Final = (1.0, 0.97, 0.94)
#: Displacements that are tried along each axis, in thumbnail pixels (3 % of the width). Steps of a
#: quarter: with steps of a half, two exposures of one patient score like copies.
SHIFTS: Final = np.arange(-6, 7) / 4
#: Pairs that are aligned at a time: their images' spectra take up to 3 x 71 MB.
ALIGNMENT_CHUNK: Final = 16_384
#: Products of spectra at a time; they fit into the cache.
SPECTRUM_CHUNK: Final = 512


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


def aligned_correlations(pairs: IndexArray, left: Thumbnails, right: Thumbnails) -> FloatArray:
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
        i, rows_left = distinct_rows(pairs[part, 0], len(left))
        j, rows_right = distinct_rows(pairs[part, 1], len(right))
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
