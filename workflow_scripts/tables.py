"""One table over all runs, one over all designs, and their picture."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.cxrcam.drawing.style import save_figure
from workflow_scripts.cxrcam.figures.overview import accuracy_overview_figure
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.metrics.tables import flatten_metrics, summarise_over_folds


def further_columns(metrics: dict[str, Any]) -> dict[str, str | float | int | None]:
    """Columns beside the metrics: sizes, other parts, a threshold, floors, calibration."""
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


if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    rows = []
    for run, file in zip(snakemake.params.runs, snakemake.input, strict=True):
        metrics = json.loads(Path(file).read_text(encoding="utf-8"))
        rows.append({**run, **flatten_metrics(metrics), **further_columns(metrics)})
    table = pd.DataFrame(rows)
    for frame, target in (
        (table, snakemake.output.metrics),
        (summarise_over_folds(table), snakemake.output.summary),
    ):
        with atomic_path(Path(target)) as temporary:
            frame.to_csv(temporary, index=False)
    save_figure(accuracy_overview_figure(table), Path(snakemake.output.figure).with_suffix(""))
    log.info("Wrote the metrics of %d runs.", len(table))
