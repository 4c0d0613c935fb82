"""What a set of predictions is worth: the numbers of a diagnostic-accuracy table.

These conventions hold everywhere in this module:

- The predicted class is the one of the highest probability (the earlier class in a tie).
- AUROC, AUPRC and their intervals rank images by log-odds, see `ranking`.
- In a task of two classes the first class of the list is the negative one ("Normal") and the
  second is the positive one ("COVID"). With more classes every class is in turn the positive one
  against the rest.

A value that does not exist, such as the sensitivity for a class without test images, is None and
its reason stands in the list `undefined`. It is never 0, which would be read as a measurement.

All shares are in [0, 1], not per cent. Keys of the result:

- `classes`, `negative_class`, `positive_class` (None with more than two classes), `n`,
  `n_per_class`, `correct`, `majority_class`, `majority_share`;
- `confusion_matrix`: rows are the truth, columns the prediction, in class order;
- `accuracy` and `accuracy_interval` (Wilson 95 %);
- `accuracy_equation_1`: {`per_class`, `mean`}; equation (1) of Amodeo et al. 2021,
  (TP + TN) / (TP + TN + FP + FN), each class against the rest. With two classes it equals the
  accuracy; with more it is higher than the accuracy whenever there is an error, because an image
  confused between two classes counts as right for all others;
- `balanced_accuracy` (mean sensitivity), `macro_f1`, `mcc` (Gorodkin's for k > 2), `macro_auroc`,
  `macro_auprc` (unweighted means of the classes against the rest);
- `log_loss`: mean of −ln p(true class), nats, with p clipped as scikit-learn does;
- `brier_score`: half the mean squared distance of the probability vector from the truth, so that
  two classes give the usual binary score; in [0, 1] for any k;
- `expected_calibration_error`: 15 equal-width bins, top label;
- `per_class`: for each class against the rest `n`, `predicted`, `sensitivity`, `specificity`,
  `ppv`, `npv` (each with a Wilson interval `<name>_interval`), `f1`, `auroc`, `auprc` (average
  precision; both with a bootstrap interval);
- `macro_auroc_interval` (bootstrap);
- `undefined`: list of {`metric`, `reason`} for every None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    matthews_corrcoef,
    multilabel_confusion_matrix,
    roc_auc_score,
)
from sklearn.metrics import log_loss as cross_entropy

from workflow_scripts.cxrcam.arrays import BoolArray, Float64Array, Int64Array
from workflow_scripts.cxrcam.metrics.calibration_bins import expected_calibration_error
from workflow_scripts.cxrcam.metrics.intervals import (
    bootstrap_interval,
    weighted_auroc,
    weighted_average_precision,
    wilson_interval,
)
from workflow_scripts.cxrcam.metrics.ranking import class_log_odds

Undefined = dict[str, str]
"""The numbers that do not exist, each with its reason."""


def classification_metrics(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    classes: Sequence[str],
    *,
    groups: npt.ArrayLike | None = None,
    seed: int | np.random.SeedSequence,
) -> dict[str, Any]:
    """Every number of the evaluation of one model on one test set.

    Parameters
    ----------
    labels : array-like of str, shape (n,)
        True class of each image.
    probabilities : array-like of float64, shape (n, k)
        Softmax output, columns in the order of `classes`.
    classes : sequence of str, length k ≥ 2
        In a two-class task the first is the negative, the second the positive class.
    groups, seed
        As in `intervals.bootstrap_interval`.

    Returns
    -------
    dict
        See the module: dicts, lists, str, int, float and None only, ready for JSON.

    Raises
    ------
    ValueError
        For an unknown label, a probability that is not finite, shapes that do not fit, or no
        images; the message names the value.
    """
    truth, scores = _checked(labels, probabilities, classes)
    names, ranking = list(classes), class_log_odds(scores)
    predicted = scores.argmax(axis=1)
    matrix = confusion_matrix(truth, predicted, labels=np.arange(len(names)))
    tables = multilabel_confusion_matrix(truth, predicted, labels=np.arange(len(names)))
    tables = tables.astype(np.int64)  # where no image is right, scikit-learn gives floats
    undefined: Undefined = {}
    per_class = {
        name: _class_metrics(name, tables[k], truth == k, ranking[:, k], undefined)
        for k, name in enumerate(names)
    }
    mcc = _matthews_correlation(truth, predicted, undefined)
    result: dict[str, Any] = {
        **_counts(matrix, names),
        **_accuracies(matrix, tables, names),
        "balanced_accuracy": _class_mean(per_class, "sensitivity", "balanced_accuracy", undefined),
        "macro_f1": _class_mean(per_class, "f1", "macro_f1", undefined),
        "mcc": mcc,
        "macro_auroc": _class_mean(per_class, "auroc", "macro_auroc", undefined),
        "macro_auprc": _class_mean(per_class, "auprc", "macro_auprc", undefined),
        **_scores_of_probabilities(truth, scores),
        "per_class": per_class,
    }
    _add_bootstrap_intervals(result, truth, ranking, groups, seed, undefined)
    result["undefined"] = [{"metric": name, "reason": why} for name, why in undefined.items()]
    return result


def _counts(matrix: Int64Array, names: list[str]) -> dict[str, Any]:
    """Classes, and how many images there are of each."""
    per_truth, two = matrix.sum(axis=1), len(names) == 2
    return {
        "classes": names,
        "negative_class": names[0] if two else None,
        "positive_class": names[1] if two else None,
        "n": int(matrix.sum()),
        "n_per_class": {name: int(n) for name, n in zip(names, per_truth, strict=True)},
        "correct": int(np.trace(matrix)),
        "majority_class": names[int(per_truth.argmax())],
        "majority_share": float(per_truth.max() / matrix.sum()),
        "confusion_matrix": matrix.tolist(),
    }


def _accuracies(matrix: Int64Array, tables: Int64Array, names: list[str]) -> dict[str, Any]:
    """Accuracy with its interval, and the paper's equation (1)."""
    n, correct = int(matrix.sum()), int(np.trace(matrix))
    equation_1 = {name: int(np.trace(table)) / n for name, table in zip(names, tables, strict=True)}
    return {
        "accuracy": correct / n,
        "accuracy_interval": list(wilson_interval(correct, n)),
        "accuracy_equation_1": {
            "per_class": equation_1,
            "mean": float(np.mean(list(equation_1.values()))),
        },
    }


def _scores_of_probabilities(truth: Int64Array, scores: Float64Array) -> dict[str, float]:
    """Log loss, Brier score and expected calibration error."""
    k = scores.shape[1]
    # Rows renormalised: scikit-learn warns at sums that differ from 1 by a float32 rounding.
    renormalised = scores / scores.sum(axis=1, keepdims=True)
    return {
        "log_loss": float(cross_entropy(truth, renormalised, labels=list(range(k)))),
        "brier_score": float(0.5 * ((scores - np.eye(k)[truth]) ** 2).sum(axis=1).mean()),
        "expected_calibration_error": expected_calibration_error(
            scores.max(axis=1), scores.argmax(axis=1) == truth
        ),
    }


def _checked(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, classes: Sequence[str]
) -> tuple[Int64Array, Float64Array]:
    """Check predictions and return class numbers (n,) and float64 probabilities (n, k)."""
    names = list(classes)
    truth = np.asarray(labels, dtype=object)
    scores = np.asarray(probabilities, dtype=np.float64)
    if scores.shape != (truth.size, len(names)):
        raise ValueError(
            f"probabilities has shape {scores.shape}, expected ({truth.size}, {len(names)}):"
            " one row an image, one column a class"
        )
    if truth.size == 0:
        raise ValueError("there are no predictions to evaluate (n = 0)")
    unknown = sorted({str(label) for label in truth} - set(names))
    if unknown:
        raise ValueError(f"label {unknown[0]!r} is not among the classes {names}")
    for row, column in np.argwhere(~np.isfinite(scores)).tolist():
        raise ValueError(
            f"probability of {names[column]!r} in row {row} is {scores[row, column]},"
            " not a finite number; did the training diverge?"
        )
    return np.array([names.index(label) for label in truth], dtype=np.int64), scores


def _class_metrics(
    name: str,
    table: Int64Array,
    positive: BoolArray,
    ranking: Float64Array,
    undefined: Undefined,
) -> dict[str, Any]:
    """All numbers of one class against the rest but the bootstrap intervals."""
    (rejections, false_alarms), (misses, hits) = table.tolist()
    n, n_true, n_called = len(positive), hits + misses, hits + false_alarms
    entry: dict[str, Any] = {"n": n_true, "predicted": n_called}
    for metric, successes, out_of, reason in (
        ("sensitivity", hits, n_true, f"no image is {name!r}"),
        ("specificity", rejections, n - n_true, f"every image is {name!r}"),
        ("ppv", hits, n_called, f"no image was called {name!r}"),
        ("npv", rejections, n - n_called, f"every image was called {name!r}"),
    ):
        if out_of == 0:
            entry[metric] = entry[f"{metric}_interval"] = None
            undefined[f"{metric} of {name}"] = reason
        else:
            entry[metric] = successes / out_of
            entry[f"{metric}_interval"] = list(wilson_interval(successes, out_of))
    # The harmonic mean of a sensitivity that does not exist does not exist either; the count
    # formula would give a 0 that looks like a measurement.
    entry["f1"] = 2 * hits / (2 * hits + false_alarms + misses) if n_true else None
    if 0 < n_true < n:
        entry["auroc"] = float(roc_auc_score(positive, ranking))
        # A sum of steps, which can exceed 1 by its rounding.
        entry["auprc"] = min(1.0, float(average_precision_score(positive, ranking)))
    else:
        entry["auroc"] = entry["auprc"] = None
    for metric in ("f1", "auroc", "auprc"):
        if entry[metric] is None:
            which = "no" if n_true == 0 else "every"
            undefined[f"{metric} of {name}"] = f"{which} image is {name!r}"
    return entry


def _class_mean(
    per_class: Mapping[str, Mapping[str, Any]], metric: str, result: str, undefined: Undefined
) -> float | None:
    """Unweighted mean over the classes, if the metric exists for all of them."""
    without = [name for name, entry in per_class.items() if entry[metric] is None]
    if without:
        undefined[result] = f"{metric} is undefined for {', '.join(map(repr, without))}"
        return None
    return float(np.mean([entry[metric] for entry in per_class.values()]))


def _matthews_correlation(
    truth: Int64Array, predicted: Int64Array, undefined: Undefined
) -> float | None:
    """Matthews' correlation coefficient, Gorodkin's for more than two classes."""
    for numbers, which in ((truth, "images are of"), (predicted, "predictions name")):
        if np.unique(numbers).size < 2:
            undefined["mcc"] = f"all {which} one class"
            return None
    return float(matthews_corrcoef(truth, predicted))


def _add_bootstrap_intervals(
    result: dict[str, Any],
    truth: Int64Array,
    ranking: Float64Array,
    groups: npt.ArrayLike | None,
    seed: int | np.random.SeedSequence,
    undefined: Undefined,
) -> None:
    """Write the bootstrap intervals of AUROC and AUPRC into `result`, in place."""

    def interval(
        of: str, value: float | None, statistic: Callable[..., Float64Array]
    ) -> list[float] | None:
        if value is None:
            return None
        try:
            return list(bootstrap_interval(statistic, truth, ranking, groups=groups, seed=seed))
        except ValueError as error:
            undefined[of] = str(error)
            return None

    for k, (name, entry) in enumerate(result["per_class"].items()):
        for metric, area in (("auroc", weighted_auroc), ("auprc", weighted_average_precision)):
            entry[f"{metric}_interval"] = interval(
                f"{metric}_interval of {name}",
                entry[metric],
                lambda t, s, counts, k=k, area=area: area(t == k, s[:, k], counts),
            )
    result["macro_auroc_interval"] = interval(
        "macro_auroc_interval",
        result["macro_auroc"],
        lambda t, s, counts: np.mean(
            [weighted_auroc(t == k, s[:, k], counts) for k in range(s.shape[1])], axis=0
        ),
    )
