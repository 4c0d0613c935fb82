"""How alike two maps are: structural similarity and rank correlation, and what chance gives.

Used where maps should agree (two seeds, an image and its mirror image) and where they should not (a
trained network and one with randomised layers). Both need the similarity of maps of *different*
images beside them: maps of one network have much in common whatever they show.

Maps are compared on the image grid: place them first (`placement.place_map`). Each map is
divided by its largest absolute value, so that only its form counts, not its scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.ndimage import gaussian_filter

from workflow_scripts.cxrcam.arrays import BoolArray, Float64Array

WINDOW_SIGMA: Final = 1.5
"""Standard deviation of the Gaussian window in pixels (Wang et al. 2004)."""

WINDOW_RADIUS: Final = 5
"""The window has 11 × 11 pixels (Wang et al. 2004)."""

LUMINANCE_CONSTANT: Final = 0.01
CONTRAST_CONSTANT: Final = 0.03

CONSTANT: Final = 1e-6
"""A map whose values differ by less than this share of the largest one is constant: what is left
is the rounding of an interpolation, and its ranks would be noise."""

# Maps compared at once: bounds the memory of the float64 intermediates, changes no result.
_BATCH = 32


COMPARISON_SIDE: Final = 56
"""Pixels a side on which maps are compared: several a cell, and smooth beyond that."""


@dataclass(frozen=True)
class Similarity:
    """Similarity of n pairs of maps.

    Attributes
    ----------
    ssim : float64 array, shape (n,)
        Structural similarity, in [-1, 1]; 1 for equal maps.
    spearman : float64 array, shape (n,)
        Rank correlation over pixels, in [-1, 1].
    constant : bool array, shape (n,)
        Pairs of which at least one map is constant, so that it has no ranks.
    """

    ssim: Float64Array
    spearman: Float64Array
    constant: BoolArray


def structural_similarity(first: Float64Array, second: Float64Array) -> Float64Array:
    """Mean structural similarity (SSIM) of pairs of images, with the Gaussian window.

    Parameters
    ----------
    first, second : float64 array, shape (n, height, width)
        Intensities in [0, 1]: of signed values the luminance term and the structure term both
        change sign, so that an image and its negative would be alike. At least 11 pixels a side.

    Returns
    -------
    ndarray of float64, shape (n,)
        In [-1, 1]; 1 exactly for equal images, constant ones included. The mean goes over the
        pixels whose window lies inside the image.

    Raises
    ------
    ValueError
        If images are smaller than the window.

    References
    ----------
    Wang, Bovik, Sheikh & Simoncelli 2004, IEEE Trans Image Process 13:600-612; window 11 × 11,
    σ = 1.5, K1 = 0.01, K2 = 0.03, variances with the window's weights as they are.
    """
    if min(first.shape[1:]) < 2 * WINDOW_RADIUS + 1:
        raise ValueError(
            f"maps have {first.shape[1]} × {first.shape[2]} pixels, the window of the structural "
            "similarity 11 × 11: place the maps on the image grid first"
        )
    result = np.empty(len(first))
    for start in range(0, len(first), _BATCH):
        batch = slice(start, start + _BATCH)
        result[batch] = _batch_ssim(first[batch], second[batch])
    return result


def _batch_ssim(first: Float64Array, second: Float64Array) -> Float64Array:
    mean_1, mean_2 = _local_mean(first), _local_mean(second)
    variance_1 = _local_mean(first * first) - mean_1 * mean_1
    variance_2 = _local_mean(second * second) - mean_2 * mean_2
    covariance = _local_mean(first * second) - mean_1 * mean_2
    c1, c2 = LUMINANCE_CONSTANT**2, CONTRAST_CONSTANT**2
    index = ((2.0 * mean_1 * mean_2 + c1) * (2.0 * covariance + c2)) / (
        (mean_1 * mean_1 + mean_2 * mean_2 + c1) * (variance_1 + variance_2 + c2)
    )
    return np.asarray(index.mean(axis=(1, 2)), dtype=np.float64)


def _local_mean(images: Float64Array) -> Float64Array:
    """Gaussian mean around each pixel whose window lies inside, shape (n, h - 10, w - 10)."""
    smooth = gaussian_filter(images, WINDOW_SIGMA, axes=(1, 2), radius=WINDOW_RADIUS)
    inside = slice(WINDOW_RADIUS, -WINDOW_RADIUS)
    return np.asarray(smooth[:, inside, inside], dtype=np.float64)


def spearman_correlation(first: Float64Array, second: Float64Array) -> Float64Array:
    """Spearman's rank correlation over the pixels of pairs of maps; ties get their mean rank.

    Parameters
    ----------
    first, second : float64 array, shape (n, height, width)

    Returns
    -------
    ndarray of float64, shape (n,)
        In [-1, 1]. Never NaN: a constant map has no ranks, so the result is 0 where one map of the
        pair is constant, and 1 where both are: they agree in saying nothing.
    """
    flat_1, flat_2 = _is_constant(first), _is_constant(second)
    result = np.where(flat_1 & flat_2, 1.0, 0.0)
    ranked = np.flatnonzero(~(flat_1 | flat_2))
    for start in range(0, len(ranked), _BATCH):
        rows = ranked[start : start + _BATCH]
        ranks_1, ranks_2 = _centred_ranks(first[rows]), _centred_ranks(second[rows])
        products = (ranks_1 * ranks_2).sum(axis=1)
        norms = np.sqrt((ranks_1**2).sum(axis=1) * (ranks_2**2).sum(axis=1))
        result[rows] = np.clip(products / norms, -1.0, 1.0)
    return result


def _centred_ranks(maps: Float64Array) -> Float64Array:
    # As scipy.stats.rankdata, whose import takes longer than all ranks of a job.
    ranks = pd.DataFrame(maps.reshape(len(maps), -1)).rank(axis=1).to_numpy()
    return np.asarray(ranks - (ranks.shape[1] + 1) / 2.0, dtype=np.float64)


def compare_maps(first: npt.ArrayLike, second: npt.ArrayLike) -> Similarity:
    """Similarity of pairs of maps, each divided by its largest absolute value.

    Parameters
    ----------
    first, second : float array, shape (n, height, width)
        Raw maps on the image grid, at least 11 pixels a side. n may be 0. For the structural
        similarity values in [-1, 1] are moved to [0, 1], so that no evidence is a middle grey, as
        in a picture with diverging colours.

    Returns
    -------
    Similarity
        A blank map stays blank: two of them have SSIM 1 and rank correlation 1.

    Raises
    ------
    ValueError
        If shapes do not fit, maps are too small, or a value is not finite.
    """
    one, two = (_unit_maps(np.asarray(maps, dtype=np.float64)) for maps in (first, second))
    if one.shape != two.shape:
        raise ValueError(f"maps have shapes {one.shape} and {two.shape}, expected one (n, h, w)")
    return Similarity(
        ssim=structural_similarity((one + 1.0) / 2.0, (two + 1.0) / 2.0),
        spearman=spearman_correlation(one, two),
        constant=_is_constant(one) | _is_constant(two),
    )


def random_pair_floor(
    maps: npt.ArrayLike, rng: np.random.Generator, groups: npt.ArrayLike | None = None
) -> Similarity:
    """Similarity of maps of different images: what maps that share nothing but a network give.

    Parameters
    ----------
    maps : float array, shape (n, height, width)
        As in `compare_maps`.
    rng : np.random.Generator
        Pairs the images at random; each image is once the first and once the second of a pair, and
        never paired with itself.
    groups : array-like, shape (n,), optional
        Patients or clusters of duplicates; pairs within a group are left out.

    Returns
    -------
    Similarity
        Of at most n pairs; of none if there are fewer than two images or groups.
    """
    stack = np.asarray(maps)
    names = np.arange(len(stack)) if groups is None else np.asarray(groups)
    order = rng.permutation(len(stack))
    partner = np.roll(order, 1)
    unrelated = names[order] != names[partner]
    return compare_maps(stack[order[unrelated]], stack[partner[unrelated]])


def _unit_maps(maps: Float64Array) -> Float64Array:
    if not np.isfinite(maps).all():
        raise ValueError(f"a map holds {maps[~np.isfinite(maps)][0]}")
    peak = np.abs(maps).max(axis=(1, 2), keepdims=True)
    return np.asarray(np.divide(maps, peak, out=np.zeros_like(maps), where=peak > 0.0))


def _is_constant(maps: Float64Array) -> BoolArray:
    spread = maps.max(axis=(1, 2)) - maps.min(axis=(1, 2))
    return np.asarray(spread <= CONSTANT * np.abs(maps).max(axis=(1, 2)))
