"""Scores of maps over all images of a run: a mean, its interval, its ratio to chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workflow_scripts.cxrcam.map_tests.scores import MapScore
from workflow_scripts.cxrcam.metrics.intervals import (
    Interval,
    bootstrap_interval,
    weighted_mean,
    wilson_interval,
)


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


def mean_interval(
    values: npt.ArrayLike,
    *,
    groups: npt.ArrayLike | None = None,
    seed: int | np.random.SeedSequence,
) -> MeanInterval:
    """Mean over images with a bootstrap interval that resamples whole groups.

    Parameters
    ----------
    values : array-like of float, shape (n,)
        May be empty.
    groups, seed
        As in `intervals.bootstrap_interval`.

    Returns
    -------
    MeanInterval
    """
    numbers = np.asarray(values, dtype=np.float64)
    mean = float(numbers.mean()) if len(numbers) else None
    if _units(len(numbers), groups) < 2:
        return MeanInterval(len(numbers), mean, None)
    interval = bootstrap_interval(weighted_mean, numbers, groups=groups, seed=seed)
    return MeanInterval(len(numbers), mean, interval)


def _units(n: int, groups: npt.ArrayLike | None) -> int:
    """Number of units to resample."""
    return n if groups is None else len({str(name) for name in np.asarray(groups)})


def summarise(
    score: MapScore,
    *,
    groups: npt.ArrayLike | None = None,
    seed: int | np.random.SeedSequence,
) -> dict[str, Any]:
    """Mean score and its ratio to chance over the scored images, with bootstrap intervals.

    Where all scores are 0, or all 1, the intervals are Wilson's: a bootstrap would have no width.

    Parameters
    ----------
    score : MapScore
        Of n images.
    groups, seed
        As in `intervals.bootstrap_interval`.

    Returns
    -------
    dict
        Ready for JSON, None where there is no number: ``n`` (scored images); their mean ``value``
        with its ``interval``; ``chance`` (mean chance level of the same images); ``ratio`` (mean
        score over mean chance: 1 is no preference, below 1 avoidance) with its ``ratio_interval``;
        ``without_energy`` and ``without_region`` (images left out, see `MapScore`; one that lacks
        both counts in both).
    """
    kept = score.scored
    names = None if groups is None else np.asarray(groups)[kept]
    values, chance = score.values[kept], score.chance[kept]
    mean = mean_interval(values, groups=names, seed=seed)
    interval, ratio_interval = mean.interval, None
    if interval is not None and mean.mean in (0.0, 1.0):
        # All misses or all hits resample to themselves, as if there were no doubt. The score is a
        # share, so that Wilson's interval over the groups bounds its mean.
        units = _units(len(values), names)
        interval = wilson_interval(round(mean.mean * units), units)
        level = chance.mean()
        ratio_interval = Interval(interval.low / level, interval.high / level)
    elif interval is not None:
        ratio_interval = bootstrap_interval(
            # A ratio of means: single images with a tiny region do not rule it.
            lambda sample, level, counts: (counts @ sample) / (counts @ level),
            values,
            chance,
            groups=names,
            seed=seed,
        )
    return {
        "n": mean.n,
        "value": mean.mean,
        "interval": interval,
        "chance": float(chance.mean()) if len(chance) else None,
        "ratio": float(values.mean() / chance.mean()) if len(chance) else None,
        "ratio_interval": ratio_interval,
        "without_energy": int(score.without_energy.sum()),
        "without_region": int(score.without_region.sum()),
    }
