"""Faithfulness of maps: whether the answer hangs on the pixels that a map calls important.

Three tests change the hottest pixels of each image step by step and watch the probability of the
class:

- *insertion*: the hottest pixels of the image return to a blurred image; high is good;
- *deletion*: the hottest pixels are replaced by those of the blurred image; low is good;
- *ROAD*: as deletion, but the pixels are imputed from their surroundings (`linear_imputation`), so
  that the form of the removed area tells little; low is good.

None of them means anything without controls. ROAD favours blurry maps, and lungs lie in the middle
of the image: a map has to beat a blob in the centre, a blurred copy of itself, and random maps.

Petsiuk, Das & Saenko, "RISE", BMVC 2018; Rong et al., ICML 2022.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from workflow_scripts.cxrcam.arrays import Float32Array, Float64Array, Int64Array, UInt8Array
from workflow_scripts.cxrcam.map_tests.linear_imputation import impute
from workflow_scripts.cxrcam.map_tests.summaries import mean_interval
from workflow_scripts.cxrcam.maps.placement import upsample_map

ProbabilitiesOf = Callable[[UInt8Array], Float32Array]
Areas = Mapping[tuple[str, str], Float64Array]
"""Area under each image's curve, by test and map (see `assess_faithfulness`), shape (n,)."""

TESTS: Final = ("insertion", "deletion", "road")

FRACTIONS: Final = (0.1, 0.25, 0.5)
"""Shares of the pixels that are changed; 0 is always added."""

BLUR: Final = 0.05
"""Standard deviation of the blurred baseline as a share of the image's side."""

CENTRE_BLOB: Final = 0.25
"""Standard deviation of the central Gaussian control as a share of the image's side."""

CELLS: Final = 7
"""Cells a side of the random maps, as coarse as those of a network with stride 32; the blurred
control is smoothed with a standard deviation of one such cell."""

RANDOM_MAPS: Final = 8
"""Number of random maps, which are dealt to the images in turn. Images with the same map share one
factorisation in ROAD, which saves time; with several maps, no single lucky one decides."""


def hottest_first(heat: Float32Array, rng: np.random.Generator) -> Int64Array:
    """Positions of the pixels of each map in falling order of their heat.

    Parameters
    ----------
    heat : float array, shape (n, height, width)
        Raw maps on the image grid; negative values come last.
    rng : np.random.Generator
        Draws one order of the pixels, in which ties are broken in all maps: a blank or constant
        map is a random order of single pixels, not one from the upper left corner.

    Returns
    -------
    ndarray of int64, shape (n, height · width)

    Raises
    ------
    ValueError
        If a value is not finite.
    """
    if not np.isfinite(heat).all():
        raise ValueError(f"a map holds {heat[~np.isfinite(heat)][0]}")
    # In millionths of the peak: the rounding of an interpolation must not order a constant map.
    peak = np.abs(heat).max(axis=(1, 2), keepdims=True, initial=0.0)
    levels = np.rint(np.divide(heat, peak, out=np.zeros_like(heat), where=peak > 0.0) * 1e6)
    n_pixels = heat.shape[1] * heat.shape[2]
    shuffled = rng.permutation(n_pixels)
    falling = np.argsort(-levels.reshape(len(heat), n_pixels)[:, shuffled], axis=1, kind="stable")
    return np.asarray(shuffled[falling], dtype=np.int64)


def faithfulness_curves(
    test: str,
    pixels: UInt8Array,
    heat: Float32Array,
    classes: Int64Array,
    probabilities_of: ProbabilitiesOf,
    rng: np.random.Generator,
    fractions: Sequence[float] = FRACTIONS,
) -> Float64Array:
    """Probability of the class while the hottest pixels are changed.

    Parameters
    ----------
    test : {"insertion", "deletion", "road"}
    pixels : uint8 array, shape (n, size, size)
        May be empty (n = 0).
    heat : float32 array, shape (n, size, size)
        Raw maps on the image grid.
    classes : int array, shape (n,)
        Class of each image whose probability is watched, usually the predicted one.
    probabilities_of : callable
        ``probabilities_of(pixels) -> (n, classes)``, called once a fraction with uint8 images of
        the shape of `pixels`; it may work in batches.
    rng : np.random.Generator
        For ties and the noise of ROAD.
    fractions : sequence of float
        Shares of the pixels in (0, 1], ascending.

    Returns
    -------
    ndarray of float64, shape (n, 1 + number of fractions)
        The first column is that of the unchanged (insertion: blurred) image.

    Raises
    ------
    ValueError
        If a value of a map is not finite.
    """
    shares = (0.0, *fractions)
    if not len(pixels):
        return np.zeros((0, len(shares)))
    order = hottest_first(heat, rng)
    columns = [
        np.asarray(probabilities_of(changed), dtype=np.float64)[np.arange(len(pixels)), classes]
        for changed in _changed_images(test, pixels, order, shares, rng)
    ]
    return np.stack(columns, axis=1)


def _changed_images(
    test: str,
    pixels: UInt8Array,
    order: Int64Array,
    shares: Sequence[float],
    rng: np.random.Generator,
) -> Iterator[UInt8Array]:
    """Images of each step of a curve, in the order of the shares."""
    blurred = pixels if test == "road" else blurred_images(pixels)
    for share in shares:
        hottest = np.zeros(order.shape, dtype=bool)
        np.put_along_axis(hottest, order[:, : round(share * order.shape[1])], True, axis=1)
        masks = hottest.reshape(pixels.shape)
        if test == "road":
            yield impute(pixels, masks, rng)
        else:
            yield np.where(masks == (test == "insertion"), pixels, blurred)


def curve_areas(probabilities: Float64Array, fractions: Sequence[float]) -> Float64Array:
    """Area under each curve over its range of fractions, shape (n,).

    Trapezoids, divided by the range: the mean probability on the way, in [0, 1]. It is not the area
    up to 100 % unless the fractions reach 1.
    """
    area = np.trapezoid(probabilities, (0.0, *fractions), axis=1)
    return np.asarray(area / fractions[-1], dtype=np.float64)


def blurred_images(pixels: UInt8Array) -> UInt8Array:
    """Images without detail, the baseline of insertion and deletion; uint8 (n, size, size)."""
    smooth = gaussian_filter(
        pixels.astype(np.float32), BLUR * pixels.shape[1], axes=(1, 2), mode="nearest"
    )
    return np.asarray(np.clip(np.rint(smooth), 0, 255), dtype=np.uint8)


def control_maps(heat: Float32Array, rng: np.random.Generator) -> dict[str, Float32Array]:
    """Maps that know nothing of the network, or less than the map itself.

    Parameters
    ----------
    heat : float32 array, shape (n, size, size)
        Raw maps on the image grid.
    rng : np.random.Generator
        For the random maps.

    Returns
    -------
    dict of str to float32 array, each of shape (n, size, size)
        ``centre``: a Gaussian blob in the centre, the same for all; ``blurred``: the map itself,
        smoothed by one cell; ``random``: normal noise on `CELLS` × `CELLS` cells, enlarged
        bilinearly, `RANDOM_MAPS` different ones in turn.
    """
    n, size, _ = heat.shape
    offset = (np.arange(size) + 0.5) / size - 0.5
    profile = np.exp(-0.5 * (offset / CENTRE_BLOB) ** 2).astype(np.float32)
    noise = upsample_map(rng.standard_normal((RANDOM_MAPS, CELLS, CELLS)), size)
    return {
        "centre": np.broadcast_to(np.outer(profile, profile), heat.shape),
        "blurred": gaussian_filter(heat, size / CELLS, axes=(1, 2), mode="nearest"),
        "random": noise[np.arange(n) % RANDOM_MAPS],
    }


def assess_faithfulness(
    pixels: UInt8Array,
    heat: Float32Array,
    classes: Int64Array,
    probabilities_of: ProbabilitiesOf,
    rng: np.random.Generator,
    fractions: Sequence[float] = FRACTIONS,
) -> dict[tuple[str, str], Float64Array]:
    """Areas under the curves of the maps and of all controls.

    Parameters
    ----------
    pixels, heat, classes, probabilities_of, fractions
        As in `faithfulness_curves`.
    rng : np.random.Generator
        Draws controls, ties and noise. Ties and noise are the same for the maps and their
        controls, so that differences are paired.

    Returns
    -------
    dict
        `Areas` of each test for ``"map"``, ``"centre"``, ``"blurred"`` and ``"random"``.
    """
    maps = {"map": heat, **control_maps(heat, rng)}
    same_draws = int(rng.integers(2**63))
    # Every curve of a test begins with the same images: the network is asked once.
    known: dict[bytes, Float32Array] = {}

    def asked_once(changed: UInt8Array) -> Float32Array:
        key = hashlib.sha256(np.ascontiguousarray(changed).data).digest()
        if key not in known:
            known[key] = probabilities_of(changed)
        return known[key]

    areas = {}
    for test in TESTS:
        for name, placed in maps.items():
            draws = np.random.default_rng(same_draws)
            curves = faithfulness_curves(
                test, pixels, placed, classes, asked_once, draws, fractions
            )
            areas[test, name] = curve_areas(curves, fractions)
    return areas


def summarise_faithfulness(
    areas: Areas, *, groups: npt.ArrayLike | None, seed: int | np.random.SeedSequence
) -> list[dict[str, Any]]:
    """Mean areas and the paired advantage over each control, with bootstrap intervals.

    Parameters
    ----------
    areas : mapping
        From `assess_faithfulness`.
    groups, seed
        As in `intervals.bootstrap_interval`.

    Returns
    -------
    list of dict
        For each test and map: ``test``, ``map``, ``area`` (fields of `MeanInterval`), and
        ``advantage`` of the maps over this control, image by image, in units of the area: above 0
        the maps are the more faithful ones, whatever the test. None for the maps themselves.
    """

    def mean(values: Float64Array) -> dict[str, Any]:
        return asdict(mean_interval(values, groups=groups, seed=seed))

    rows = []
    for (test, name), area in areas.items():
        difference = areas[test, "map"] - area
        advantage = difference if test == "insertion" else -difference
        over = None if name == "map" else mean(advantage)
        rows.append({"test": test, "map": name, "area": mean(area), "advantage": over})
    return rows
