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
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    matthews_corrcoef,
    roc_auc_score,
)
from sklearn.metrics import log_loss as cross_entropy

from workflow_scripts.cxrcam.arrays import BoolArray, Float64Array, Int64Array
from workflow_scripts.cxrcam.metrics.calibration_bins import expected_calibration_error
from workflow_scripts.cxrcam.metrics.intervals import (
    Interval,
    bootstrap_interval,
    weighted_auroc,
    weighted_average_precision,
    wilson_interval,
)

# A softmax computed in half precision sums to 1 only within about 1e-3.
_SUM_TOLERANCE: Final = 2e-3


class _Undefined(list[dict[str, str]]):
    """The numbers that do not exist, each with its reason."""

    def note(self, metric: str, reason: str) -> None:
        self.append({"metric": metric, "reason": reason})


class _FourfoldTable(NamedTuple):
    """Fourfold table of one class against the rest."""

    true_positives: int
    false_negatives: int
    false_positives: int
    true_negatives: int


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
    predicted = scores.argmax(axis=1)
    matrix = confusion_matrix(truth, predicted, labels=np.arange(len(names)))
    tables = [_fourfold_table(matrix, index) for index in range(len(names))]
    undefined = _Undefined()
    per_class = {
        name: _class_metrics(name, tables[index], truth == index, scores[:, index], undefined)
        for index, name in enumerate(names)
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
    _add_bootstrap_intervals(result, truth, scores, groups, seed, repeats, undefined)
    result["undefined"] = list(undefined)
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


def _accuracies(
    matrix: Int64Array, tables: Sequence[_FourfoldTable], names: list[str]
) -> dict[str, Any]:
    """Accuracy with its interval, and the paper's equation (1)."""
    n, correct = int(matrix.sum()), int(np.trace(matrix))
    equation_1 = {
        name: (table.true_positives + table.true_negatives) / n
        for name, table in zip(names, tables, strict=True)
    }
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


def _fourfold_table(matrix: Int64Array, index: int) -> _FourfoldTable:
    """Fourfold table of one class, from a confusion matrix with the truth in rows."""
    hits = int(matrix[index, index])
    misses = int(matrix[index].sum()) - hits
    false_alarms = int(matrix[:, index].sum()) - hits
    return _FourfoldTable(
        hits, misses, false_alarms, int(matrix.sum()) - hits - misses - false_alarms
    )


def _class_metrics(
    name: str,
    table: _FourfoldTable,
    positive: BoolArray,
    scores: Float64Array,
    undefined: _Undefined,
) -> dict[str, Any]:
    """All numbers of one class against the rest but the bootstrap intervals."""
    hits, misses, false_alarms, rejections = table
    n, n_true, n_called = sum(table), hits + misses, hits + false_alarms
    entry: dict[str, Any] = {"n": n_true, "predicted": n_called}
    for metric, successes, out_of, reason in (
        ("sensitivity", hits, n_true, f"no image is {name!r}"),
        ("specificity", rejections, n - n_true, f"every image is {name!r}"),
        ("ppv", hits, n_called, f"no image was called {name!r}"),
        ("npv", rejections, n - n_called, f"every image was called {name!r}"),
    ):
        if out_of == 0:
            entry[metric] = entry[f"{metric}_interval"] = None
            undefined.note(f"{metric} of {name}", reason)
        else:
            entry[metric] = successes / out_of
            entry[f"{metric}_interval"] = list(wilson_interval(successes, out_of))
    if n_true == 0:
        # The harmonic mean of a sensitivity that does not exist does not exist either; the
        # count formula below would give a 0 that looks like a measurement.
        entry["f1"] = None
        undefined.note(f"f1 of {name}", f"no image is {name!r}")
    else:
        entry["f1"] = 2 * hits / (2 * hits + false_alarms + misses)
    if 0 < n_true < n:
        entry["auroc"] = float(roc_auc_score(positive, scores))
        # A sum of steps, which can exceed 1 by its rounding.
        entry["auprc"] = min(1.0, float(average_precision_score(positive, scores)))
    else:
        entry["auroc"] = entry["auprc"] = None
        reason = f"{'no' if n_true == 0 else 'every'} image is {name!r}"
        undefined.note(f"auroc of {name}", reason)
        undefined.note(f"auprc of {name}", reason)
    return entry


def _class_mean(
    per_class: Mapping[str, Mapping[str, Any]], metric: str, result: str, undefined: _Undefined
) -> float | None:
    """Unweighted mean over the classes, if the metric exists for all of them."""
    without = [name for name, entry in per_class.items() if entry[metric] is None]
    if without:
        undefined.note(result, f"{metric} is undefined for {', '.join(map(repr, without))}")
        return None
    return float(np.mean([entry[metric] for entry in per_class.values()]))


def _matthews_correlation(
    truth: Int64Array, predicted: Int64Array, undefined: _Undefined
) -> float | None:
    """Matthews' correlation coefficient, Gorodkin's for more than two classes."""
    for numbers, which in ((truth, "images are of"), (predicted, "predictions name")):
        if np.unique(numbers).size < 2:
            undefined.note("mcc", f"all {which} one class")
            return None
    return float(matthews_corrcoef(truth, predicted))


def _add_bootstrap_intervals(
    result: dict[str, Any],
    truth: Int64Array,
    scores: Float64Array,
    groups: npt.ArrayLike | None,
    seed: int | np.random.SeedSequence | None,
    repeats: int,
    undefined: _Undefined,
) -> None:
    """Write the bootstrap intervals of AUROC and AUPRC into `result`, in place."""
    names, per_class = result["classes"], result["per_class"]

    def interval(of: str, value: float | None, statistic: Any) -> list[float] | None:  # noqa: ANN401
        if seed is None or value is None:
            return None
        try:
            bounds: Interval = bootstrap_interval(
                statistic, truth, scores, groups=groups, seed=seed, repeats=repeats, weighted=True
            )
        except ValueError as error:
            undefined.note(of, str(error))
            return None
        return list(bounds)

    for index, name in enumerate(names):
        entry = per_class[name]
        for metric, statistic in (("auroc", weighted_auroc), ("auprc", weighted_average_precision)):
            entry[f"{metric}_interval"] = interval(
                f"{metric}_interval of {name}",
                entry[metric],
                lambda t, s, w, i=index, f=statistic: f(t == i, s[:, i], w),
            )
    result["macro_auroc_interval"] = interval(
        "macro_auroc_interval",
        result["macro_auroc"],
        lambda t, s, w: np.mean(
            [weighted_auroc(t == i, s[:, i], w) for i in range(len(names))], axis=0
        ),
    )
