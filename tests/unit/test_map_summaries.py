"""Summaries of map scores against plain bootstraps."""

import numpy as np
import pytest

from workflow_scripts.cxrcam.map_tests.scores import MapScore, energy_share
from workflow_scripts.cxrcam.map_tests.summaries import mean_interval, summarise
from workflow_scripts.cxrcam.metrics.intervals import (
    bootstrap_interval,
    weighted_mean,
    wilson_interval,
)

SIZE = 20


def test_a_summary_equals_a_bootstrap_of_means_over_the_scored_images():
    generator = np.random.default_rng(5)
    heat = generator.random((30, SIZE, SIZE)).astype(np.float32) ** 3
    heat[7] = 0.0
    masks = generator.random((30, SIZE, SIZE)) < generator.random((30, 1, 1))
    masks[9] = False
    groups = np.arange(30) // 3
    score = energy_share(heat, masks)
    summary = summarise(score, groups=groups, seed=3)
    kept = score.scored
    values, chance = score.values[kept], score.chance[kept]
    expected = bootstrap_interval(weighted_mean, values, groups=groups[kept], seed=3)
    assert summary["interval"] == pytest.approx(expected)
    assert summary["value"] == pytest.approx(values.mean())
    ratio = bootstrap_interval(
        lambda share, level, counts: weighted_mean(share, counts) / weighted_mean(level, counts),
        values,
        chance,
        groups=groups[kept],
        seed=3,
    )
    assert summary["ratio_interval"] == pytest.approx(ratio)
    assert summary["n"] == 28


@pytest.mark.parametrize(("outcome", "hits"), [(0.0, 0), (1.0, 1)])
def test_all_misses_or_all_hits_are_no_certainty(outcome, hits):
    none = np.zeros(6, dtype=bool)
    score = MapScore(np.full(6, outcome), np.full(6, 0.2), none, none)
    alone = summarise(score, seed=0)
    assert alone["value"] == outcome
    assert alone["interval"] == pytest.approx(wilson_interval(6 * hits, 6))
    assert alone["ratio_interval"] == pytest.approx([5 * b for b in wilson_interval(6 * hits, 6)])
    paired = summarise(score, groups=[1, 1, 2, 2, 3, 3], seed=0)
    assert paired["interval"] == pytest.approx(wilson_interval(3 * hits, 3))


def test_one_group_has_a_mean_but_no_interval():
    result = mean_interval([0.2, 0.4], groups=["a", "a"], seed=0)
    assert (result.n, result.interval) == (2, None)
    assert result.mean == pytest.approx(0.3)


def test_no_values_have_no_mean():
    assert tuple(vars(mean_interval([], seed=0)).values()) == (0, None, None)
