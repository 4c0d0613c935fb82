"""Intervals: against published examples, scipy and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from workflow_scripts.cxrcam.metrics.intervals import (
    bootstrap_interval,
    bootstrap_weights,
    weighted_auroc,
    weighted_average_precision,
    weighted_mean,
    wilson_interval,
)


def auroc_interval(positive, scores, **options):
    return bootstrap_interval(weighted_auroc, positive, scores, **options)


def test_wilson_equals_the_published_examples_of_newcombe():
    # Newcombe (1998), Stat Med 17:857-872, table I, method 3 (score without correction).
    published = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for (successes, n), bounds in published.items():
        assert tuple(wilson_interval(successes, n)) == pytest.approx(bounds, abs=5e-5)


@given(st.integers(1, 5000), st.data(), st.floats(0.5, 0.999))
@settings(max_examples=60)
def test_wilson_brackets_the_share_and_reaches_0_and_1_at_the_ends_only(n, data, confidence):
    successes = data.draw(st.integers(0, n))
    low, high = wilson_interval(successes, n, confidence)
    assert 0.0 <= low <= successes / n <= high <= 1.0
    assert (low == 0.0, high == 1.0) == (successes == 0, successes == n)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [((1, 0), "n is 0"), ((5, 4), "5"), ((-1, 4), "-1"), ((1, 4, 1.0), "confidence is 1.0")],
)
def test_wilson_names_the_value_that_makes_no_sense(arguments, named):
    with pytest.raises(ValueError, match=named):
        wilson_interval(*arguments)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=4, max_size=40))
@settings(max_examples=30)
def test_weighted_areas_equal_scikit_learn_with_ties_and_sample_weights(pairs):
    positive = np.array([pair[0] for pair in pairs])
    scores = np.array([pair[1] for pair in pairs]) / 8
    weights = np.random.default_rng(len(pairs)).integers(0, 4, size=(3, len(pairs)))
    weights = np.vstack([np.ones(len(pairs), dtype=int), weights])
    auroc = weighted_auroc(positive, scores, weights)
    precision = weighted_average_precision(positive, scores, weights)
    for row, weight in enumerate(weights):
        drawn = weight > 0
        if not positive[drawn].any():
            assert np.isnan(auroc[row])
            assert np.isnan(precision[row])
            continue
        expected = average_precision_score(positive, scores, sample_weight=weight)
        assert precision[row] == pytest.approx(expected, abs=1e-9)
        if positive[drawn].all():
            assert np.isnan(auroc[row])
        else:
            expected = roc_auc_score(positive[drawn], scores[drawn], sample_weight=weight[drawn])
            assert auroc[row] == pytest.approx(expected, abs=1e-9)


def test_whole_groups_are_drawn_together():
    groups = np.array(["a", "a", "b", "c", "c", "c"])
    counts = np.concatenate(list(bootstrap_weights(6, groups=groups, seed=1, repeats=200)))
    assert counts.shape == (200, 6)
    for group in "abc":
        of_group = counts[:, groups == group]
        assert (of_group == of_group[:, :1]).all()
    # As many groups are drawn as there are groups.
    assert (counts[:, [0, 2, 3]].sum(axis=1) == 3).all()


def test_duplicated_images_do_not_narrow_the_interval_when_they_are_grouped():
    generator = np.random.default_rng(0)
    positive = generator.random(60) < 0.5
    scores = generator.normal(size=60) + positive
    once = auroc_interval(positive, scores, seed=4)
    copies = np.repeat(np.arange(60), 5)
    grouped = auroc_interval(positive[copies], scores[copies], groups=copies, seed=4)
    naive = auroc_interval(positive[copies], scores[copies], seed=4)
    assert tuple(grouped) == pytest.approx(tuple(once), abs=1e-9)
    assert naive.high - naive.low < 0.7 * (once.high - once.low)


def test_loop_and_vectorised_bootstrap_agree():
    generator = np.random.default_rng(2)
    positive = generator.random(40) < 0.4
    scores = generator.normal(size=40) + positive

    def one_by_one(truth, score, counts):
        for row in counts:
            drawn = np.repeat(np.arange(40), row)
            both = truth[drawn].any() and not truth[drawn].all()
            yield roc_auc_score(truth[drawn], score[drawn]) if both else float("nan")

    slow = bootstrap_interval(
        lambda *given: np.array(list(one_by_one(*given))), positive, scores, seed=7, repeats=100
    )
    fast = auroc_interval(positive, scores, seed=7, repeats=100)
    assert tuple(fast) == pytest.approx(tuple(slow), abs=1e-9)


def test_bootstrap_of_a_mean_is_close_to_the_normal_interval():
    values = np.random.default_rng(5).normal(10.0, 2.0, size=400)
    low, high = bootstrap_interval(weighted_mean, values, seed=0, repeats=1500)
    half = 1.96 * values.std(ddof=1) / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)


def test_same_seed_gives_the_same_interval_and_another_seed_another():
    positive = np.arange(30) % 3 == 0
    scores = np.sin(np.arange(30.0)) + positive
    first = auroc_interval(positive, scores, seed=1)
    assert first == auroc_interval(positive, scores, seed=np.random.SeedSequence(1))
    assert first != auroc_interval(positive, scores, seed=2)


def test_draws_do_not_depend_on_the_size_of_a_batch(monkeypatch):
    whole = np.concatenate(list(bootstrap_weights(50, seed=3, repeats=40)))
    monkeypatch.setattr("workflow_scripts.cxrcam.metrics.intervals._BATCH_ELEMENTS", 150)
    pieces = list(bootstrap_weights(50, seed=3, repeats=40))
    assert len(pieces) > 1
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_bad_scores_and_groups_are_named():
    with pytest.raises(ValueError, match="nan"):
        auroc_interval([True, False], [0.5, float("nan")], seed=0)
    with pytest.raises(ValueError, match=r"groups has shape \(3,\)"):
        auroc_interval([True, False], [0.5, 0.2], groups=[1, 2, 3], seed=0)
    with pytest.raises(ValueError, match="observation 1 has no group"):
        auroc_interval([True, False], [0.5, 0.2], groups=["a", None], seed=0)
    with pytest.raises(ValueError, match="undefined on 20 of 20"):
        auroc_interval([True, True], [0.5, 0.2], seed=0, repeats=20)
    with pytest.raises(ValueError, match="no observations"):
        auroc_interval([], [], seed=0)
