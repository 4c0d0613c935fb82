"""What images are ranked by: the same order, however sure a network is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from workflow_scripts.cxrcam.metrics.ranking import class_log_odds

LOGITS = np.random.default_rng(0).normal(0.0, 20.0, (200, 3))


def said(logits: np.ndarray) -> np.ndarray:
    """Probabilities as files hold them."""
    return softmax(logits, axis=1).astype(np.float32)


@pytest.mark.parametrize("k", [2, 3])
def test_a_sure_network_ranks_as_its_logits_do(k: int) -> None:
    logits = LOGITS[:, :k]
    probabilities = said(logits)
    for column in range(k):
        others = np.delete(logits, column, axis=1)
        truth = logits[:, column] - others.max(axis=1) + 30.0 * np.sin(np.arange(200)) > 0
        exact = logits[:, column] - np.log(np.exp(others).sum(axis=1))
        area = roc_auc_score(truth, exact)
        assert roc_auc_score(truth, class_log_odds(probabilities)[:, column]) == pytest.approx(area)
        assert roc_auc_score(truth, probabilities[:, column]) != pytest.approx(area)


def test_of_two_classes_one_is_minus_the_other() -> None:
    odds = class_log_odds(said(LOGITS[:, :2]))
    np.testing.assert_array_equal(odds[:, 0], -odds[:, 1])


@given(st.lists(st.floats(2**-7, 1 - 2**-7, width=32), min_size=2, max_size=30))
def test_the_order_is_that_of_the_probabilities(values: list[float]) -> None:
    positive = np.array(values)  # neighbours in float32, as files hold them, are told apart
    odds = class_log_odds(np.stack([1 - positive, positive], axis=1))[:, 1]
    np.testing.assert_array_equal(np.sign(np.diff(odds)), np.sign(np.diff(positive)))


def test_a_certain_answer_has_a_finite_score_above_all_others() -> None:
    odds = class_log_odds([[0.0, 1.0], [1e-30, 1.0], [0.5, 0.5]])
    assert np.isfinite(odds).all()
    assert odds[0, 1] > odds[1, 1] > odds[2, 1] == 0.0
