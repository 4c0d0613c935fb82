"""One table over all runs, one over all designs, and their picture."""

import json
from pathlib import Path

import pandas as pd

from workflow_scripts.cxrcam.figure_style import save_figure
from workflow_scripts.cxrcam.figures_overview import accuracy_overview_figure
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.metrics import metrics_table_row, summarise_over_folds

if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    rows = []
    for run, file in zip(snakemake.params.runs, snakemake.input, strict=True):
        metrics = json.loads(Path(file).read_text(encoding="utf-8"))
        roles = {f"n_{role}_images": n for role, n in metrics.pop("n_by_role").items()}
        rows.append(metrics_table_row(metrics, **run) | roles)
    table = pd.DataFrame(rows)
    for frame, target in (
        (table, snakemake.output.metrics),
        (summarise_over_folds(table, by=("dataset", "task", "scheme")), snakemake.output.summary),
    ):
        with atomic_path(Path(target)) as temporary:
            frame.to_csv(temporary, index=False)
    save_figure(accuracy_overview_figure(table), Path(snakemake.output.figure).with_suffix(""))
    log.info("Wrote the metrics of %d runs.", len(table))
