"""Conformal sets hold the truth as often as promised, on synthetic classifiers good and bad."""

import math

import numpy as np
import pytest

from workflow_scripts.cxrcam.metrics.conformal import (
    conformal_scores,
    fewest_images,
    prediction_sets,
)


def draws(
    rng: np.random.Generator, n: int, classes: int = 3, skill: float = 2.0
) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and probabilities that know something of them."""
    labels = rng.integers(classes, size=n)
    logits = rng.normal(size=(n, classes))
    logits[np.arange(n), labels] += skill
    exponential = np.exp(3 * logits)
    return exponential / exponential.sum(axis=1, keepdims=True), labels


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
@pytest.mark.parametrize("skill", [0.0, 2.0])
def test_sets_hold_the_truth_as_often_as_promised(coverage: float, skill: float) -> None:
    rng = np.random.default_rng(7)
    repeats, n, n_new = 400, 39, 50
    covered = []
    for _ in range(repeats):
        known, labels = draws(rng, n, skill=skill)
        new, truth = draws(rng, n_new, skill=skill)
        sets = prediction_sets([new], [conformal_scores(known, labels)], coverage)
        covered.append(sets[np.arange(n_new), truth].mean())
    # The theorem: between the coverage and 1 / (n + 1) more, on average over calibrations.
    error = 4 * np.std(covered) / math.sqrt(repeats)
    assert coverage - error <= np.mean(covered) <= coverage + 1 / (n + 1) + error


def test_several_folds_together_keep_the_coverage() -> None:
    rng = np.random.default_rng(8)
    covered = []
    for _ in range(300):
        known = [draws(rng, 20) for _ in range(3)]
        new, truth = draws(rng, 20)
        # Each fold says something else of the new images.
        said = [new ** rng.uniform(0.5, 2) for _ in range(3)]
        said = [values / values.sum(axis=1, keepdims=True) for values in said]
        sets = prediction_sets(said, [conformal_scores(*pair) for pair in known], 0.9)
        covered.append(sets[np.arange(20), truth].mean())
    assert 0.86 < np.mean(covered) < 0.97


def conformal_quantile(scores: np.ndarray, coverage: float) -> float:
    """Largest score at which a class stays, as the papers define it: a rank among the scores."""
    rank = math.ceil(round((len(scores) + 1) * coverage, 9))
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else math.inf


@pytest.mark.parametrize("n", [1, 8, 9, 10, 19, 20, 57])
@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95])
def test_one_fold_is_split_conformal_by_its_quantile(n: int, coverage: float) -> None:
    rng = np.random.default_rng(n)
    scores, new = rng.random(n), rng.random((40, 3))
    expected = 1.0 - new <= conformal_quantile(scores, coverage)
    assert (prediction_sets([new], [scores], coverage) == expected).all()


def test_too_few_images_exclude_no_class() -> None:
    assert [fewest_images(c) for c in (0.5, 0.8, 0.9, 0.95, 0.99)] == [1, 4, 9, 19, 99]
    new = np.array([[0.999, 0.001]])
    for coverage in (0.5, 0.8, 0.9, 0.95):
        n = fewest_images(coverage)
        assert prediction_sets([new], [np.full(n - 1, 0.01)], coverage).all()
        assert prediction_sets([new], [np.full(n, 0.01)], coverage).tolist() == [[True, False]]


def test_a_set_is_empty_where_nothing_fits() -> None:
    # The truth always had 0.99; now both classes have a half.
    assert not prediction_sets([np.array([[0.5, 0.5]])], [np.full(99, 0.01)], 0.9).any()
