"""DeLong and McNemar: against direct computation, scipy, scikit-learn and published examples."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2, norm
from sklearn.metrics import roc_auc_score

from workflow_scripts.cxrcam.metrics.comparisons import (
    COLUMNS,
    compared_runs,
    delong_test,
    mcnemar_test,
)

# The ovarian cancer patients of DeLong et al. (1988) with complete records: total protein,
# K-G score (here "10 minus score", as in their analysis), benefit from surgery.
TOTAL_PROTEIN = [
    *(5.8, 6.3, 6.8, 4.8, 5.8, 4.0, 5.7, 5.6, 5.7, 6.7, 5.4, 6.6, 6.6, 5.7, 7.0, 6.7, 4.4, 7.6),
    *(6.6, 5.8, 6.8, 4.7, 7.4, 7.4, 6.6, 8.2, 7.0, 6.5, 5.1, 4.7, 6.8, 4.0, 6.1, 6.3, 7.7, 6.2),
    *(5.7, 4.8, 6.2, 7.0, 5.7, 6.9, 6.6),
]
KG_SCORE = 10 - np.array(
    [
        *(10, 5, 3, 6, 3, 5, 8, 5, 5, 6, 4, 6, 5, 5, 4, 4, 6, 4, 6, 6, 7, 8, 5, 5, 6, 6, 5, 4),
        *(5, 6, 6, 7, 5, 7, 6, 5, 9, 7, 8, 7, 6, 5, 5),
    ]
)
BENEFIT = [
    *(0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1),
    *(1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 0, 1, 1, 1, 1),
]


def direct_components(truth, scores):
    """Structural components pair by pair, as DeLong et al. define them: O(m·n)."""
    positives, negatives = scores[truth == 1], scores[truth == 0]
    wins = (positives[:, None] > negatives) + 0.5 * (positives[:, None] == negatives)
    return wins.mean(axis=1), wins.mean(axis=0)


scored_images = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 6), st.integers(0, 6)), min_size=5, max_size=60
).filter(lambda rows: 2 <= sum(row[0] for row in rows) <= len(rows) - 2)


@given(scored_images)
@settings(max_examples=80)
def test_delong_equals_the_direct_computation_with_ties(rows):
    truth, a, b = np.array(rows).T
    found = delong_test(truth == 1, a, b)
    assert found.auroc_a == pytest.approx(roc_auc_score(truth, a), abs=1e-9)
    assert found.auroc_b == pytest.approx(roc_auc_score(truth, b), abs=1e-9)
    (a10, a01), (b10, b01) = direct_components(truth, a), direct_components(truth, b)
    covariance = np.cov(a10, b10) / len(a10) + np.cov(a01, b01) / len(a01)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    if found.standard_error is None:
        assert variance == pytest.approx(0, abs=1e-12)
        assert found.reason
        return
    assert found.standard_error == pytest.approx(math.sqrt(variance), abs=1e-9)
    z = (a10.mean() - b10.mean()) / math.sqrt(variance)
    assert found.p == pytest.approx(2 * norm.cdf(-abs(z)), abs=1e-9)


def test_delong_equals_the_published_analysis_of_delong_s_own_patients():
    # PROC LOGISTIC, SAS/STAT User's Guide, "Comparing receiver operating characteristic curves".
    found = delong_test(np.array(BENEFIT) == 1, np.array(TOTAL_PROTEIN), KG_SCORE)
    assert (found.auroc_a, found.auroc_b) == pytest.approx((0.6478, 0.7258), abs=5e-5)
    assert (found.difference, found.standard_error, found.low, found.high, found.p) == (
        pytest.approx((-0.0780, 0.1046, -0.2830, 0.1271, 0.4561), abs=5e-5)
    )


def test_swapping_the_two_classifiers_changes_the_sign_and_nothing_else():
    rng = np.random.default_rng(0)
    truth, a, b = rng.random(80) < 0.5, rng.normal(size=80), rng.normal(size=80)
    forth, back = delong_test(truth, a, b), delong_test(truth, b, a)
    assert forth.difference == -back.difference
    assert (forth.p, forth.low) == pytest.approx((back.p, -back.high), abs=1e-12)


def test_five_per_cent_of_equal_classifiers_differ_at_the_five_per_cent_level():
    rng = np.random.default_rng(1)
    truth = np.repeat([False, True], 50)
    signal = truth * 1.0
    p = [delong_test(truth, *(signal + rng.normal(size=(2, 100)))).p for _ in range(1000)]
    assert 0.03 < np.mean(np.array(p) < 0.05) < 0.075


def test_a_difference_of_one_pair_among_millions_is_not_taken_for_rounding():
    truth = np.repeat([False, True], 3000)
    a = np.arange(6000.0)
    b = a.copy()
    b[[2999, 3000]] = b[[3000, 2999]]
    found = delong_test(truth, a, b)
    assert found.difference == pytest.approx(1 / 3000**2, rel=1e-6)
    assert found.standard_error == pytest.approx(math.sqrt(2) / 3000**2, rel=1e-3)


@pytest.mark.parametrize(
    ("truth", "a", "b", "reason"),
    [
        ([1, 1, 1], [1, 2, 3], [3, 2, 1], "all 3 images are positive"),
        ([0, 0], [1, 2], [3, 2], "all 2 images are negative"),
        ([], [], [], "all 0 images"),
        ([0, 0, 1], [1, 2, 3], [3, 2, 1], "only one positive image"),
        ([0, 0, 1, 1], [0, 1, 2, 3], [3, 2, 1, 0], "no variance"),
        ([0, 0, 1, 1], [0, 1, 2, 3], [0, 1, 2, 3], "alike"),
    ],
)
def test_what_delong_cannot_test_has_a_reason_and_no_number(truth, a, b, reason):
    found = delong_test(np.array(truth, dtype=bool), np.array(a), np.array(b))
    assert reason in found.reason
    assert found.standard_error is None and found.low is None
    assert found.p == (1.0 if reason == "alike" else None)


def test_delong_names_the_value_that_makes_no_sense():
    with pytest.raises(ValueError, match="nan is not a finite"):
        delong_test(np.array([False, True]), np.array([1.0, 2.0]), np.array([1.0, math.nan]))


def right_and_wrong(both, only_a, only_b, neither):
    counts = [both, only_a, only_b, neither]
    return np.repeat([True, True, False, False], counts), np.repeat(
        [True, False, True, False], counts
    )


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 30), st.integers(0, 30))
@settings(max_examples=80)
def test_mcnemar_equals_scipy(both, only_a, only_b, neither):
    found = mcnemar_test(*right_and_wrong(both, only_a, only_b, neither))
    assert (found.only_a_right, found.only_b_right) == (only_a, only_b)
    discordant = only_a + only_b
    if both + neither + discordant == 0:
        assert found.p is None and found.reason == "there are no images"
    elif discordant == 0:
        assert found.p == 1.0 and "no difference" in found.reason
    elif discordant < 25:
        assert found.method == "exact binomial"
        assert found.p == pytest.approx(binomtest(only_a, discordant).pvalue, abs=1e-9)
    else:
        statistic = max(0, abs(only_a - only_b) - 1) ** 2 / discordant
        assert found.p == pytest.approx(chi2.sf(statistic, 1), abs=1e-9)


def test_mcnemar_equals_the_example_that_statsmodels_and_r_agree_on():
    found = mcnemar_test(*right_and_wrong(101, 121, 59, 33))
    assert found.p == pytest.approx(5.450095e-06, abs=5e-12)


def run_and_table(scheme: str, seed: int) -> tuple[dict, pd.DataFrame]:
    """A run on 40 images, right more often the larger its seed."""
    rng = np.random.default_rng(seed)
    label = np.tile(["a", "b"], 20)
    score = np.clip((label == "b") * 0.3 * seed + rng.random(40) * 0.7, 0, 1)
    both = {"probability_a": 1 - score, "probability_b": score}
    table = pd.DataFrame({"label": label} | both)
    table["correct"] = (table["probability_b"] > 0.5) == (table["label"] == "b")
    run = {"task": "two", "fold": 1, "division": "once", "scheme": scheme, "seed": seed}
    return run, table


def test_runs_are_compared_that_differ_in_recipe_or_in_seed_but_not_in_both():
    runs, tables = zip(*(run_and_table(*of) for of in [("x", 1), ("x", 2), ("y", 2)]), strict=True)
    first, second = compared_runs(runs, tables, ["a", "b"])
    assert set(first) == set(COLUMNS)
    assert [first[key] for key in ("scheme_a", "seed_a", "scheme_b", "seed_b")] == ["x", 1, "x", 2]
    assert [second[key] for key in ("scheme_a", "seed_a", "scheme_b", "seed_b")] == [
        *("x", 2, "y", 2)
    ]
    assert (first["n"], first["accuracy_a"]) == (40, tables[0]["correct"].mean())
    paired = mcnemar_test(tables[0]["correct"].to_numpy(), tables[1]["correct"].to_numpy())
    assert (first["only_a_right"], first["mcnemar_p"]) == (paired.only_a_right, paired.p)
    truth = (tables[0]["label"] == "b").to_numpy()
    ranked = delong_test(truth, *(table["probability_b"].to_numpy() for table in tables[:2]))
    assert (first["auroc_difference"], first["delong_p"]) == (ranked.difference, ranked.p)
    assert second["note"].count("there is no difference to test") == 2


def test_with_more_than_two_classes_there_is_no_auroc_to_compare():
    runs, tables = zip(*(run_and_table("x", seed) for seed in (1, 2)), strict=True)
    (row,) = compared_runs(runs, tables, ["a", "b", "c"])
    assert "auroc_a" not in row and row["mcnemar_p"] is not None


def test_networks_so_sure_that_every_probability_rounds_to_one_are_ranked_all_the_same():
    run, table = run_and_table("x", 1)
    rank = table["probability_b"].rank().to_numpy()
    sure = table.assign(probability_a=np.float32(10.0**-20) / rank, probability_b=np.float32(1.0))
    (row,) = compared_runs([run, {**run, "seed": 2}], [table, sure], ["a", "b"])
    assert row["auroc_a"] == row["auroc_b"] != 0.5
