"""Scores of maps over all images of a run: a mean, its interval, its ratio to chance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from workflow_scripts.cxrcam.map_tests.scores import MapScore
from workflow_scripts.cxrcam.metrics.intervals import Interval, bootstrap_interval, wilson_interval


@dataclass(frozen=True)
class MeanInterval:
    """A mean over images.

    Attributes
    ----------
    n : int
        Images that enter.
    mean : float or None
        None if there are none.
    interval : Interval or None
        Percentile bootstrap interval; None for fewer than two groups, which have no spread.
    """

    n: int
    mean: float | None
    interval: Interval | None


@dataclass(frozen=True)
class ScoreSummary:
    """A score over all images of a run.

    Attributes
    ----------
    score : MeanInterval
        Of the scored images.
    chance : float or None
        Mean chance level of the same images.
    ratio : float or None
        Mean score over mean chance: 1 is no preference, below 1 avoidance.
    ratio_interval : Interval or None
    without_energy, without_region : int
        Images left out, see `MapScore`; one that lacks both counts in both.
    """

    score: MeanInterval
    chance: float | None
    ratio: float | None
    ratio_interval: Interval | None
    without_energy: int
    without_region: int


def mean_interval(
    values: npt.ArrayLike,
    *,
    groups: npt.ArrayLike | None = None,
    seed: int | np.random.SeedSequence,
    repeats: int = 2000,
) -> MeanInterval:
    """Mean over images with a bootstrap interval that resamples whole groups.

    Parameters
    ----------
    values : array-like of float, shape (n,)
        May be empty.
    groups, seed, repeats
        As in `intervals.bootstrap_interval`.

    Returns
    -------
    MeanInterval

    Raises
    ------
    ValueError
        As `intervals.bootstrap_interval`.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if not _has_spread(len(numbers), groups):
        return MeanInterval(len(numbers), float(numbers.mean()) if len(numbers) else None, None)
    interval = bootstrap_interval(
        lambda sample, counts: counts @ sample / counts.sum(axis=1),
        numbers,
        groups=groups,
        seed=seed,
        repeats=repeats,
        weighted=True,
    )
    return MeanInterval(len(numbers), float(numbers.mean()), interval)


def _has_spread(n: int, groups: npt.ArrayLike | None) -> bool:
    """Whether there are at least two units to resample."""
    return n > 1 and (groups is None or len({str(name) for name in np.asarray(groups)}) > 1)


def summarise(
    score: MapScore,
    *,
    groups: npt.ArrayLike | None = None,
    seed: int | np.random.SeedSequence,
    repeats: int = 2000,
) -> ScoreSummary:
    """Mean score and its ratio to chance over the scored images, with bootstrap intervals.

    Where all scores are 0, or all 1, the intervals are Wilson's: a bootstrap would have no width.

    Parameters
    ----------
    score : MapScore
        Of n images.
    groups : array-like, shape (n,), optional
        Images that stay together (patients, clusters of duplicates). Default: each its own group.
    seed, repeats
        As in `intervals.bootstrap_interval`.

    Returns
    -------
    ScoreSummary

    Raises
    ------
    ValueError
        As `intervals.bootstrap_interval`.
    """
    kept = score.scored
    if groups is not None and np.shape(groups) != kept.shape:
        raise ValueError(f"groups has shape {np.shape(groups)}, expected {kept.shape}")
    names = None if groups is None else np.asarray(groups)[kept]
    values, chance = score.values[kept], score.chance[kept]
    options: dict[str, Any] = {"groups": names, "seed": seed, "repeats": repeats}
    ratio_interval = None
    if _has_spread(len(values), names):
        ratio_interval = bootstrap_interval(
            # A ratio of means: single images with a tiny region do not rule it.
            lambda sample, level, counts: (counts @ sample) / (counts @ level),
            values,
            chance,
            weighted=True,
            **options,
        )
    mean = mean_interval(values, **options)
    if mean.interval is not None and mean.mean in (0.0, 1.0):
        # All misses or all hits resample to themselves, as if there were no doubt. The score is a
        # share, so that Wilson's interval over the groups bounds its mean.
        units = len(values) if names is None else len({str(name) for name in names})
        interval = wilson_interval(round(mean.mean * units), units)
        mean = replace(mean, interval=interval)
        ratio_interval = Interval(*(bound / chance.mean() for bound in interval))
    return ScoreSummary(
        score=mean,
        chance=float(chance.mean()) if len(chance) else None,
        ratio=float(values.mean() / chance.mean()) if len(chance) else None,
        ratio_interval=ratio_interval,
        without_energy=int(score.without_energy.sum()),
        without_region=int(score.without_region.sum()),
    )
