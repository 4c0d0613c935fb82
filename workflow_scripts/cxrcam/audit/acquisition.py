"""Whether the classes differ by how the images were made rather than by what they show.

Traces of acquisition are what no disease should leave: the size of an image, its mode, its number
of grey values, the resampling that shaped its spectrum. If they tell the classes apart, a network
can use them too, and its accuracy says nothing about lungs.

Rule: a trace fails when the *lower* bound of its cross-validated AUROC lies above a threshold.

- `FACT_THRESHOLD`, 0.60, for what a disease cannot change (size, mode, the spectrum of the four
  corners; of DICOM files, modality and mending). With random labels, in 220 simulated data sets of
  2 or 3 classes with 30 or 150 images each, the highest lower bound was 0.56. With 10 images a
  class it was 0.68: such data are not assessed (`FEWEST_GROUPS`).
- `PICTURE_THRESHOLD`, 0.75, for what is computed from the whole picture (grey levels, bytes),
  because disease changes these too: read an alarm as "could be the acquisition", not as proof.

The spectrum is that of the corners, as a finding with a fine texture changes that of the lungs:
clean phantoms with and without an interstitial pattern, 100 each at 224 pixels, are told apart by
the spectrum of the whole image with an AUROC of 0.93, and by that of the corners with 0.49. Planted
resampling gives 0.98 and 0.89 (lower bound 0.85).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.fft import rfft2

from workflow_scripts.cxrcam.arrays import Float64Array, Int64Array, UInt8Array
from workflow_scripts.cxrcam.data.splits import deal_folds
from workflow_scripts.cxrcam.floors.features import grey_counts, pixel_chunks
from workflow_scripts.cxrcam.floors.trees import fitted_trees
from workflow_scripts.cxrcam.metrics.intervals import (
    bootstrap_interval,
    weighted_auroc,
    weighted_mean,
)

FACT_THRESHOLD: Final = 0.60
PICTURE_THRESHOLD: Final = 0.75

FOLDS: Final = 5
TREES: Final = 100
REPEATS: Final = 1000
"""Resamples of the intervals."""

FEWEST_GROUPS: Final = 30
"""Groups that each class must have: with fewer, random labels have raised false alarms."""

SPECTRUM_RINGS: Final = 24
"""Rings of the radial average."""

LOWEST_FREQUENCY: Final = 0.25
"""Cycles a pixel. Below lies the anatomy; resampling and noise reduction act above."""

HIGHEST_FREQUENCY: Final = 0.5**0.5
"""Cycles a pixel: the corner of the spectrum of a square grid."""

CORNER_SHARE: Final = 0.25
"""Side of a corner of the image, as a share of the image's."""

LEAST_CORNER: Final = 32
"""Pixels a side: with fewer the rings are too few."""


@dataclass(frozen=True, kw_only=True)
class TraceSeparability:
    """How well one kind of trace tells the classes apart.

    Attributes
    ----------
    trace : str
        What was looked at, in words.
    fails : bool or None
        Whether `low` is above `threshold`; None where `reason` says why it cannot be told.
    verdict : str
        In words.
    auroc, low, high : float or None
        Mean over the classes of the AUROC of each against the others, of images that the
        classifier was not trained on, and its 95 % interval.
    accuracy, accuracy_low, accuracy_high, majority_accuracy : float or None
        Share of right answers, its interval, and the share of the commonest class.
    threshold : float
        See the module.
    n, n_groups : int
        Images, and groups of them.
    reason : str or None
        Why there are no numbers.
    """

    trace: str
    fails: bool | None
    verdict: str
    auroc: float | None = None
    low: float | None = None
    high: float | None = None
    accuracy: float | None = None
    accuracy_low: float | None = None
    accuracy_high: float | None = None
    majority_accuracy: float | None = None
    threshold: float
    n: int
    n_groups: int
    reason: str | None = None


def size_features(widths: npt.ArrayLike, heights: npt.ArrayLike) -> Float64Array:
    """Width, height and width by height of the image files in pixels, (n, 3); a fact."""
    width, height = np.asarray(widths, np.float64), np.asarray(heights, np.float64)
    return np.stack([width, height, width / height], axis=1)


def mode_features(modes: Sequence[str | None]) -> Float64Array:
    """One column a mode ("L", "RGB", ...), 1 where an image has it, (n, modes); a fact.

    None, unknown, is a mode of its own.
    """
    names, codes = np.unique(
        pd.Series(list(modes), dtype=object).fillna("").to_numpy(str), return_inverse=True
    )
    columns: Float64Array = np.eye(len(names))[codes]
    return columns


def dicom_features(images: pd.DataFrame) -> pd.DataFrame:
    """One column a modality ("modality CR") and kind of mending, 1 where an image has it; a fact.

    `images` have ``dicom_modality`` and ``notes`` of the index; no column where all are missing.
    """
    told = [
        ([f"modality {modality}"] if isinstance(modality, str) else [])
        + (notes.split("; ") if isinstance(notes, str) else [])
        for modality, notes in zip(images["dicom_modality"], images["notes"], strict=True)
    ]
    kinds = sorted({kind for row in told for kind in row})
    columns = {kind: [float(kind in row) for row in told] for kind in kinds}
    return pd.DataFrame(columns, index=images.index)


def dicom_counts(images: pd.DataFrame) -> dict[str, dict[str, int]]:
    """How many images of each ``label`` there are ("images"), and have each of `dicom_features`."""
    features = dicom_features(images).assign(images=1)
    counts = features.groupby(images["label"]).sum()
    return {
        str(kind): {str(label): int(n) for label, n in of_label.items()}
        for kind, of_label in counts.items()
    }


def file_features(
    size_bytes: npt.ArrayLike, widths: npt.ArrayLike, heights: npt.ArrayLike
) -> Float64Array:
    """Bytes of the files, and bytes a pixel, (n, 2): how hard they were compressed."""
    n_bytes = np.asarray(size_bytes, np.float64)
    n_pixels = np.asarray(widths, np.float64) * np.asarray(heights, np.float64)
    return np.stack([n_bytes, n_bytes / n_pixels], axis=1)


def grey_level_features(pixels: UInt8Array) -> Float64Array:
    """Number of distinct greys, darkest, brightest, share of black and of white pixels, (n, 5).

    Takes uint8 (n, size, size), best at native resolution: resizing makes new grey values.
    """
    features = np.empty((len(pixels), 5))
    for rows in pixel_chunks(pixels):
        counts = grey_counts(pixels[rows])
        used = counts > 0
        darkest, brightest = used.argmax(axis=1), 255 - used[:, ::-1].argmax(axis=1)
        shares = counts[:, [0, 255]] / pixels[0].size
        features[rows] = np.column_stack([used.sum(axis=1), darkest, brightest, shares])
    return features


def spectrum_features(pixels: UInt8Array) -> Float64Array:
    """Form of the power spectrum above 0.25 cycles a pixel, averaged over 24 rings.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (n, size, size)
        Images as the cache holds them, or crops at native resolution, which show the resampling
        that happened before ours; `size` at least 32.

    Returns
    -------
    ndarray of float64, shape (n, 24)
        Decadic logarithm of the mean power of each ring, less its mean over the rings: the form
        alone, whatever the contrast. From the lowest frequency to the corner of the spectrum.

    Notes
    -----
    A Hann window keeps the edges of the image out of the spectrum (Harris 1978, Proc IEEE 66:51).
    """
    size = pixels.shape[1]
    spectra = np.empty((len(pixels), SPECTRUM_RINGS))
    edge = np.hanning(size + 2)[1:-1].astype(np.float32)
    window = edge[:, None] * edge
    kept, counts = _rings(size)
    held = np.flatnonzero(counts)
    starts = np.cumsum(counts) - counts
    for rows in pixel_chunks(pixels):
        values = pixels[rows].astype(np.float32)
        values -= values.mean(axis=(1, 2), keepdims=True)
        waves = rfft2(values * window).reshape(len(values), -1)[:, kept]
        power = waves.real**2 + waves.imag**2
        # Far below the rounding of 8-bit greys (some 10² here); it keeps blank images finite.
        # Sums image by image: a product of matrices would give other last bits beside others.
        sums = np.zeros((len(power), SPECTRUM_RINGS))
        sums[:, held] = np.add.reduceat(power, starts[held], axis=1, dtype=np.float64)
        spectra[rows] = np.log10(sums / np.maximum(counts, 1) + 1e-3)
    spectra -= spectra.mean(axis=1, keepdims=True)
    return spectra


def _rings(size: int) -> tuple[Int64Array, Int64Array]:
    """Which entries of a flattened `rfft2` count, ring by ring, and how many each ring has."""
    radius = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)).ravel()
    kept = np.flatnonzero(radius >= LOWEST_FREQUENCY)
    width = (HIGHEST_FREQUENCY - LOWEST_FREQUENCY) / SPECTRUM_RINGS
    ring = ((radius[kept] - LOWEST_FREQUENCY) / width).astype(np.int64)
    ring = np.minimum(ring, SPECTRUM_RINGS - 1)
    # The last ring of an odd size may hold no entry.
    counts = np.bincount(ring, minlength=SPECTRUM_RINGS).astype(np.int64)
    return kept[np.argsort(ring, kind="stable")], counts


def corner_spectrum_features(pixels: UInt8Array) -> Float64Array:
    """`spectrum_features` of the four corners, their mean, (n, 24); a fact.

    Takes uint8 (n, size, size). Resampling and noise reduction leave their trace there as well, and
    a disease of the lungs hardly any.
    """
    side = min(pixels.shape[1], max(LEAST_CORNER, round(CORNER_SHARE * pixels.shape[1])))
    ends = slice(None, side), slice(-side, None)
    corners = [spectrum_features(pixels[:, rows, columns]) for rows in ends for columns in ends]
    mean: Float64Array = np.mean(corners, axis=0)
    return mean


OF_PIXELS: Final[Mapping[str, Callable[[UInt8Array], Float64Array]]] = {
    "grey_levels": grey_level_features,
    "spectrum": corner_spectrum_features,
}
"""Traces that are read from the pixels, by name."""


def traces_of(
    images: pd.DataFrame, of_pixels: Mapping[str, npt.NDArray[np.floating]]
) -> dict[str, tuple[str, npt.NDArray[np.floating], float]]:
    """All traces of acquisition: in words, as features, and the threshold of each.

    `images` have ``width``, ``height``, ``mode``, ``size_bytes`` and what `dicom_features` takes;
    `of_pixels` those of `OF_PIXELS`. Without DICOM files, the trace "dicom" is left out.
    """
    width, height = images["width"].to_numpy(), images["height"].to_numpy()
    n_bytes, modes = images["size_bytes"].to_numpy(), images["mode"].tolist()
    file = file_features(n_bytes, width, height)
    greys, spectrum = of_pixels["grey_levels"], of_pixels["spectrum"]
    dicom, dicom_words = dicom_features(images), "the modality and the repairs of DICOM files"
    traces = {
        "size": ("the size of the image", size_features(width, height), FACT_THRESHOLD),
        "mode": ("the mode of the file", mode_features(modes), FACT_THRESHOLD),
        "file": ("the bytes of the file", file, PICTURE_THRESHOLD),
        "grey_levels": ("which grey levels occur", greys, PICTURE_THRESHOLD),
        "spectrum": (
            "the fine texture of the corners, which resampling changes",
            spectrum,
            FACT_THRESHOLD,
        ),
    }
    if dicom.shape[1]:
        traces["dicom"] = (dicom_words, dicom.to_numpy(), FACT_THRESHOLD)
    return traces


def trace_separability(
    features: Float64Array,
    labels: npt.NDArray[Any],
    groups: npt.NDArray[Any],
    rng: np.random.Generator,
    *,
    trace: str,
    threshold: float,
    threads: int = 1,
) -> TraceSeparability:
    """Train a classifier on the traces alone and see how well it tells the classes apart.

    Extremely randomised trees, five folds, grouped and stratified. The interval is a percentile
    bootstrap of whole groups over the answers to images left out; it does not know that the five
    classifiers share training images, which the distance of the thresholds from 0.5 allows for.

    Parameters
    ----------
    features : float array, shape (n, k)
        From one of the functions above.
    labels : array, shape (n,)
        Names of the classes.
    groups : array, shape (n,)
        Patient or cluster of duplicates of each image, which stay in one fold.
    rng : numpy.random.Generator
        Of folds, trees and resamples.
    trace : str
        What the features are, for the verdict: "the size of the image".
    threshold : float
        The trace fails above it: `FACT_THRESHOLD` of facts, else `PICTURE_THRESHOLD`.
    threads : int, default 1
        That grow trees; the result does not depend on it.
    """
    values = np.asarray(features, dtype=np.float64)
    names, label = np.unique(labels, return_inverse=True)
    own = pd.factorize(groups)[0]
    facts: dict[str, Any] = {
        "trace": trace,
        "threshold": threshold,
        "n": len(label),
        "n_groups": len(np.unique(own)),
    }
    reason = _not_assessable(values, label, own, [str(name) for name in names])
    if reason is not None:
        verdict = f"not assessable by {trace}: {reason}"
        return TraceSeparability(fails=None, verdict=verdict, reason=reason, **facts)
    majority = float(np.bincount(label).max() / len(label))
    if (values == values[0]).all():
        verdict = f"no alarm from {trace}: it is the same in all images"
        return TraceSeparability(**facts, fails=False, verdict=verdict, **_chance(majority))
    numbers = _left_out_numbers(values, label, own, rng, threads)
    area, low, high = (numbers[name] for name in ("auroc", "low", "high"))
    wording = "classes differ by" if low > threshold else "no alarm from"
    return TraceSeparability(
        **facts,
        **numbers,
        majority_accuracy=majority,
        fails=low > threshold,
        verdict=f"{wording} {trace}: AUROC {area:.2f} ({low:.2f}-{high:.2f})",
    )


def _not_assessable(
    values: Float64Array, labels: Int64Array, groups: Int64Array, names: list[str]
) -> str | None:
    if len(names) < 2:
        return f"there is only one class, {names[0]!r}" if names else "there are no images"
    unknown = ~np.isfinite(values).all(axis=1)
    if unknown.any() or not values.shape[1]:
        return f"it is not known for {int(unknown.sum()) or len(values)} of {len(values)} images"
    held = [len(np.unique(groups[labels == k])) for k in range(len(names))]
    if min(held) < FEWEST_GROUPS:
        scarce = names[int(np.argmin(held))]
        return (
            f"class {scarce!r} has {min(held)} groups of images, cross-validation needs"
            f" {FEWEST_GROUPS}"
        )
    return None


def _left_out_probabilities(
    values: Float64Array, labels: Int64Array, groups: Int64Array, seed: int, threads: int
) -> Float64Array:
    """Probabilities of each image from trees that saw none of its group, (n, classes)."""
    n_classes = int(labels.max()) + 1
    probabilities = np.zeros((len(labels), n_classes))
    fold_of = deal_folds(labels, groups, n_classes, FOLDS, np.random.default_rng(seed))
    for fold in range(FOLDS):
        test = fold_of == fold
        forest = fitted_trees(values[~test], labels[~test], TREES, seed, threads)
        probabilities[np.ix_(test, forest.classes_)] = forest.predict_proba(values[test])
    return probabilities


def _left_out_numbers(
    values: Float64Array,
    labels: Int64Array,
    groups: Int64Array,
    rng: np.random.Generator,
    threads: int,
) -> dict[str, Any]:
    """AUROC and accuracy on images left out, with their intervals."""
    probabilities = _left_out_probabilities(
        values, labels, groups, int(rng.integers(2**31)), threads
    )
    correct = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    seed = int(rng.integers(2**63))
    low, high = bootstrap_interval(
        _macro_auroc, labels, probabilities, groups=groups, seed=seed, repeats=REPEATS
    )
    accuracy_low, accuracy_high = bootstrap_interval(
        weighted_mean, correct, groups=groups, seed=seed, repeats=REPEATS
    )
    return {
        "auroc": float(_macro_auroc(labels, probabilities, np.ones((1, len(labels))))[0]),
        "low": low,
        "high": high,
        "accuracy": float(correct.mean()),
        "accuracy_low": accuracy_low,
        "accuracy_high": accuracy_high,
    }


def _macro_auroc(
    labels: Int64Array, probabilities: Float64Array, counts: npt.ArrayLike
) -> Float64Array:
    # Of two classes the second area is the first one again.
    of_interest = range(1, 2) if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    areas = [weighted_auroc(labels == k, probabilities[:, k], counts) for k in of_interest]
    mean: Float64Array = np.mean(areas, axis=0)
    return mean


def _chance(majority: float) -> dict[str, Any]:
    """Numbers of a trace that is the same in all images: exactly those of chance."""
    accuracies = ("accuracy", "accuracy_low", "accuracy_high", "majority_accuracy")
    return dict.fromkeys(("auroc", "low", "high"), 0.5) | dict.fromkeys(accuracies, majority)
