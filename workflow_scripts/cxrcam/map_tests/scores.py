"""Where the evidence of a map lies: in the lungs, at the border, on the lesion.

Each score comes with its chance level, what a map without any preference for a place would give,
because a share of 30 % inside lungs that fill 30 % of the image says nothing.

Convention for all functions here: heat is a *raw* map, centred over the classes
(`raw_maps.read_evidence_maps`), that was placed on the image grid (`placement.place_map`). Its
positive part is evidence for the class and is taken here; negative values count as no evidence. No
score depends on the scale of a map. An image whose map has no positive value anywhere makes no
claim about a place, and one whose region is empty cannot be scored; both are counted, carry the
value 0 and stay out of every mean. No score is ever NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.ndimage import distance_transform_edt

from workflow_scripts.cxrcam.arrays import BoolArray, Float32Array, Float64Array
from workflow_scripts.cxrcam.images.covering import BORDER_WIDTH, border_mask

TIE: Final = 1e-6
"""Pixels that differ by less than this share of the map's maximum count as equal: the rounding of
an interpolated map must not pick a winner."""


@dataclass(frozen=True)
class MapScore:
    """One score of n maps.

    Attributes
    ----------
    values : float64 array, shape (n,)
        Scores in [0, 1]; 0 where not `scored`.
    chance : float64 array, shape (n,)
        What a map without preference for a place would give; 0 where the region is empty.
    without_energy : bool array, shape (n,)
        Images whose map has no positive value.
    without_region : bool array, shape (n,)
        Images whose mask is empty.
    """

    values: Float64Array
    chance: Float64Array
    without_energy: BoolArray
    without_region: BoolArray

    @property
    def scored(self) -> BoolArray:
        """Images that have both positive energy and a region, shape (n,)."""
        return ~(self.without_energy | self.without_region)


def _positive_part(heat: Float32Array) -> Float32Array:
    if not np.isfinite(heat).all():
        raise ValueError(f"a map holds {heat[~np.isfinite(heat)][0]}")
    return np.maximum(heat, np.float32(0.0))


def _is_empty(masks: BoolArray) -> BoolArray:
    return np.asarray(~masks.any(axis=(1, 2)), dtype=bool)


def _area_share(masks: BoolArray) -> Float64Array:
    """Share of the image that each mask covers, shape (n,)."""
    return np.asarray(masks.mean(axis=(1, 2)), dtype=np.float64)


def energy_share(heat: Float32Array, masks: BoolArray) -> MapScore:
    """Share of the positive map energy that lies inside a mask.

    Parameters
    ----------
    heat : float32 array, shape (n, size, size)
        Raw maps on the image grid.
    masks : bool array, shape (n, size, size)

    Returns
    -------
    MapScore
        Chance is the mask's share of the area.

    Raises
    ------
    ValueError
        If a value is not finite.

    References
    ----------
    Energy-based pointing game of Wang et al. 2020 (Score-CAM, CVPR workshops); the same number is
    the relevance mass accuracy of Arras, Osman & Samek 2022, Information Fusion 81:14-40.
    """
    positive = _positive_part(heat)
    total = positive.sum(axis=(1, 2), dtype=np.float64)
    inside = positive.sum(axis=(1, 2), dtype=np.float64, where=masks)
    blank, missing = total == 0.0, _is_empty(masks)
    share = np.divide(inside, total, out=np.zeros_like(total), where=~(blank | missing))
    return MapScore(share, _area_share(masks), blank, missing)


def border_share(heat: Float32Array) -> MapScore:
    """Share of the positive map energy in the ring along the edges, see `covering.border_mask`.

    Parameters, result and errors are those of `energy_share` with the ring as mask of every image.
    """
    ring = border_mask(heat.shape[1], BORDER_WIDTH)
    return energy_share(heat, np.broadcast_to(ring, heat.shape))


def dilate(masks: BoolArray, radius: float) -> BoolArray:
    """Masks grown by all pixels whose centre lies within `radius` of a pixel of the mask.

    Parameters
    ----------
    masks : bool array, shape (n, height, width)
    radius : float
        Euclidean distance in pixels; 0 leaves the masks as they are.

    Returns
    -------
    ndarray of bool, same shape
        An empty mask stays empty.
    """
    if radius == 0.0 or not masks.any():
        return masks
    # One transform for the whole stack: neighbouring images lie farther apart than anything
    # within an image or the radius, so that no image sees the mask of another.
    apart = 2.0 * (sum(masks.shape[1:]) + radius)
    distance = distance_transform_edt(~masks, sampling=(apart, 1.0, 1.0))
    return np.asarray(distance <= radius)


def pointing_game(
    heat: Float32Array, lesions: BoolArray, tolerance_pixels: float = 0.0
) -> MapScore:
    """Whether the maximum of a map lies on the lesion.

    Parameters
    ----------
    heat : float32 array, shape (n, size, size)
        Raw maps on the image grid.
    lesions : bool array, shape (n, size, size)
    tolerance_pixels : float, default 0
        A maximum that misses the lesion by no more than this still hits. The paper allows 15
        pixels in images of full size; scale it with `size`.

    Returns
    -------
    MapScore
        1 hit, 0 miss. Where several pixels share the maximum, the share of them that hit: a
        constant map scores its chance level. Chance is the area share of the lesion, grown by the
        same tolerance.

    Raises
    ------
    ValueError
        If a value is not finite.

    References
    ----------
    Zhang et al. 2018, Top-down neural attention by excitation backprop, IJCV 126:1084-1102.
    """
    positive = _positive_part(heat)
    target = dilate(lesions, tolerance_pixels)
    peak = positive.max(axis=(1, 2), keepdims=True)
    highest = positive >= peak * np.float32(1.0 - TIE)
    hits = (highest & target).sum(axis=(1, 2)) / highest.sum(axis=(1, 2))
    blank, missing = peak[:, 0, 0] == 0.0, _is_empty(target)
    return MapScore(np.where(blank | missing, 0.0, hits), _area_share(target), blank, missing)


def intersection_over_union(heat: Float32Array, lesions: BoolArray) -> MapScore:
    """Overlap of the lesion with the hottest area of the same size.

    The a hottest pixels are taken, a being the area of the lesion in pixels, so that no threshold
    has to be chosen. With t the share of them on the lesion, which is the relevance rank accuracy
    of Arras, Osman & Samek 2022 (Information Fusion 81:14-40), the result is t / (2 − t).

    Parameters
    ----------
    heat : float32 array, shape (n, size, size)
        Raw maps on the image grid. Only positive pixels are taken: a map with fewer than a of them
        is compared with its smaller area.
    lesions : bool array, shape (n, size, size)

    Returns
    -------
    MapScore
        In [0, 1]. Pixels that tie for the last places enter with equal parts, so that a constant
        map scores its chance level s / (2 − s), s being the lesion's share of the area.

    Raises
    ------
    ValueError
        If a value is not finite.
    """
    positive = _positive_part(heat)
    maps = positive.reshape(len(positive), positive[0].size if len(positive) else 1)
    marked = lesions.reshape(maps.shape)
    area = marked.sum(axis=1)
    ascending = np.sort(maps, axis=1)
    last_place = np.clip(maps.shape[1] - area, 0, maps.shape[1] - 1)
    threshold = np.take_along_axis(ascending, last_place[:, None], axis=1)
    slack = np.float32(TIE) * ascending[:, -1:]
    above = maps > threshold + slack
    # A threshold of 0 means fewer than `area` positive pixels: zeros are not taken to fill up.
    tied = (maps >= threshold - slack) & ~above & (maps > 0.0)
    n_above, n_tied = above.sum(axis=1), tied.sum(axis=1)
    part = np.divide(
        np.minimum(area - n_above, n_tied), n_tied, out=np.zeros(len(maps)), where=n_tied > 0
    )
    taken = n_above + part * n_tied
    common = (above & marked).sum(axis=1) + part * (tied & marked).sum(axis=1)
    blank, missing = ascending[:, -1] == 0.0, _is_empty(lesions)
    scored = ~(blank | missing)
    overlap = np.divide(common, taken + area - common, out=np.zeros(len(maps)), where=scored)
    share = _area_share(lesions)
    return MapScore(overlap, share / (2.0 - share), blank, missing)
