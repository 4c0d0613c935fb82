"""How alike two maps are: structural similarity and rank correlation, and what chance gives.

Used where maps should agree (two seeds, an image and its mirror image) and where they should not (a
trained network and one with randomised layers). Both need the similarity of maps of *different*
images beside them: maps of one network have much in common whatever they show.

Maps are compared on the image grid: place them first (`map_placement.place_map`). Each map is
divided by its largest absolute value, so that only its form counts, not its scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.ndimage import gaussian_filter

from workflow_scripts.cxrcam.arrays import BoolArray, Float64Array

Values = Literal["raw", "absolute", "positive"]

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


def structural_similarity(
    first: npt.ArrayLike, second: npt.ArrayLike, data_range: float
) -> Float64Array:
    """Mean structural similarity (SSIM) of pairs of images, with the Gaussian window.

    Parameters
    ----------
    first, second : float array, shape (n, height, width)
        Intensities, at least 0; at least 11 pixels a side.
    data_range : float
        Largest possible difference of two values, greater than 0.

    Returns
    -------
    ndarray of float64, shape (n,)
        In [-1, 1]; 1 exactly for equal images, constant ones included. The mean goes over the
        pixels whose window lies inside the image.

    Raises
    ------
    ValueError
        If shapes do not fit, images are smaller than the window, a value is negative or not
        finite, or `data_range` is not positive.

    References
    ----------
    Wang, Bovik, Sheikh & Simoncelli 2004, IEEE Trans Image Process 13:600-612; window 11 × 11,
    σ = 1.5, K1 = 0.01, K2 = 0.03, variances with the window's weights as they are.
    """
    one, two = _checked_pair(first, second)
    if not (np.isfinite(data_range) and data_range > 0.0):
        raise ValueError(f"data_range is {data_range}; it must be greater than 0")
    if min(one.min(initial=0.0), two.min(initial=0.0)) < 0.0:
        # Of signed values the luminance term and the structure term both change sign: an image
        # and its negative would be alike.
        raise ValueError("structural similarity is defined for intensities of 0 and more")
    if min(one.shape[1:]) < 2 * WINDOW_RADIUS + 1:
        raise ValueError(
            f"maps have {one.shape[1]} × {one.shape[2]} pixels, the window of the structural "
            "similarity 11 × 11: place the maps on the image grid first"
        )
    result = np.empty(len(one))
    for start in range(0, len(one), _BATCH):
        batch = slice(start, start + _BATCH)
        result[batch] = _batch_ssim(one[batch], two[batch], data_range)
    return result


def _batch_ssim(first: Float64Array, second: Float64Array, data_range: float) -> Float64Array:
    mean_1, mean_2 = _local_mean(first), _local_mean(second)
    variance_1 = _local_mean(first * first) - mean_1 * mean_1
    variance_2 = _local_mean(second * second) - mean_2 * mean_2
    covariance = _local_mean(first * second) - mean_1 * mean_2
    c1, c2 = (LUMINANCE_CONSTANT * data_range) ** 2, (CONTRAST_CONSTANT * data_range) ** 2
    index = ((2.0 * mean_1 * mean_2 + c1) * (2.0 * covariance + c2)) / (
        (mean_1 * mean_1 + mean_2 * mean_2 + c1) * (variance_1 + variance_2 + c2)
    )
    return np.asarray(index.mean(axis=(1, 2)), dtype=np.float64)


def _local_mean(images: Float64Array) -> Float64Array:
    """Gaussian mean around each pixel whose window lies inside, shape (n, h - 10, w - 10)."""
    smooth = gaussian_filter(images, WINDOW_SIGMA, axes=(1, 2), radius=WINDOW_RADIUS)
    inside = slice(WINDOW_RADIUS, -WINDOW_RADIUS)
    return np.asarray(smooth[:, inside, inside], dtype=np.float64)


def spearman_correlation(first: npt.ArrayLike, second: npt.ArrayLike) -> Float64Array:
    """Spearman's rank correlation over the pixels of pairs of maps; ties get their mean rank.

    Parameters
    ----------
    first, second : float array, shape (n, height, width)

    Returns
    -------
    ndarray of float64, shape (n,)
        In [-1, 1]. Never NaN: a constant map has no ranks, so the result is 0 where one map of the
        pair is constant, and 1 where both are: they agree in saying nothing.

    Raises
    ------
    ValueError
        If shapes do not fit or a value is not finite.
    """
    one, two = _checked_pair(first, second)
    flat_1, flat_2 = _is_constant(one), _is_constant(two)
    result = np.where(flat_1 & flat_2, 1.0, 0.0)
    ranked = np.flatnonzero(~(flat_1 | flat_2))
    for start in range(0, len(ranked), _BATCH):
        rows = ranked[start : start + _BATCH]
        ranks_1, ranks_2 = _centred_ranks(one[rows]), _centred_ranks(two[rows])
        products = (ranks_1 * ranks_2).sum(axis=1)
        norms = np.sqrt((ranks_1**2).sum(axis=1) * (ranks_2**2).sum(axis=1))
        result[rows] = np.clip(products / norms, -1.0, 1.0)
    return result


def _centred_ranks(maps: Float64Array) -> Float64Array:
    # As scipy.stats.rankdata, whose import takes longer than all ranks of a job.
    ranks = pd.DataFrame(maps.reshape(len(maps), -1)).rank(axis=1).to_numpy()
    return np.asarray(ranks - (ranks.shape[1] + 1) / 2.0, dtype=np.float64)


def compare_maps(first: npt.ArrayLike, second: npt.ArrayLike, values: Values = "raw") -> Similarity:
    """Similarity of pairs of maps, each divided by its largest absolute value.

    Parameters
    ----------
    first, second : float array, shape (n, height, width)
        Raw maps on the image grid, at least 11 pixels a side. n may be 0.
    values : {"raw", "absolute", "positive"}
        What is compared: the signed values (evidence for and against), their absolute values, or
        the positive part, which is what is drawn. Adebayo et al. 2018 report the first two, since
        a mere change of sign looks like a difference in the first and like none in the second.
        For the structural similarity raw values in [-1, 1] are moved to [0, 1], so that no
        evidence is a middle grey, as in a picture with diverging colours.

    Returns
    -------
    Similarity
        A blank map stays blank: two of them have SSIM 1 and rank correlation 1.

    Raises
    ------
    ValueError
        If shapes do not fit, maps are too small, a value is not finite, or `values` is unknown.
    """
    one, two = (_unit_maps(maps, values) for maps in _checked_pair(first, second))
    grey = [(maps + 1.0) / 2.0 if values == "raw" else maps for maps in (one, two)]
    return Similarity(
        ssim=structural_similarity(grey[0], grey[1], data_range=1.0),
        spearman=spearman_correlation(one, two),
        constant=_is_constant(one) | _is_constant(two),
    )


def random_pair_floor(
    maps: npt.ArrayLike,
    rng: np.random.Generator,
    values: Values = "raw",
    groups: npt.ArrayLike | None = None,
) -> Similarity:
    """Similarity of maps of different images: what maps that share nothing but a network give.

    Parameters
    ----------
    maps : float array, shape (n, height, width)
        Raw maps on the image grid, at least 11 pixels a side.
    rng : np.random.Generator
        Pairs the images at random; each image is once the first and once the second of a pair, and
        never paired with itself.
    values : {"raw", "absolute", "positive"}
        As in `compare_maps`.
    groups : array-like, shape (n,), optional
        Patients or clusters of duplicates; pairs within a group are left out.

    Returns
    -------
    Similarity
        Of at most n pairs; of none if there are fewer than two images or groups.

    Raises
    ------
    ValueError
        As `compare_maps`.
    """
    stack = _checked_pair(maps, maps)[0]
    order = rng.permutation(len(stack))
    partner = np.roll(order, 1)
    if groups is None:
        unrelated = order != partner
    else:
        names = np.asarray(groups)
        if names.shape != (len(stack),):
            raise ValueError(f"groups has shape {names.shape}, expected ({len(stack)},)")
        unrelated = names[order] != names[partner]
    return compare_maps(stack[order[unrelated]], stack[partner[unrelated]], values)


def flip_similarity(maps: npt.ArrayLike, maps_of_flipped: npt.ArrayLike) -> Similarity:
    """Whether the map of the mirror image is the mirror image of the map.

    Parameters
    ----------
    maps : float array, shape (n, height, width)
        Raw maps on the image grid. Not the cells of the network: their grid need not lie
        symmetrically on the image, and then the mirrored cells are other places.
    maps_of_flipped : float array, shape (n, height, width)
        Maps of the same images, each mirrored left to right before the network saw it.

    Returns
    -------
    Similarity
        Of each map with the other one mirrored back.
    """
    return compare_maps(maps, np.flip(np.asarray(maps_of_flipped), axis=-1))


def _checked_pair(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[Float64Array, Float64Array]:
    one, two = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.ndim != 3 or one.shape != two.shape or 0 in one.shape[1:]:
        raise ValueError(f"maps have shapes {one.shape} and {two.shape}, expected one (n, h, w)")
    for maps in (one, two):
        if not np.isfinite(maps).all():
            raise ValueError(f"a map holds {maps[~np.isfinite(maps)][0]}")
    return one, two


def _unit_maps(maps: Float64Array, values: Values) -> Float64Array:
    if values == "absolute":
        maps = np.abs(maps)
    elif values == "positive":
        maps = np.maximum(maps, 0.0)
    elif values != "raw":
        raise ValueError(f"values is {values!r}, none of 'raw', 'absolute', 'positive'")
    peak = np.abs(maps).max(axis=(1, 2), keepdims=True)
    return np.asarray(np.divide(maps, peak, out=np.zeros_like(maps), where=peak > 0.0))


def _is_constant(maps: Float64Array) -> BoolArray:
    spread = maps.max(axis=(1, 2)) - maps.min(axis=(1, 2))
    return np.asarray(spread <= CONSTANT * np.abs(maps).max(axis=(1, 2)))
