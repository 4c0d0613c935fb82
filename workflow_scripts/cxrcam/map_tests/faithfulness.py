"""Faithfulness of maps: whether the answer hangs on the pixels that a map calls important.

Three tests change the hottest pixels of each image step by step and watch the probability of the
class:

- *insertion*: the hottest pixels of the image return to a blurred image; high is good;
- *deletion*: the hottest pixels are replaced by those of the blurred image; low is good;
- *ROAD*: as deletion, but the pixels are imputed from their surroundings (`linear_imputation`), so
  that the form of the removed area tells little; low is good. With ``-heat`` the coldest pixels go
  first.

None of them means anything without controls. ROAD favours blurry maps, and lungs lie in the middle
of the image: a map has to beat a blob in the centre, a blurred copy of itself, and random maps.

Petsiuk, Das & Saenko, "RISE", BMVC 2018; Rong et al., ICML 2022.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from workflow_scripts.cxrcam.arrays import Float32Array, Float64Array, Int64Array, UInt8Array
from workflow_scripts.cxrcam.map_tests.linear_imputation import impute
from workflow_scripts.cxrcam.map_tests.summaries import MeanInterval, mean_interval
from workflow_scripts.cxrcam.maps.placement import upsample_map

Test = Literal["insertion", "deletion", "road"]
ProbabilitiesOf = Callable[[UInt8Array], npt.ArrayLike]

TESTS: Final[tuple[Test, ...]] = get_args(Test)

FRACTIONS: Final = (0.05, 0.1, 0.2, 0.3, 0.5)
"""Shares of the pixels that are changed; 0 is always added."""

MAX_IMAGES: Final = 64
"""Images that are assessed unless told otherwise: ROAD solves a system for each and each share."""

BLUR: Final = 0.05
"""Standard deviation of the blurred baseline as a share of the image's side."""

CENTRE_BLOB: Final = 0.25
"""Standard deviation of the central Gaussian control as a share of the image's side."""

CELLS: Final = 7
"""Cells a side of the random maps, as coarse as those of a network with stride 32; the blurred
control is smoothed with a standard deviation of one such cell."""

RANDOM_MAPS: Final = 8
"""Different random maps, dealt out to the images in turn: images that share one share the
factorisation of ROAD, and several keep one lucky draw from deciding."""


@dataclass(frozen=True)
class Curves:
    """Probability of the class as pixels are changed.

    Attributes
    ----------
    fractions : float64 array, shape (k,)
        Shares of the pixels, ascending, beginning with 0.
    probabilities : float64 array, shape (n, k)
    """

    fractions: Float64Array
    probabilities: Float64Array

    @property
    def areas(self) -> Float64Array:
        """Area under each curve over its range of fractions, shape (n,).

        Trapezoids, divided by the range: the mean probability on the way, in [0, 1]. It is not the
        area up to 100 % unless the fractions reach 1.
        """
        span = self.fractions[-1] - self.fractions[0]
        area = np.trapezoid(self.probabilities, self.fractions, axis=1)
        return np.asarray(area / span, dtype=np.float64)


@dataclass(frozen=True)
class Faithfulness:
    """Curves of the maps and their controls, of the same images.

    Attributes
    ----------
    images : int64 array, shape (m,)
        Positions of the assessed images among those that were given.
    curves : mapping of (test, map) to Curves
        `map` is ``"map"``, ``"centre"``, ``"blurred"`` or ``"random"``.
    """

    images: Int64Array
    curves: Mapping[tuple[Test, str], Curves]


@dataclass(frozen=True)
class FaithfulnessRow:
    """One test of one kind of map in numbers.

    Attributes
    ----------
    test : str
    map : str
        As in `Faithfulness`.
    area : MeanInterval
        Mean area under the curve.
    advantage : MeanInterval or None
        Of the maps over this control, image by image, in units of the area: above 0 the maps are
        the more faithful ones, whatever the test. None for the maps themselves.
    """

    test: Test
    map: str
    area: MeanInterval
    advantage: MeanInterval | None


def hottest_first(heat: npt.ArrayLike, rng: np.random.Generator) -> Int64Array:
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
        If the shape is another or a value is not finite.
    """
    maps = np.asarray(heat, dtype=np.float32)
    if maps.ndim != 3:
        raise ValueError(f"heat has shape {maps.shape}, expected (n, height, width)")
    if not np.isfinite(maps).all():
        raise ValueError(f"a map holds {maps[~np.isfinite(maps)][0]}")
    # In millionths of the peak: the rounding of an interpolation must not order a constant map.
    peak = np.abs(maps).max(axis=(1, 2), keepdims=True, initial=0.0)
    levels = np.rint(np.divide(maps, peak, out=np.zeros_like(maps), where=peak > 0.0) * 1e6)
    n_pixels = maps.shape[1] * maps.shape[2]
    shuffled = rng.permutation(n_pixels)
    falling = np.argsort(-levels.reshape(len(maps), n_pixels)[:, shuffled], axis=1, kind="stable")
    return np.asarray(shuffled[falling], dtype=np.int64)


def faithfulness_curves(
    test: Test,
    pixels: UInt8Array,
    heat: npt.ArrayLike,
    classes: npt.ArrayLike,
    probabilities_of: ProbabilitiesOf,
    rng: np.random.Generator,
    fractions: Sequence[float] = FRACTIONS,
) -> Curves:
    """Probability of the class while the hottest pixels are changed.

    Parameters
    ----------
    test : {"insertion", "deletion", "road"}
    pixels : uint8 array, shape (n, size, size)
        May be empty (n = 0).
    heat : float array, shape (n, size, size)
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
    Curves
        With k = 1 + the number of fractions.

    Raises
    ------
    ValueError
        If shapes, classes, fractions or the test make no sense, or a probability is not finite.
    """
    shares = np.concatenate([[0.0], np.asarray(fractions, dtype=np.float64)])
    if len(shares) < 2 or (np.diff(shares) <= 0).any() or shares[-1] > 1.0:
        raise ValueError(f"fractions are {tuple(fractions)}; give ascending shares in (0, 1]")
    if test not in TESTS:
        raise ValueError(f"test is {test!r}, none of {TESTS}")
    chosen = np.asarray(classes)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or np.shape(heat) != pixels.shape:
        raise ValueError(
            f"pixels {pixels.dtype} {pixels.shape} and heat {np.shape(heat)} do not belong together"
        )
    if chosen.shape != (len(pixels),):
        raise ValueError(f"classes has shape {chosen.shape}, expected ({len(pixels)},)")
    if not len(pixels):
        return Curves(shares, np.zeros((0, len(shares))))
    order = hottest_first(heat, rng)
    columns = [
        _probability_of_class(probabilities_of(changed), chosen)
        for changed in _changed_images(test, pixels, order, shares, rng)
    ]
    return Curves(shares, np.stack(columns, axis=1))


def _changed_images(
    test: Test,
    pixels: UInt8Array,
    order: Int64Array,
    shares: Float64Array,
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


def _probability_of_class(probabilities: npt.ArrayLike, classes: Int64Array) -> Float64Array:
    every = np.asarray(probabilities, dtype=np.float64)
    if every.ndim != 2 or len(every) != len(classes) or not np.isfinite(every).all():
        raise ValueError(
            f"probabilities_of gave shape {every.shape} or a value that is not finite, expected "
            f"finite ({len(classes)}, classes)"
        )
    return np.asarray(every[np.arange(len(classes)), classes], dtype=np.float64)


def blurred_images(pixels: UInt8Array) -> UInt8Array:
    """Images without detail, the baseline of insertion and deletion.

    Parameters
    ----------
    pixels : uint8 array, shape (n, size, size)

    Returns
    -------
    ndarray of uint8, shape (n, size, size)
    """
    smooth = gaussian_filter(
        pixels.astype(np.float32), BLUR * pixels.shape[1], axes=(1, 2), mode="nearest"
    )
    return np.asarray(np.clip(np.rint(smooth), 0, 255), dtype=np.uint8)


def control_maps(heat: npt.ArrayLike, rng: np.random.Generator) -> dict[str, Float32Array]:
    """Maps that know nothing of the network, or less than the map itself.

    Parameters
    ----------
    heat : float array, shape (n, size, size)
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
    maps = np.asarray(heat, dtype=np.float32)
    if maps.ndim != 3 or maps.shape[1] != maps.shape[2]:
        raise ValueError(f"heat has shape {maps.shape}, expected (n, size, size)")
    n, size, _ = maps.shape
    offset = (np.arange(size) + 0.5) / size - 0.5
    profile = np.exp(-0.5 * (offset / CENTRE_BLOB) ** 2).astype(np.float32)
    noise = upsample_map(rng.standard_normal((RANDOM_MAPS, CELLS, CELLS)), size)
    return {
        "centre": np.broadcast_to(np.outer(profile, profile), maps.shape),
        "blurred": gaussian_filter(maps, size / CELLS, axes=(1, 2), mode="nearest"),
        "random": noise[np.arange(n) % RANDOM_MAPS],
    }


def assess_faithfulness(
    pixels: UInt8Array,
    heat: npt.ArrayLike,
    classes: npt.ArrayLike,
    probabilities_of: ProbabilitiesOf,
    rng: np.random.Generator,
    *,
    tests: Sequence[Test] = TESTS,
    fractions: Sequence[float] = FRACTIONS,
    max_images: int = MAX_IMAGES,
) -> Faithfulness:
    """Curves of the maps and of all controls.

    Parameters
    ----------
    pixels, heat, classes, probabilities_of, fractions
        As in `faithfulness_curves`.
    rng : np.random.Generator
        Chooses the images, draws controls, ties and noise. Ties and noise are the same for the
        maps and their controls, so that differences are paired.
    tests : sequence of {"insertion", "deletion", "road"}
    max_images : int, default 64
        If there are more images, so many are drawn without replacement.

    Returns
    -------
    Faithfulness

    Raises
    ------
    ValueError
        As `faithfulness_curves`, or if `max_images` is below 1.
    """
    if max_images < 1:
        raise ValueError(f"max_images is {max_images}; assess at least one")
    images = np.sort(rng.permutation(len(pixels))[:max_images]).astype(np.int64)
    maps = {"map": np.asarray(heat, dtype=np.float32)[images]}
    maps |= control_maps(maps["map"], rng)
    shown, chosen = pixels[images], np.asarray(classes)[images]
    same_draws = int(rng.integers(2**63))
    # Every curve of a test begins with the same images: the network is asked once.
    known: dict[bytes, npt.ArrayLike] = {}

    def asked_once(changed: UInt8Array) -> npt.ArrayLike:
        key = hashlib.sha256(np.ascontiguousarray(changed).data).digest()
        if key not in known:
            known[key] = probabilities_of(changed)
        return known[key]

    return Faithfulness(
        images,
        {
            (test, name): faithfulness_curves(
                test,
                shown,
                placed,
                chosen,
                asked_once,
                np.random.default_rng(same_draws),
                fractions,
            )
            for test in tests
            for name, placed in maps.items()
        },
    )


def summarise_faithfulness(
    result: Faithfulness,
    *,
    groups: npt.ArrayLike | None = None,
    seed: int | np.random.SeedSequence,
    repeats: int = 2000,
) -> tuple[FaithfulnessRow, ...]:
    """Mean areas and the paired advantage over each control, with bootstrap intervals.

    Parameters
    ----------
    result : Faithfulness
        Of m images.
    groups : array-like, shape (m,), optional
        Groups of the *assessed* images (``groups[result.images]``).
    seed, repeats
        As in `intervals.bootstrap_interval`.

    Returns
    -------
    tuple of FaithfulnessRow
        One for each test and map.
    """

    def mean(values: Float64Array) -> MeanInterval:
        return mean_interval(values, groups=groups, seed=seed, repeats=repeats)

    rows = []
    for (test, name), curves in result.curves.items():
        difference = result.curves[test, "map"].areas - curves.areas
        advantage = difference if test == "insertion" else -difference
        rows.append(
            FaithfulnessRow(
                test, name, mean(curves.areas), None if name == "map" else mean(advantage)
            )
        )
    return tuple(rows)
