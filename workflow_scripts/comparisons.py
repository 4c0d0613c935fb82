"""Runs against each other on the same test images: McNemar for accuracy, DeLong for AUROC."""

import pandas as pd

from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.metrics.comparisons import COLUMNS, compared_runs
from workflow_scripts.cxrcam.networks.prediction_table import read_test_predictions
from workflow_scripts.cxrcam.spreadsheets import write_frame

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    parts: dict[tuple[str, str, int], list[tuple[dict[str, object], str]]] = {}
    for run, file in zip(snakemake.params.runs, snakemake.input, strict=True):
        parts.setdefault((run["task"], run["division"], run["fold"]), []).append((run, file))
    rows = []
    for (task, _, _), of_part in parts.items():
        runs, files = zip(*of_part, strict=True)
        classes = snakemake.params.classes[task]
        # A run that stands alone need not be read.
        tables = [read_test_predictions(file, classes) for file in files if len(files) > 1]
        rows += compared_runs(runs, tables, classes) if tables else []
    write_frame(snakemake.output[0], pd.DataFrame(rows, columns=COLUMNS))
    log.info("Compared %d pairs of runs.", len(rows))
