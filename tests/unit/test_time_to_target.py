"""Iterations and seconds to a target accuracy."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.metrics.time_to_target import (
    difference_with_interval,
    effort_summary,
    effort_to_target,
    efforts_of_runs,
    evaluated_part,
    mean_with_interval,
    watched_histories,
    with_clock,
)


def history(*accuracies: float) -> pd.DataFrame:
    n = np.arange(1, len(accuracies) + 1)
    return pd.DataFrame(
        {"iteration": 100 * n, "seconds": 2.5 * n, "accuracy": accuracies, "role": "test"}
    )


def test_each_part_of_an_evaluation_has_the_clock_of_its_iteration():
    rows = pd.DataFrame({"iteration": [5, 5, 9], "role": ["train", "test", "train"]})
    clock = pd.DataFrame({"iteration": [9, 5], "seconds": [2.0, 1.0], "wall_seconds": [3.0, 1.5]})
    timed = with_clock(rows, clock)
    assert timed["seconds"].tolist() == [1.0, 1.0, 2.0]
    assert timed["role"].tolist() == rows["role"].tolist()
    with pytest.raises(pd.errors.MergeError):
        with_clock(rows, pd.concat([clock, clock]))


def test_first_and_sustained_are_told_apart():
    effort = effort_to_target(history(0.5, 0.95, 0.9, 0.96, 0.97, 0.95), 0.95, 3)
    assert (effort.first_iteration, effort.first_seconds) == (200, 5.0)
    assert (effort.sustained_iteration, effort.sustained_seconds) == (400, 10.0)
    assert (effort.iterations, effort.seconds, effort.n_evaluations) == (600, 15.0, 6)
    assert effort.best_accuracy == 0.97


def test_what_was_not_reached_is_none_and_not_zero():
    effort = effort_to_target(history(0.5, 0.6), 0.95, 3)
    assert effort.first_iteration is None and effort.sustained_seconds is None


def test_two_good_evaluations_at_the_end_are_not_three():
    effort = effort_to_target(history(0.5, 0.95, 0.95), 0.95, 3)
    assert effort.first_iteration == 200 and effort.sustained_iteration is None


def test_the_order_of_the_rows_does_not_matter():
    rows = history(0.5, 0.95, 0.9, 0.96)
    assert effort_to_target(rows[::-1], 0.95, 1) == effort_to_target(rows, 0.95, 1)


def test_shared_test_images_are_preferred():
    rows = pd.concat([history(0.5), history(0.5).assign(role="shared_test")])
    assert evaluated_part(rows) == "shared_test"
    assert evaluated_part(history(0.5)) == "test"


def test_the_interval_of_the_mean_is_students():
    values = [3.0, 4.0, 8.0]
    mean, low, high = mean_with_interval(values)
    expected = stats.t.interval(0.95, 2, loc=5.0, scale=stats.sem(values))
    assert (mean, low, high) == pytest.approx((5.0, *expected))
    assert mean_with_interval([3.0]) == (3.0, None, None)


def test_the_interval_of_a_difference_needs_two_runs_a_side():
    assert difference_with_interval([3.0], [1.0, 2.0]) == (1.5, None, None)
    difference, low, high = difference_with_interval([3.0, 4.0], [1.0, 2.0])
    assert difference == 2.0 and low is not None and high is not None and low < 2.0 < high


def test_a_sum_over_folds_exists_only_where_every_run_reached_the_target():
    rows = [
        {
            "task": "t",
            "scheme": "s",
            "fold": fold,
            "seed": seed,
            **vars(effort_to_target(history(*curve), 0.95, 1)),
        }
        for seed, curves in enumerate([[(0.95,), (0.5, 0.95)], [(0.95,), (0.95,)]])
        for fold, curve in enumerate(curves, start=1)
    ]
    table = pd.DataFrame(rows)
    assert effort_summary(table).loc[0, "first_seconds_summed"] == pytest.approx((7.5 + 5.0) / 2)
    rows[0]["first_seconds"] = None
    short = effort_summary(pd.DataFrame(rows))
    assert short.loc[0, "first_reached"] == 3
    assert pd.isna(short.loc[0, "first_seconds_summed"])


def test_each_run_has_its_effort_on_the_part_that_all_share():
    runs = [{"task": "t", "scheme": "s", "fold": 1, "seed": seed} for seed in (0, 1, 2)]
    timings = history(0.0, 0.0)[["iteration", "seconds"]]
    watched = [history(0.5, 0.96), history(0.96, 0.97), history(0.99, 0.99).assign(role="train")]
    # Shared test images are preferred to the run's own.
    watched[0] = pd.concat([watched[0], history(0.1, 0.2).assign(role="shared_test")])
    histories = [rows.drop(columns="seconds") for rows in watched]
    table = watched_histories(runs, histories, [timings] * 3)
    assert table["run"].tolist() == ["fold 1, seed 0"] * 2 + ["fold 1, seed 1"] * 2
    assert table["accuracy"].tolist() == [0.1, 0.2, 0.96, 0.97]
    efforts = efforts_of_runs(table, 0.95, 1)
    assert efforts["seed"].tolist() == [0, 1]
    assert efforts["first_seconds"].isna().tolist() == [True, False]
    assert efforts.loc[1, "first_seconds"] == 2.5
    with pytest.raises(InputError, match=r"put test into train\.watch"):
        watched_histories(runs[2:], histories[2:], [timings])
