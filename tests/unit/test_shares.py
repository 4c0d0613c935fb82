"""Accuracy of several runs together: images count, not answers."""

import pandas as pd
import pytest

from workflow_scripts.cxrcam.metrics.intervals import wilson_interval
from workflow_scripts.cxrcam.metrics.shares import pooled


def runs(folds: list[int], sizes: list[int], accuracies: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"fold": folds, "n": sizes, "accuracy": accuracies})


def test_folds_are_added_up_by_their_images() -> None:
    share = pooled(runs([1, 2], [100, 300], [1.0, 0.5]))
    assert share is not None and (share.value, share.n) == (0.625, 400)
    assert (share.low, share.high) == wilson_interval(250, 400)


def test_seeds_answer_the_same_images_and_make_the_interval_no_narrower() -> None:
    one = pooled(runs([1], [140], [0.95]))
    three = pooled(runs([1, 1, 1], [140] * 3, [0.95] * 3))
    assert one is not None and three is not None
    assert three.n == 140 and vars(three) == pytest.approx(vars(one))
    # Two seeds of each of two folds.
    share = pooled(runs([1, 1, 2, 2], [10, 10, 30, 30], [0.8, 0.6, 0.9, 0.9]))
    assert share is not None
    assert (share.value, share.n) == (pytest.approx((7 + 27) / 40), 40)


def test_a_mean_over_seeds_lies_inside_its_interval() -> None:
    share = pooled(runs([1, 1], [1, 1], [1.0, 0.0]))
    assert share is not None and share.low <= share.value == 0.5 <= share.high


def test_runs_without_the_number_are_left_out() -> None:
    table = runs([1, 2], [10, 10], [0.5, float("nan")])
    share = pooled(table)
    assert share is not None and share.n == 10
    assert pooled(table.iloc[1:]) is None
    assert pooled(table.iloc[:0]) is None
    assert pooled(table, "rest_accuracy", "rest_n") is None
