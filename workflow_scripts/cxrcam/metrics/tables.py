"""The metrics of many runs as tables: one flat row a run, one summary row a design."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from workflow_scripts.cxrcam.metrics.shares import pooled

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


def flatten_metrics(metrics: Mapping[str, Any]) -> dict[str, str | float | int | None]:
    """Lay the metrics of one run out as flat columns of tables/metrics.csv.

    Parameters
    ----------
    metrics : mapping
        Result of `metrics.classification_metrics`, or the JSON read back.

    Returns
    -------
    dict
        `n`, `smallest_class` (of the test images), `n_smallest_class`, `correct`,
        `majority_share`, `accuracy`, `accuracy_low`, `accuracy_high` (Wilson),
        the other `MAIN_NUMBERS`, `macro_auroc_low`, `macro_auroc_high` (bootstrap), and for each
        class `n_<class>`, `accuracy_equation_1_<class>`, `sensitivity_<class>`,
        `specificity_<class>`, `ppv_<class>`, `npv_<class>`, `f1_<class>`, `auroc_<class>`,
        `auprc_<class>`. Undefined values are None.
    """
    low, high = metrics["accuracy_interval"]
    sizes = {name: metrics["per_class"][name]["n"] for name in metrics["classes"]}
    smallest = min(sizes, key=lambda name: sizes[name])
    row: dict[str, str | float | int | None] = {
        "n": metrics["n"],
        "smallest_class": smallest,
        "n_smallest_class": sizes[smallest],
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
            bounds = metrics["macro_auroc_interval"] or (None, None)
            row["macro_auroc_low"], row["macro_auroc_high"] = bounds
    for class_name in metrics["classes"]:
        entry = metrics["per_class"][class_name]
        row[f"n_{class_name}"] = entry["n"]
        equation_1 = metrics["accuracy_equation_1"]["per_class"]
        row[f"accuracy_equation_1_{class_name}"] = equation_1[class_name]
        for name in _PER_CLASS_NUMBERS:
            row[f"{name}_{class_name}"] = entry[name]
    return row


def further_columns(metrics: Mapping[str, Any]) -> dict[str, str | float | int | None]:
    """Columns beside `flatten_metrics`: sizes, other parts, a threshold, floors, calibration."""
    columns = {f"n_{role}_images": n for role, n in metrics["n_by_role"].items()}
    for part, result in metrics["other_parts"].items():
        low, high = result["accuracy_interval"]
        columns |= {
            f"{part}_n": result["n"],
            f"{part}_accuracy": result["accuracy"],
            f"{part}_accuracy_low": low,
            f"{part}_accuracy_high": high,
            f"{part}_balanced_accuracy": result["balanced_accuracy"],
        }
    chosen = metrics["at_validation_threshold"]
    if "threshold" in chosen:
        columns["validation_threshold"] = chosen["threshold"]
        columns["accuracy_at_validation_threshold"] = chosen["accuracy"]
    against = metrics["against_floors"]
    best = against["floors"][against["best"]]
    columns |= {
        "best_floor": against["best"],
        "best_floor_accuracy": best["accuracy"],
        "best_floor_auroc": best["macro_auroc"],
        **{
            f"gap{end}": against["gap"][key]
            for end, key in (("", "gap"), ("_low", "low"), ("_high", "high"))
        },
        **{f"floor_{name}": floor["accuracy"] for name, floor in against["floors"].items()},
    }
    calibration = metrics["calibration"]
    columns["temperature"] = calibration["temperature"]
    columns["expected_calibration_error_calibrated"] = calibration[
        "expected_calibration_error_after"
    ]
    return columns


def summarise_over_folds(table: pd.DataFrame) -> pd.DataFrame:
    """Mean, spread and pooled accuracy of the runs of each data set, task and scheme.

    Parameters
    ----------
    table : DataFrame
        tables/metrics.csv, one row a run.

    Returns
    -------
    DataFrame
        One row a design, in order of first appearance: `n_runs`; for each of `MAIN_NUMBERS`
        `<number>_mean`, `_standard_deviation` (ddof = 1, NaN for a single run), `_min`, `_max`,
        `_n_runs` (runs in which it is defined: the others are left out); `pooled_n`,
        `pooled_accuracy`, `pooled_accuracy_low`, `pooled_accuracy_high` (see `shares.pooled`).

    Notes
    -----
    The standard deviation over folds is a spread, not a standard error: folds share training
    images (Bengio & Grandvalet 2004), so dividing by the root of n_runs would mislead.
    """
    by = ["dataset", "task", "scheme"]
    rows: list[dict[str, Any]] = []
    for key, runs in table.groupby(by, sort=False, dropna=False):
        row: dict[str, Any] = dict(zip(by, key, strict=True))
        row["n_runs"] = len(runs)
        for name in MAIN_NUMBERS:
            values = pd.to_numeric(runs[name]).dropna()
            row[f"{name}_mean"] = values.mean()
            row[f"{name}_standard_deviation"] = values.std(ddof=1)
            row[f"{name}_min"] = values.min()
            row[f"{name}_max"] = values.max()
            row[f"{name}_n_runs"] = len(values)
        share = pooled(runs)
        if share is None:
            raise ValueError(f"runs of {key} have no accuracy")
        row |= {
            "pooled_n": share.n,
            "pooled_accuracy": share.value,
            "pooled_accuracy_low": share.low,
            "pooled_accuracy_high": share.high,
        }
        rows.append(row)
    return pd.DataFrame(rows)
