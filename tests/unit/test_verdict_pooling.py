"""One number a design: folds add up, seeds do not, and no row is lost unseen."""

import pandas as pd
import pytest

from tests.unit.audit_tables_example import NAN, runs
from workflow_scripts.cxrcam.metrics.intervals import wilson_interval
from workflow_scripts.cxrcam.verdict.pooling import (
    Estimate,
    designs,
    difference_of_shares,
    pooled_estimate,
    pooled_share,
)


def test_folds_add_up_and_seeds_do_not():
    folds = pooled_share(runs((1, 0, 60, 0.9), (2, 0, 40, 0.8)))
    assert (folds.value, folds.n) == (pytest.approx(0.86), 100)
    assert (folds.low, folds.high) == pytest.approx(tuple(wilson_interval(86, 100)))
    assert pooled_share(runs((1, 0, 60, 0.9), (1, 1, 60, 0.8), (1, 2, 60, 0.85))).n == 60
    assert pooled_share(runs((1, 0, 60, NAN))) is None


def test_intervals_of_folds_shrink_with_their_root_and_those_of_seeds_do_not():
    columns = ("fold", "seed", "n", "value", "low", "high")
    rows = [(fold, 0, 50, 0.1, 0.0, 0.2) for fold in range(4)]
    folds = pooled_estimate(runs(*rows, columns=columns), "value", "low", "high")
    assert (folds.low, folds.high, folds.n) == (pytest.approx(0.05), pytest.approx(0.15), 200)
    seeds = [(1, seed, 50, 0.1, 0.0, 0.2) for seed in range(4)]
    same = pooled_estimate(runs(*seeds, columns=columns), "value", "low", "high")
    assert (same.low, same.high, same.n) == (pytest.approx(0.0), pytest.approx(0.2), 50)
    # 10 comparisons at 5 %: the quantile of 0.9975 in place of 0.975.
    wide = pooled_estimate(runs(*seeds, columns=columns), "value", "low", "high", 10)
    assert wide.high - 0.1 == pytest.approx(0.1 * 2.807034 / 1.959964, rel=1e-6)


def test_difference_of_shares_equals_the_published_example_of_newcombe():
    # Newcombe (1998), Stat Med 17:873-890, table II, example (a), method 10: 56/70 - 48/80.
    first, second = (Estimate(k / n, *wilson_interval(k, n), n) for k, n in ((56, 70), (48, 80)))
    found = difference_of_shares(first, second)
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_a_row_without_a_scheme_is_refused_not_dropped():
    table = pd.DataFrame({"task": ["two_class"], "scheme": [NAN], "n": [60]})
    with pytest.raises(ValueError, match="no task or scheme"):
        list(designs(table, ("n",)))
