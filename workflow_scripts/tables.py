"""One table over all runs, one over all designs, and their picture."""

from pathlib import Path

import pandas as pd

from workflow_scripts.cxrcam.drawing.style import save_figure
from workflow_scripts.cxrcam.figures.overview import accuracy_overview_figure
from workflow_scripts.cxrcam.files import read_json
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.metrics.tables import (
    flatten_metrics,
    further_columns,
    summarise_over_folds,
)
from workflow_scripts.cxrcam.spreadsheets import write_frame

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    made, rows = snakemake.output, []
    sources = snakemake.params.held_out
    for run, metrics in zip(snakemake.params.runs, map(read_json, snakemake.input), strict=True):
        names = sources.get(run["scheme"])
        held_out = {"held_out": names[run["fold"] - 1] if names else None} if sources else {}
        rows.append({**run, **held_out, **flatten_metrics(metrics), **further_columns(metrics)})
    table = pd.DataFrame(rows)
    write_frame(made.metrics, table)
    write_frame(made.summary, summarise_over_folds(table))
    save_figure(accuracy_overview_figure(table), Path(made.figure).with_suffix(""))
    log.info("Wrote the metrics of %d runs.", len(table))
