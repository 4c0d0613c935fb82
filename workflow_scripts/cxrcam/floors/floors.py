"""Floors: what classifiers reach that cannot see the lungs, on the network's own splits.

A network that beats these floors by nothing has shown nothing. Each floor is one fixed classifier
on one kind of feature (see `features`); nothing is tuned, on test images least of all.

The classifier is a forest of extremely randomised trees (Geurts et al. 2006), chosen among six on
random splits of 2,100 real X-rays as the one that serves from 60 training images to all of them,
and fits 13,600 images of 784 values in seconds on one core. It is not the strongest everywhere:
gradient boosting was up to 3 points more accurate with 1,300 or more training images, but 9 points
worse with 60 and too slow for thumbnails. So a floor is a lower bound of what can be had without
lungs. Logistic regression misses the histogram floor altogether: 0.82 for 0.90 accuracy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier

from workflow_scripts.cxrcam.arrays import BoolArray, Float64Array, Int64Array
from workflow_scripts.cxrcam.data.pixel_stream import PixelStream, at_most, stream_features
from workflow_scripts.cxrcam.data.splits import deal_folds
from workflow_scripts.cxrcam.floors.descriptions import DESCRIPTIONS
from workflow_scripts.cxrcam.floors.features import FEATURES
from workflow_scripts.cxrcam.floors.trees import fitted_trees
from workflow_scripts.cxrcam.metrics.intervals import (
    bootstrap_interval,
    weighted_mean,
    wilson_interval,
)
from workflow_scripts.cxrcam.seeds import generator, seed_sequence

FLOORS: Final = tuple(DESCRIPTIONS)
"""Names of the floors, from the blindest to the one that sees most."""

TREES: Final = 100
"""Trees of a forest. Twice as many changed no accuracy on real data by more than a point."""

TRAINING_IMAGES: Final = 50_000
"""That a floor is trained on, drawn where there are more: a forest takes memory for each, and a
floor is a lower bound in any case."""

FOLDS: Final = 5
"""Of a data set as a whole."""

_DRAW_SEED: Final = 0


@dataclass(frozen=True)
class AccuracyGap:
    """How much more often the network is right than a floor, on the same test images.

    Attributes
    ----------
    network_accuracy, floor_accuracy : float or None
        Shares in [0, 1]; None without images.
    gap : float or None
        ``network_accuracy - floor_accuracy``, in [-1, 1].
    low, high : float or None
        Bounds of the gap; None where `reason` says why.
    n, n_groups : int
        Number of test images, and of groups of them.
    reason : str or None
        Why there is no interval.
    """

    network_accuracy: float | None
    floor_accuracy: float | None
    gap: float | None
    low: float | None
    high: float | None
    n: int
    n_groups: int
    reason: str | None


def floor_predictions(
    parts: PixelStream,
    labels: Int64Array,
    train: BoolArray,
    test: BoolArray,
    n_classes: int,
    seeds: Mapping[str, np.random.SeedSequence],
) -> dict[str, Float64Array]:
    """Train floors on the training images and predict the test images.

    Memory grows with the rows of the result only: pixels stream past twice, and of more than
    `TRAINING_IMAGES` training images that many are drawn.

    Parameters
    ----------
    parts : PixelStream
        Of n images as the cache holds them, at least 28 pixels a side.
    labels : ndarray of int64, shape (n,)
        Classes, 0 to ``n_classes - 1``; those of images outside `train` are not looked at.
    train, test : ndarray of bool, shape (n,)
        The network's own split.
    n_classes : int
        At least 2.
    seeds : mapping of str to numpy.random.SeedSequence
        Which of `FLOORS`, and the seed of the forest of each; the same seeds give the same
        predictions.

    Returns
    -------
    dict of str to ndarray of float64, shape (test.sum(), n_classes)
        By floor: probabilities in the order of the images; each row sums to 1. A class without a
        training image has probability 0.

    Raises
    ------
    ValueError
        If no image is selected for training.

    References
    ----------
    Geurts, Ernst & Wehenkel (2006), Mach Learn 63:3-42. Maguolo & Nanni (2021), Inf Fusion
    76:1-7, for the idea.
    """
    if not train.any():
        raise ValueError("no image is selected for training")
    drawn = at_most(train, TRAINING_IMAGES, np.random.default_rng(_DRAW_SEED))
    functions = {name: FEATURES[name] for name in seeds if name in FEATURES}
    features = stream_features(parts, drawn, functions) if functions else {}
    floors = {
        name: _Floor.fitted(features.get(name), labels[drawn], n_classes, seed)
        for name, seed in seeds.items()
    }
    row_of = np.cumsum(test) - 1
    probabilities = {name: floor.constant(int(test.sum())) for name, floor in floors.items()}
    learnt = {name: floor for name, floor in floors.items() if floor.forest is not None}
    for positions, pixels in parts(test) if learnt else ():
        for name, floor in learnt.items():
            probabilities[name][row_of[positions]] = floor.predicted(functions[name](pixels))
    return probabilities


@dataclass(frozen=True)
class _Floor:
    """A forest, or the shares of the classes in training where there is nothing to learn from."""

    shares: Float64Array
    forest: ExtraTreesClassifier | None

    @classmethod
    def fitted(
        cls,
        features: npt.NDArray[np.floating] | None,
        labels: Int64Array,
        n_classes: int,
        seed: np.random.SeedSequence,
        threads: int = 1,
    ) -> _Floor:
        shares = np.bincount(labels, minlength=n_classes) / labels.size
        if features is None or shares.max() == 1.0:
            return cls(shares, None)
        # 32 bits, as scikit-learn takes a seed.
        number = int(seed.generate_state(1, np.uint32)[0])
        return cls(shares, fitted_trees(features, labels, TREES, number, threads))

    def constant(self, n: int) -> Float64Array:
        return np.tile(self.shares, (n, 1))

    def predicted(self, features: npt.NDArray[np.floating]) -> Float64Array:
        if self.forest is None or not len(features):
            return self.constant(len(features))
        probabilities = np.zeros((len(features), len(self.shares)))
        probabilities[:, self.forest.classes_] = self.forest.predict_proba(features)
        return probabilities


def cross_validated_floors(
    features: Mapping[str, npt.NDArray[np.floating]],
    labels: Int64Array,
    folds: Int64Array,
    n_classes: int,
    seed_of: Callable[[str, int], np.random.SeedSequence],
    threads: int = 1,
) -> tuple[list[dict[str, str | int | float]], dict[str, Float64Array]]:
    """Accuracy of each floor on each fold, trained on the others.

    Every image is tested once, so that a data set as a whole can be judged also where the test part
    of a design is too small to tell.

    Parameters
    ----------
    features : mapping of str to ndarray, shape (n, columns)
        Of each floor but the majority, as from `features.FEATURES`.
    labels, n_classes
        As in `floor_predictions`.
    folds : ndarray of int64, shape (n,)
        Fold of each image.
    seed_of : callable
        ``seed_of(floor, fold)`` seeds a forest.
    threads : int, default 1
        That grow trees; the result does not depend on it.

    Returns
    -------
    rows : list of dict
        One row a floor and fold: ``floor``, ``fold``, ``n``, ``accuracy``, ``majority_share``.
    probabilities : dict of str to ndarray of float64, shape (n, n_classes)
        By floor: what the forest that was grown without its fold says of each image.
    """
    rows: list[dict[str, str | int | float]] = []
    probabilities = {name: np.zeros((len(labels), n_classes)) for name in FLOORS}
    for name in FLOORS:
        seen = None if name == "majority" else features[name]
        for fold in np.unique(folds).tolist():
            test = np.asarray(folds == fold)
            trained_on = None if seen is None else seen[~test]
            seed = seed_of(name, fold)
            floor = _Floor.fitted(trained_on, labels[~test], n_classes, seed, threads)
            truth = labels[test]
            scores = floor.constant(len(truth)) if seen is None else floor.predicted(seen[test])
            probabilities[name][test] = scores
            rows.append(
                {
                    "floor": name,
                    "fold": int(fold),
                    "n": int(test.sum()),
                    "accuracy": float((scores.argmax(axis=1) == truth).mean()),
                    "majority_share": float(np.bincount(truth).max() / len(truth)),
                }
            )
    return rows, probabilities


def folds_of_task(task: str, images: pd.DataFrame, classes: Sequence[str]) -> Int64Array:
    """Fold of each image of a task, 0 to ``FOLDS - 1``; arguments as in `floors_of_task`."""
    labels = images["label"].map(list(classes).index).to_numpy(dtype=np.int64)
    groups = np.unique(images["group"], return_inverse=True)[1]
    rng = generator(0, "folds of the floors", task)
    return deal_folds(labels, groups, len(classes), FOLDS, rng)


def floors_of_task(
    task: str,
    images: pd.DataFrame,
    features: Mapping[str, npt.NDArray[np.floating]],
    classes: Sequence[str],
    threads: int,
) -> tuple[list[dict[str, str | int | float]], Float64Array]:
    """`cross_validated_floors` over all images of a task, in `FOLDS` folds that keep groups whole.

    `images` have ``label`` and ``group``; the name of the task keys what is drawn. Where all images
    are one group, accuracies are missing and ``reason`` says so. Probabilities are those of the
    floor that sees a thumbnail, shape (n, classes), or NaN.
    """
    labels = images["label"].map(list(classes).index).to_numpy(dtype=np.int64)
    folds = folds_of_task(task, images, classes)
    if len(np.unique(folds)) < 2:
        reason = "all images are in one group (patient or copies), so that none is left to train on"
        unknown = {"fold": 0, "n": 0, "accuracy": math.nan, "majority_share": math.nan}
        missing = np.full((len(labels), len(classes)), math.nan)
        return [{"floor": name, **unknown, "reason": reason} for name in FLOORS], missing
    rows, probabilities = cross_validated_floors(
        *(features, labels, folds, len(classes)),
        lambda name, fold: seed_sequence(0, "floor", name, task, fold),
        threads,
    )
    return rows, probabilities["thumbnail"]


def best_floor(accuracies: Mapping[str, float]) -> str:
    """The floor that a network has to beat; of equally good ones the one that sees least.

    The best of several on the test images is a little lucky: the gap to it is a cautious one.
    """
    return max(accuracies, key=lambda name: (accuracies[name], -FLOORS.index(name)))


def accuracy_gap(
    truth: npt.NDArray[np.integer],
    network_predicted: npt.NDArray[np.integer],
    floor_predicted: npt.NDArray[np.integer],
    groups: npt.NDArray[Any],
    rng: np.random.Generator,
) -> AccuracyGap:
    """How much better than a floor the network is, image by image, with an interval.

    Parameters
    ----------
    truth, network_predicted, floor_predicted : int array, shape (n,)
        Classes of the same test images.
    groups : array, shape (n,)
        Patient or cluster of duplicates of each image.
    rng : numpy.random.Generator
        Of the resamples.

    Returns
    -------
    AccuracyGap
        An interval (95 %) that holds 0 means: the network is not shown to see more than the floor.

    Notes
    -----
    Paired percentile bootstrap of whole groups: of each image the difference right - right (-1, 0
    or 1) is resampled, so that images on which both are right or both wrong add no noise. If all
    images have the same difference, resamples would too and the interval would have no width; it
    is then widened by the upper Wilson bound of the share of groups that differ, 0 of `n_groups`.
    With fewer than two groups there is no interval.
    """
    n = truth.size
    if n == 0:
        return AccuracyGap(None, None, None, None, None, 0, 0, "there are no test images")
    network, floor = network_predicted == truth, floor_predicted == truth
    differences = network.astype(np.float64) - floor
    n_groups = len(set(groups.tolist()))
    gap = float(differences.mean())
    low: float | None = None
    high: float | None = None
    reason = None
    if n_groups < 2:
        reason = "all test images are of one group: nothing to resample"
    elif np.ptp(differences) == 0.0:
        reach = (1.0 + abs(gap)) * wilson_interval(0, n_groups).high
        low, high = max(-1.0, gap - reach), min(1.0, gap + reach)
    else:
        seed = int(rng.integers(2**63))
        low, high = bootstrap_interval(weighted_mean, differences, groups=groups, seed=seed)
    network_accuracy, floor_accuracy = float(network.mean()), float(floor.mean())
    return AccuracyGap(network_accuracy, floor_accuracy, gap, low, high, n, n_groups, reason)
