"""What a set of predictions is worth: the numbers of a diagnostic-accuracy table.

Two conventions hold everywhere in this module:

- The predicted class is the one of the highest probability (the earlier class in a tie).
- In a task of two classes the first class of the list is the negative one ("Normal") and the
  second is the positive one ("COVID"). With more classes every class is in turn the positive one
  against the rest.

A value that does not exist, such as the sensitivity for a class without test images, is None and
its reason stands in the list `undefined`. It is never 0, which would be read as a measurement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    matthews_corrcoef,
    roc_auc_score,
)
from sklearn.metrics import log_loss as cross_entropy

from workflow_scripts.cxrcam.intervals import (
    Interval,
    bootstrap_interval,
    weighted_auroc,
    weighted_average_precision,
    wilson_interval,
)

Floats = npt.NDArray[np.float64]

CALIBRATION_BINS: Final = 15
"""Number of equal-width confidence bins of the expected calibration error (Guo et al. 2017)."""

CONFIDENCE: Final = 0.95
"""Coverage of every interval in the metrics."""

# A softmax computed in half precision sums to 1 only within about 1e-3.
_SUM_TOLERANCE: Final = 2e-3

MAIN_NUMBERS: Final = (
    "accuracy",
    "balanced_accuracy",
    "accuracy_equation_1",
    "macro_f1",
    "mcc",
    "macro_auroc",
    "macro_auprc",
    "log_loss",
    "brier_score",
    "expected_calibration_error",
)
"""Columns that `summarise_over_folds` summarises."""

_PER_CLASS_NUMBERS: Final = ("sensitivity", "specificity", "ppv", "npv", "f1", "auroc", "auprc")


def _checked(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, classes: Sequence[str]
) -> tuple[npt.NDArray[np.int64], Floats]:
    """Check predictions and return class numbers (n,) and float64 probabilities (n, k)."""
    names = list(classes)
    if len(names) < 2:
        raise ValueError(f"classes is {names}; a classifier needs at least two")
    if len(set(names)) != len(names):
        raise ValueError(f"classes holds a name twice: {names}")
    truth = np.asarray(labels, dtype=object)
    scores = np.asarray(probabilities, dtype=np.float64)
    if truth.ndim != 1:
        raise ValueError(f"labels has shape {truth.shape}, expected (n,)")
    if scores.shape != (truth.size, len(names)):
        raise ValueError(
            f"probabilities has shape {scores.shape}, expected ({truth.size}, {len(names)}):"
            " one row an image, one column a class"
        )
    if truth.size == 0:
        raise ValueError("there are no predictions to evaluate (n = 0)")
    number = {name: index for index, name in enumerate(names)}
    unknown = sorted({str(label) for label in truth if label not in number})
    if unknown:
        raise ValueError(f"label {unknown[0]!r} is not among the classes {names}")
    not_finite = np.argwhere(~np.isfinite(scores))
    if not_finite.size:
        row, column = (int(value) for value in not_finite[0])
        raise ValueError(
            f"probability of {names[column]!r} in row {row} is {scores[row, column]},"
            " not a finite number; did the training diverge?"
        )
    outside = np.argwhere((scores < 0.0) | (scores > 1.0))
    if outside.size:
        row, column = (int(value) for value in outside[0])
        raise ValueError(
            f"probability of {names[column]!r} in row {row} is {scores[row, column]},"
            " outside [0, 1]; give probabilities, not logits"
        )
    sums = scores.sum(axis=1)
    off = np.flatnonzero(np.abs(sums - 1.0) > _SUM_TOLERANCE)
    if off.size:
        raise ValueError(f"probabilities of row {off[0]} sum to {sums[off[0]]:.6g}, not to 1")
    return np.array([number[label] for label in truth], dtype=np.int64), scores


def calibration_bins(
    confidence: npt.ArrayLike, correct: npt.ArrayLike, bins: int = CALIBRATION_BINS
) -> pd.DataFrame:
    """Accuracy and mean confidence in equal-width bins of the confidence.

    Parameters
    ----------
    confidence : array-like of float, shape (n,)
        Probability of the predicted class, in [0, 1].
    correct : array-like of bool, shape (n,)
        Whether the prediction was right.
    bins : int, default 15
        Number of bins; bin m holds confidences in ((m − 1)/bins, m/bins] (the first also 0).

    Returns
    -------
    DataFrame
        One row a bin: `low`, `high` (edges), `n`, `correct` (counts), `confidence` (mean) and
        `accuracy` (share), the last two NaN where the bin is empty.
    """
    scores = np.asarray(confidence, dtype=np.float64)
    right = np.asarray(correct, dtype=bool)
    edges = np.linspace(0.0, 1.0, bins + 1)
    bin_of = np.searchsorted(edges[1:-1], scores, side="left")
    n = np.bincount(bin_of, minlength=bins)
    n_correct = np.bincount(bin_of, weights=right, minlength=bins)
    total = np.bincount(bin_of, weights=scores, minlength=bins)
    empty = np.full(bins, np.nan)
    return pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "n": n,
            "correct": n_correct.astype(np.int64),
            "confidence": np.divide(total, n, out=empty.copy(), where=n > 0),
            "accuracy": np.divide(n_correct, n, out=empty.copy(), where=n > 0),
        }
    )


def expected_calibration_error(
    confidence: npt.ArrayLike, correct: npt.ArrayLike, bins: int = CALIBRATION_BINS
) -> float:
    """Mean gap between confidence and accuracy, weighted by the number of images in each bin.

    Top-label expected calibration error, equation (3) of Guo et al. 2017, "On Calibration of
    Modern Neural Networks".

    Parameters
    ----------
    confidence, correct, bins
        As in `calibration_bins`.

    Returns
    -------
    float
        In [0, 1]; 0 is perfect.
    """
    table = calibration_bins(confidence, correct, bins)
    used = table[table["n"] > 0]
    gap = (used["accuracy"] - used["confidence"]).abs()
    return float((gap * used["n"]).sum() / used["n"].sum())


def classification_metrics(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    classes: Sequence[str],
    *,
    groups: npt.ArrayLike | None = None,
    seed: int | np.random.SeedSequence | None = None,
    repeats: int = 2000,
) -> dict[str, Any]:
    """Every number of the evaluation of one model on one test set.

    Parameters
    ----------
    labels : array-like of str, shape (n,)
        True class of each image.
    probabilities : array-like of float64, shape (n, k)
        Softmax output, columns in the order of `classes`, rows summing to 1.
    classes : sequence of str, length k ≥ 2
        Class names. In a two-class task the first is the negative, the second the positive class.
    groups : array-like of shape (n,), optional
        Patient or duplicate cluster of each image, kept together by the bootstrap.
    seed : int or numpy.random.SeedSequence, optional
        Seed of the bootstrap. Without it `auroc_interval`, `auprc_interval` and
        `macro_auroc_interval` are None and nothing is drawn.
    repeats : int, default 2000
        Bootstrap resamples.

    Returns
    -------
    dict
        Of dicts, lists, str, int, float and None only, so that `json.dumps(..., allow_nan=False)`
        accepts it. All shares are in [0, 1], not per cent. Keys:

        - `classes`, `negative_class`, `positive_class` (None with more than two classes), `n`,
          `n_per_class`, `correct`, `majority_class`, `majority_share`;
        - `confusion_matrix`: rows are the truth, columns the prediction, in class order;
        - `accuracy` and `accuracy_interval` (Wilson 95 %);
        - `accuracy_equation_1`: {`per_class`, `mean`}; equation (1) of Amodeo et al. 2021,
          (TP + TN) / (TP + TN + FP + FN), each class against the rest. With two classes it equals
          the accuracy; with more it is higher than the accuracy whenever there is an error,
          because an image confused between two classes counts as right for all others;
        - `balanced_accuracy` (mean sensitivity), `macro_f1`, `mcc` (Gorodkin's for k > 2),
          `macro_auroc`, `macro_auprc` (unweighted means of the classes against the rest);
        - `log_loss`: mean of −ln p(true class), nats, with p clipped as scikit-learn does;
        - `brier_score`: half the mean squared distance of the probability vector from the truth,
          so that two classes give the usual binary score; in [0, 1] for any k;
        - `expected_calibration_error`: 15 equal-width bins, top label;
        - `per_class`: for each class against the rest `n`, `predicted`, `sensitivity`,
          `specificity`, `ppv`, `npv` (each with a Wilson interval `<name>_interval`), `f1`,
          `auroc`, `auprc` (average precision);
        - `undefined`: list of {`metric`, `reason`} for every None that is not a choice.

    Raises
    ------
    ValueError
        For an unknown label, a probability that is not finite or outside [0, 1], rows that do not
        sum to 1, shapes that do not fit, or no images; the message names the value.
    """
    truth, scores = _checked(labels, probabilities, classes)
    names = list(classes)
    n, k = scores.shape
    predicted = scores.argmax(axis=1)
    matrix = confusion_matrix(truth, predicted, labels=np.arange(k))
    per_truth = matrix.sum(axis=1)
    per_prediction = matrix.sum(axis=0)
    correct = int(np.trace(matrix))
    undefined: list[dict[str, str]] = []

    def missing(metric: str, reason: str) -> None:
        undefined.append({"metric": metric, "reason": reason})

    per_class: dict[str, dict[str, Any]] = {}
    one_vs_rest_accuracy: dict[str, float] = {}
    for index, name in enumerate(names):
        true_positives = int(matrix[index, index])
        false_negatives = int(per_truth[index]) - true_positives
        false_positives = int(per_prediction[index]) - true_positives
        true_negatives = n - true_positives - false_negatives - false_positives
        one_vs_rest_accuracy[name] = (true_positives + true_negatives) / n
        entry: dict[str, Any] = {
            "n": int(per_truth[index]),
            "predicted": int(per_prediction[index]),
        }
        for metric, hits, out_of, reason in (
            ("sensitivity", true_positives, int(per_truth[index]), f"no image is {name!r}"),
            ("specificity", true_negatives, n - int(per_truth[index]), f"every image is {name!r}"),
            ("ppv", true_positives, int(per_prediction[index]), f"no image was called {name!r}"),
            (
                "npv",
                true_negatives,
                n - int(per_prediction[index]),
                f"every image was called {name!r}",
            ),
        ):
            if out_of == 0:
                entry[metric] = entry[f"{metric}_interval"] = None
                missing(f"{metric} of {name}", reason)
            else:
                entry[metric] = hits / out_of
                entry[f"{metric}_interval"] = list(wilson_interval(hits, out_of, CONFIDENCE))
        if per_truth[index] == 0:
            # The harmonic mean of a sensitivity that does not exist does not exist either; the
            # count formula below would give a 0 that looks like a measurement.
            entry["f1"] = None
            missing(f"f1 of {name}", f"no image is {name!r}")
        else:
            entry["f1"] = (
                2 * true_positives / (2 * true_positives + false_positives + false_negatives)
            )
        positive = truth == index
        if 0 < per_truth[index] < n:
            entry["auroc"] = float(roc_auc_score(positive, scores[:, index]))
            entry["auprc"] = float(average_precision_score(positive, scores[:, index]))
        else:
            entry["auroc"] = entry["auprc"] = None
            reason = f"{'no' if per_truth[index] == 0 else 'every'} image is {name!r}"
            missing(f"auroc of {name}", reason)
            missing(f"auprc of {name}", reason)
        per_class[name] = entry

    def mean_over_classes(metric: str, result: str) -> float | None:
        values = [entry[metric] for entry in per_class.values()]
        if any(value is None for value in values):
            without = [name for name in names if per_class[name][metric] is None]
            missing(result, f"{metric} is undefined for {', '.join(map(repr, without))}")
            return None
        return float(np.mean(values))

    if np.count_nonzero(per_truth) < 2 or np.count_nonzero(per_prediction) < 2:
        mcc = None
        which = "images are of" if np.count_nonzero(per_truth) < 2 else "predictions name"
        missing("mcc", f"all {which} one class")
    else:
        mcc = float(matthews_corrcoef(truth, predicted))

    one_hot = np.eye(k)[truth]
    top = scores.max(axis=1)
    result: dict[str, Any] = {
        "classes": names,
        "negative_class": names[0] if k == 2 else None,
        "positive_class": names[1] if k == 2 else None,
        "n": n,
        "n_per_class": {name: int(per_truth[index]) for index, name in enumerate(names)},
        "correct": correct,
        "majority_class": names[int(per_truth.argmax())],
        "majority_share": float(per_truth.max() / n),
        "confusion_matrix": matrix.tolist(),
        "accuracy": correct / n,
        "accuracy_interval": list(wilson_interval(correct, n, CONFIDENCE)),
        "accuracy_equation_1": {
            "per_class": one_vs_rest_accuracy,
            "mean": float(np.mean(list(one_vs_rest_accuracy.values()))),
        },
        "balanced_accuracy": mean_over_classes("sensitivity", "balanced_accuracy"),
        "macro_f1": mean_over_classes("f1", "macro_f1"),
        "mcc": mcc,
        "macro_auroc": mean_over_classes("auroc", "macro_auroc"),
        "macro_auprc": mean_over_classes("auprc", "macro_auprc"),
        # Rows renormalised: scikit-learn warns at sums that differ from 1 by a float32 rounding.
        "log_loss": float(
            cross_entropy(truth, scores / scores.sum(axis=1, keepdims=True), labels=list(range(k)))
        ),
        "brier_score": float(0.5 * ((scores - one_hot) ** 2).sum(axis=1).mean()),
        "expected_calibration_error": expected_calibration_error(top, predicted == truth),
        "per_class": per_class,
    }
    _add_bootstrap_intervals(result, truth, scores, groups, seed, repeats, undefined)
    result["undefined"] = undefined
    return result


def _add_bootstrap_intervals(
    result: dict[str, Any],
    truth: npt.NDArray[np.int64],
    scores: Floats,
    groups: npt.ArrayLike | None,
    seed: int | np.random.SeedSequence | None,
    repeats: int,
    undefined: list[dict[str, str]],
) -> None:
    """Write the bootstrap intervals of AUROC and AUPRC into `result`, in place."""

    def interval(metric: str, statistic: Any) -> list[float] | None:  # noqa: ANN401
        try:
            bounds: Interval = bootstrap_interval(
                statistic,
                truth,
                scores,
                groups=groups,
                seed=seed if seed is not None else 0,
                repeats=repeats,
                confidence=CONFIDENCE,
                weighted=True,
            )
        except ValueError as error:
            undefined.append({"metric": metric, "reason": str(error)})
            return None
        return list(bounds)

    names = result["classes"]
    if seed is None:
        for name in names:
            result["per_class"][name]["auroc_interval"] = None
            result["per_class"][name]["auprc_interval"] = None
        result["macro_auroc_interval"] = None
        return
    for index, name in enumerate(names):
        entry = result["per_class"][name]
        for metric, statistic in (("auroc", weighted_auroc), ("auprc", weighted_average_precision)):
            if entry[metric] is None:
                entry[f"{metric}_interval"] = None
                continue
            entry[f"{metric}_interval"] = interval(
                f"{metric}_interval of {name}",
                lambda t, s, w, i=index, f=statistic: f(t == i, s[:, i], w),
            )
    result["macro_auroc_interval"] = (
        None
        if result["macro_auroc"] is None
        else interval(
            "macro_auroc_interval",
            lambda t, s, w: np.mean(
                [weighted_auroc(t == i, s[:, i], w) for i in range(len(names))], axis=0
            ),
        )
    )


def flatten_metrics(metrics: Mapping[str, Any]) -> dict[str, float | int | None]:
    """Lay the numbers of `classification_metrics` out as flat columns of tables/metrics.csv.

    Parameters
    ----------
    metrics : mapping
        Result of `classification_metrics`, or the JSON read back.

    Returns
    -------
    dict
        `n`, `correct`, `majority_share`, `accuracy`, `accuracy_low`, `accuracy_high` (Wilson),
        the other `MAIN_NUMBERS`, `macro_auroc_low`, `macro_auroc_high` (bootstrap), and for each
        class `n_<class>`, `accuracy_equation_1_<class>`, `sensitivity_<class>`,
        `specificity_<class>`, `ppv_<class>`, `npv_<class>`, `f1_<class>`, `auroc_<class>`,
        `auprc_<class>`. Undefined values are None.
    """
    low, high = metrics["accuracy_interval"]
    auroc_low, auroc_high = metrics.get("macro_auroc_interval") or (None, None)
    row: dict[str, float | int | None] = {
        "n": metrics["n"],
        "correct": metrics["correct"],
        "majority_share": metrics["majority_share"],
        "accuracy": metrics["accuracy"],
        "accuracy_low": low,
        "accuracy_high": high,
    }
    for name in MAIN_NUMBERS[1:]:
        value = metrics[name]
        row[name] = value["mean"] if name == "accuracy_equation_1" else value
        if name == "macro_auroc":
            row["macro_auroc_low"], row["macro_auroc_high"] = auroc_low, auroc_high
    for class_name in metrics["classes"]:
        entry = metrics["per_class"][class_name]
        row[f"n_{class_name}"] = entry["n"]
        row[f"accuracy_equation_1_{class_name}"] = metrics["accuracy_equation_1"]["per_class"][
            class_name
        ]
        for name in _PER_CLASS_NUMBERS:
            row[f"{name}_{class_name}"] = entry[name]
    return row


def metrics_table_row(
    metrics: Mapping[str, Any], **identity: str | int
) -> dict[str, str | float | int | None]:
    """One row of tables/metrics.csv: what the run is, then `flatten_metrics`.

    Parameters
    ----------
    metrics : mapping
        Result of `classification_metrics`.
    **identity : str or int
        What names the run, in the order of the columns: dataset, task, scheme, fold, seed, ...

    Returns
    -------
    dict
        Identity columns first.

    Raises
    ------
    ValueError
        If an identity column has the name of a number.
    """
    numbers = flatten_metrics(metrics)
    clash = sorted(set(identity) & set(numbers))
    if clash:
        raise ValueError(f"identity column {clash[0]!r} is also the name of a number")
    return {**identity, **numbers}


def summarise_over_folds(
    table: pd.DataFrame, by: Sequence[str] = ("task", "scheme")
) -> pd.DataFrame:
    """Mean, spread and pooled accuracy of the runs of each task and scheme.

    Parameters
    ----------
    table : DataFrame
        One row a run, as `metrics_table_row` makes them; needs the columns `by`, `n`, `correct`.
        Numbers of `MAIN_NUMBERS` that are no column are left out.
    by : sequence of str, default ("task", "scheme")
        What a summary row stands for; put `dataset` in front where there are several.

    Returns
    -------
    DataFrame
        One row a combination of `by`, in order of first appearance: `n_runs`; for each number
        `<number>_mean`, `_standard_deviation` (ddof = 1, NaN for a single run), `_min`, `_max`,
        `_n_runs` (runs in which it is defined: the others are left out); `pooled_n`,
        `pooled_correct`, `pooled_accuracy`, `pooled_accuracy_low`, `pooled_accuracy_high`.

    Raises
    ------
    ValueError
        If a needed column is missing.

    Notes
    -----
    The pooled Wilson interval treats all tests as independent. That is true of k-fold
    cross-validation, where each image is tested once (apart from near-duplicates and the training
    images that the models share), but not of repeated random subsampling or of several seeds, where
    one image can be tested several times: there the interval is narrower than it should be, and
    the spread over runs should be read beside it. `bootstrap_interval` on the predictions
    with ``groups=image_id`` gives an interval that knows about the repeats.
    The standard deviation over folds is a spread, not a standard error: folds share training
    images (Bengio & Grandvalet 2004), so dividing by the root of n_runs would mislead.
    """
    needed = [*by, "n", "correct"]
    absent = [column for column in needed if column not in table.columns]
    if absent:
        raise ValueError(f"the metrics table has no column {absent[0]!r}; it has {list(table)}")
    rows: list[dict[str, Any]] = []
    for key, runs in table.groupby(list(by), sort=False, dropna=False):
        row: dict[str, Any] = dict(zip(by, key, strict=True))
        row["n_runs"] = len(runs)
        for name in MAIN_NUMBERS:
            if name not in runs.columns:
                continue
            values = pd.to_numeric(runs[name]).dropna()
            row[f"{name}_mean"] = values.mean()
            row[f"{name}_standard_deviation"] = values.std(ddof=1)
            row[f"{name}_min"] = values.min()
            row[f"{name}_max"] = values.max()
            row[f"{name}_n_runs"] = len(values)
        n, correct = int(runs["n"].sum()), int(runs["correct"].sum())
        low, high = wilson_interval(correct, n, CONFIDENCE)
        row |= {
            "pooled_n": n,
            "pooled_correct": correct,
            "pooled_accuracy": correct / n,
            "pooled_accuracy_low": low,
            "pooled_accuracy_high": high,
        }
        rows.append(row)
    return pd.DataFrame(rows)
