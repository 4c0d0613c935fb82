"""Rows and summaries of many runs: worked examples, and columns that are missing or clash."""

import json

import numpy as np
import pandas as pd
import pytest

from workflow_scripts.cxrcam.metrics.classification import classification_metrics
from workflow_scripts.cxrcam.metrics.intervals import wilson_interval
from workflow_scripts.cxrcam.metrics.tables import (
    MAIN_NUMBERS,
    flatten_metrics,
    further_columns,
    summarise_over_folds,
)

THREE = ["Normal", "COVID", "Viral Pneumonia"]


def test_a_table_row_takes_metrics_read_back_from_json():
    generator = np.random.default_rng(0)
    labels, scores = generator.choice(THREE, 30), generator.dirichlet(np.ones(3), size=30)
    metrics = json.loads(json.dumps(classification_metrics(labels, scores, THREE, seed=0)))
    row = flatten_metrics(metrics)
    assert set(MAIN_NUMBERS) < set(row)
    assert row["sensitivity_Viral Pneumonia"] is not None
    assert row["macro_auroc_low"] < row["macro_auroc"] < row["macro_auroc_high"]


def test_summary_over_folds_by_hand():
    table = pd.DataFrame(
        dict.fromkeys(MAIN_NUMBERS, 0.5)
        | {
            "dataset": "d",
            "task": ["t", "t", "t", "u"],
            "scheme": ["s", "s", "s", "s"],
            "fold": [1, 2, 3, 1],
            "n": [10, 10, 20, 5],
            "accuracy": [0.9, 0.8, 1.0, 1.0],
            "mcc": [0.5, None, 0.7, None],
        }
    )
    summary = summarise_over_folds(table)
    first, second = summary.iloc[0], summary.iloc[1]
    assert first["n_runs"] == 3
    assert first["accuracy_mean"] == pytest.approx(0.9, abs=1e-12)
    assert first["accuracy_standard_deviation"] == pytest.approx(0.1, abs=1e-12)
    assert (first["accuracy_min"], first["accuracy_max"]) == (0.8, 1.0)
    assert first["pooled_accuracy"] == pytest.approx(37 / 40, abs=1e-12)
    assert (first["pooled_accuracy_low"], first["pooled_accuracy_high"]) == wilson_interval(37, 40)
    # A run without the number is left out of its mean, and counted as such.
    assert (first["mcc_mean"], first["mcc_n_runs"]) == (pytest.approx(0.6), 2)
    assert second["n_runs"] == 1
    assert np.isnan(second["accuracy_standard_deviation"])
    assert np.isnan(second["mcc_mean"])


def test_a_run_has_columns_of_the_parts_and_thresholds_that_it_has():
    metrics = {
        "n_by_role": {"test": 10, "train": 50},
        "other_parts": {},
        "at_validation_threshold": {"reason": "no validation part"},
        "against_floors": {
            "best": "border",
            "floors": {
                "border": {"accuracy": 0.7, "macro_auroc": 0.75},
                "corners": {"accuracy": 0.6, "macro_auroc": None},
            },
            "gap": {"gap": 0.2, "low": 0.1, "high": 0.3},
        },
        "calibration": {"temperature": 1.5, "expected_calibration_error_after": 0.02},
    }
    row = further_columns(metrics)
    assert (row["n_test_images"], row["n_train_images"]) == (10, 50)
    assert (row["best_floor"], row["best_floor_accuracy"]) == ("border", 0.7)
    assert (row["gap"], row["gap_low"], row["gap_high"]) == (0.2, 0.1, 0.3)
    assert (row["floor_border"], row["floor_corners"]) == (0.7, 0.6)
    assert (row["temperature"], row["expected_calibration_error_calibrated"]) == (1.5, 0.02)
    assert "validation_threshold" not in row
    part = {"n": 4, "accuracy": 0.5, "accuracy_interval": [0.2, 0.8], "balanced_accuracy": 0.4}
    metrics["other_parts"] = {"shared_test": part}
    metrics["at_validation_threshold"] = {"threshold": 0.4, "accuracy": 0.95}
    row = further_columns(metrics)
    assert [row[f"shared_test_{end}"] for end in ("n", "accuracy_low", "accuracy_high")] == [
        *(4, 0.2, 0.8)
    ]
    assert row["shared_test_balanced_accuracy"] == 0.4
    assert (row["validation_threshold"], row["accuracy_at_validation_threshold"]) == (0.4, 0.95)
