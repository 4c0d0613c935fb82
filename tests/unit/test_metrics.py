"""Numbers of the evaluation: worked examples, scikit-learn, properties, and what is undefined."""

import json
from functools import partial
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from workflow_scripts.cxrcam.metrics import classification
from workflow_scripts.cxrcam.metrics.intervals import bootstrap_interval, wilson_interval
from workflow_scripts.cxrcam.metrics.tables import flatten_metrics

TWO = ["Normal", "COVID"]
THREE = ["Normal", "COVID", "Viral Pneumonia"]


def classification_metrics(labels, probabilities, classes, seed=0):
    quick = partial(bootstrap_interval, repeats=50)
    with patch.object(classification, "bootstrap_interval", quick):
        return classification.classification_metrics(labels, probabilities, classes, seed=seed)


def predictions(n, classes, seed=0):
    """Random labels, all classes present, and probabilities that know something of them."""
    generator = np.random.default_rng(seed)
    truth = np.r_[np.arange(len(classes)), generator.integers(0, len(classes), n - len(classes))]
    logits = generator.normal(size=(n, len(classes)))
    logits[np.arange(n), truth] += 1.5
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return np.array(classes, dtype=object)[truth], probabilities


def from_matrix(matrix, classes):
    """Labels and near-certain probabilities that make the given confusion matrix."""
    labels, rows = [], []
    k = len(classes)
    for truth, counts in enumerate(matrix):
        for called, count in enumerate(counts):
            labels += [classes[truth]] * count
            rows += [np.where(np.arange(k) == called, 0.9, 0.1 / (k - 1))] * count
    return labels, np.array(rows)


def test_a_two_by_two_table_gives_the_textbook_numbers():
    # Altman & Bland (1994), BMJ 308:1552 and 309:102: liver scan against pathology. 258 abnormal
    # livers, 231 found; 86 normal ones, 54 found.
    result = classification_metrics(*from_matrix([[54, 32], [27, 231]], TWO), TWO)
    covid = result["per_class"]["COVID"]
    assert covid["sensitivity"] == pytest.approx(231 / 258, abs=1e-12)
    assert round(covid["sensitivity"], 2) == 0.90
    assert round(covid["specificity"], 2) == 0.63
    assert round(covid["ppv"], 2) == 0.88
    assert round(covid["npv"], 2) == 0.67
    assert result["confusion_matrix"] == [[54, 32], [27, 231]]
    assert result["accuracy"] == pytest.approx(285 / 344, abs=1e-12)
    assert covid["sensitivity_interval"] == pytest.approx(list(wilson_interval(231, 258)))
    assert (result["negative_class"], result["positive_class"]) == ("Normal", "COVID")


def test_equation_1_equals_the_accuracy_for_two_classes_and_flatters_three():
    two = classification_metrics(*from_matrix([[8, 2], [1, 9]], TWO), TWO)
    assert two["accuracy_equation_1"]["mean"] == pytest.approx(two["accuracy"], abs=1e-12)
    three = classification_metrics(*from_matrix([[8, 1, 1], [2, 7, 1], [0, 1, 9]], THREE), THREE)
    # By hand: errors that touch the class, over 30: Normal 2+2, COVID 3+2, Viral 1+2.
    assert three["accuracy_equation_1"]["per_class"] == pytest.approx(
        {"Normal": 26 / 30, "COVID": 25 / 30, "Viral Pneumonia": 27 / 30}, abs=1e-12
    )
    assert three["accuracy_equation_1"]["mean"] == pytest.approx(78 / 90, abs=1e-12)
    assert three["accuracy"] == pytest.approx(24 / 30, abs=1e-12)


@pytest.mark.parametrize("classes", [TWO, THREE, [f"class {i}" for i in range(6)]])
def test_numbers_equal_scikit_learn(classes):
    labels, scores = predictions(150, classes, seed=len(classes))
    k = len(classes)
    truth = np.array([classes.index(label) for label in labels])
    called = scores.argmax(axis=1)
    result = classification_metrics(labels, scores, classes)
    close = {"abs": 1e-9}
    assert result["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(truth, called))
    assert result["balanced_accuracy"] == pytest.approx(
        sklearn_metrics.balanced_accuracy_score(truth, called), **close
    )
    assert result["mcc"] == pytest.approx(sklearn_metrics.matthews_corrcoef(truth, called), **close)
    assert result["macro_f1"] == pytest.approx(
        sklearn_metrics.f1_score(truth, called, average="macro"), **close
    )
    assert result["log_loss"] == pytest.approx(
        sklearn_metrics.log_loss(truth, scores, labels=range(k)), **close
    )
    assert result["brier_score"] == pytest.approx(
        sklearn_metrics.brier_score_loss(truth, scores, labels=range(k), scale_by_half=True)
        if k > 2
        else sklearn_metrics.brier_score_loss(truth, scores[:, 1]),
        **close,
    )
    assert result["macro_auroc"] == pytest.approx(
        sklearn_metrics.roc_auc_score(np.eye(k)[truth], scores, average="macro"), **close
    )
    assert result["macro_auprc"] == pytest.approx(
        sklearn_metrics.average_precision_score(np.eye(k)[truth], scores, average="macro"), **close
    )
    f1 = sklearn_metrics.f1_score(truth, called, average=None)
    ppv = sklearn_metrics.precision_score(truth, called, average=None)
    sensitivity = sklearn_metrics.recall_score(truth, called, average=None)
    for index, name in enumerate(classes):
        entry = result["per_class"][name]
        assert entry["f1"] == pytest.approx(f1[index], **close)
        assert entry["ppv"] == pytest.approx(ppv[index], **close)
        assert entry["sensitivity"] == pytest.approx(sensitivity[index], **close)
        assert entry["specificity"] == pytest.approx(
            sklearn_metrics.recall_score(truth != index, called != index), **close
        )
        assert entry["npv"] == pytest.approx(
            sklearn_metrics.precision_score(truth != index, called != index), **close
        )
        assert entry["auroc"] == pytest.approx(
            sklearn_metrics.roc_auc_score(truth == index, scores[:, index]), **close
        )
    np.testing.assert_array_equal(
        result["confusion_matrix"], sklearn_metrics.confusion_matrix(truth, called)
    )
    assert result["undefined"] == []


@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(6, 40))
@example(217, 2, 13)  # where scikit-learn's average precision is 1.0000000000000002
@settings(max_examples=15)
def test_numbers_stay_in_bounds_and_ignore_the_order_of_the_images(seed, k, n):
    classes = [f"c{i}" for i in range(k)]
    labels, scores = predictions(n, classes, seed)
    result = classification_metrics(labels, scores, classes)
    flat = flatten_metrics(result)
    for name, value in flat.items():
        if (
            value is None
            or name in ("n", "correct", "log_loss", "smallest_class")
            or name.startswith("n_")
        ):
            continue
        assert (-1.0 if name == "mcc" else 0.0) <= value <= 1.0, name
    assert result["accuracy_interval"][0] <= result["accuracy"] <= result["accuracy_interval"][1]
    assert result["accuracy_equation_1"]["mean"] >= result["accuracy"] - 1e-12
    shuffled = np.random.default_rng(seed).permutation(n)
    again = flatten_metrics(classification_metrics(labels[shuffled], scores[shuffled], classes))
    for name, value in flat.items():
        if name not in ("macro_auroc_low", "macro_auroc_high"):  # resampled by position
            assert again[name] == (None if value is None else pytest.approx(value, abs=1e-9)), name


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(2, 4))
@settings(max_examples=30)
def test_every_missing_value_has_a_reason_and_the_json_is_valid(seed, n, k):
    generator = np.random.default_rng(seed)
    classes = [f"c{i}" for i in range(k)]
    scores = generator.dirichlet(np.ones(k), size=n)
    result = classification_metrics(generator.choice(classes, n), scores, classes)
    text = json.dumps(result, allow_nan=False)
    assert json.loads(text) == result
    flat = flatten_metrics(result)
    without_value = {name for name, value in flat.items() if value is None}
    # A bound is missing where its value is, or for a reason of its own.
    without_value -= {"macro_auroc_low", "macro_auroc_high"}
    reasons = {
        entry["metric"].replace(" of ", "_"): entry["reason"] for entry in result["undefined"]
    }
    assert without_value == {name for name in reasons if "_interval" not in name}
    assert all(reasons.values())


def test_an_absent_class_is_null_and_not_zero():
    result = classification_metrics(["Normal"] * 3, [[0.9, 0.1]] * 3, TWO)
    covid, normal = result["per_class"]["COVID"], result["per_class"]["Normal"]
    for name in ("sensitivity", "ppv", "f1", "auroc", "auprc", "sensitivity_interval"):
        assert covid[name] is None, name
    assert covid["specificity"] == 1.0
    assert normal["specificity"] is None
    assert normal["npv"] is None
    assert result["balanced_accuracy"] is None
    assert result["mcc"] is None
    assert result["accuracy"] == 1.0
    assert {"metric": "sensitivity of COVID", "reason": "no image is 'COVID'"} in result[
        "undefined"
    ]


def test_a_class_that_is_never_named_has_no_ppv_but_a_sensitivity_of_zero():
    result = classification_metrics(["Normal", "COVID"], [[0.9, 0.1], [0.8, 0.2]], TWO)
    covid = result["per_class"]["COVID"]
    assert (covid["ppv"], covid["sensitivity"], covid["f1"]) == (None, 0.0, 0.0)
    assert result["mcc"] is None


def test_a_tie_is_called_for_the_earlier_class():
    result = classification_metrics(["Normal", "COVID"], [[0.5, 0.5], [0.5, 0.5]], TWO)
    assert result["confusion_matrix"] == [[1, 0], [1, 0]]


@pytest.mark.parametrize(
    ("labels", "scores", "named"),
    [
        (["Normal", "COVID-19"], [[0.5, 0.5]] * 2, "'COVID-19'"),
        (["Normal"], [[float("nan"), 1.0]], "'Normal' in row 0 is nan"),
        (["Normal"], [[0.0, float("inf")]], "'COVID' in row 0 is inf"),
        (["Normal"], [[0.2, 0.3, 0.5]], r"\(1, 3\)"),
        (["Normal", "COVID"], [[0.5, 0.5]], r"\(1, 2\), expected \(2, 2\)"),
        ([], np.empty((0, 2)), "n = 0"),
    ],
)
def test_bad_predictions_are_refused_by_name(labels, scores, named):
    with pytest.raises(ValueError, match=named):
        classification_metrics(labels, scores, TWO)


def test_bootstrap_intervals_contain_the_value_and_follow_the_seed():
    labels, scores = predictions(120, THREE)
    result = classification_metrics(labels, scores, THREE, seed=5)
    for name in THREE:
        entry = result["per_class"][name]
        for metric in ("auroc", "auprc"):
            low, high = entry[f"{metric}_interval"]
            assert low < entry[metric] < high
    low, high = result["macro_auroc_interval"]
    assert low < result["macro_auroc"] < high
    assert result == classification_metrics(labels, scores, THREE, seed=5)
    other = classification_metrics(labels, scores, THREE, seed=6)
    assert other["macro_auroc_interval"] != result["macro_auroc_interval"]
