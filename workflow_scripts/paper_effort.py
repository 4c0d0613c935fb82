"""Figures 6 and 7: accuracy and loss over iterations and over time, and the effort to a target."""

from pathlib import Path

import pandas as pd

from workflow_scripts.cxrcam.drawing.publication_table import write_table
from workflow_scripts.cxrcam.drawing.style import save_captioned
from workflow_scripts.cxrcam.figures.effort import (
    accuracy_and_loss_caption,
    accuracy_and_loss_figure,
    accuracy_over_time_caption,
    accuracy_over_time_figure,
)
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.metrics.time_to_target import (
    effort_summary,
    efforts_of_runs,
    watched_histories,
)
from workflow_scripts.cxrcam.spreadsheets import write_frame

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, made, params = snakemake.input, snakemake.output, snakemake.params
    folder, target = Path(made.runs).parent, params.target
    histories = [pd.read_parquet(file) for file in given.histories]
    timings = [pd.read_parquet(file) for file in given.timings]
    table = watched_histories(params.runs, histories, timings)
    efforts = efforts_of_runs(table, target, params.sustained)
    for run in params.runs:
        if not (table[list(run)] == pd.Series(run)).all(axis=1).any():
            log.warning("No test part was watched in %s: left out.", run)
    write_frame(made.runs, efforts)
    write_table(
        effort_summary(efforts),
        folder / "table_effort",
        f"Effort to {target:.0%} accuracy: iterations and seconds of training, evaluations "
        f"not counted; first: first evaluation at or above it; sustained: first of "
        f"{params.sustained} in a row. Mean and 95 % interval over the runs that reached it; "
        "empty: not reached.",
    )
    named = {params.complete: "complete data set", params.subsample: "sub-samples"}
    shown = {scheme: words for scheme, words in named.items() if scheme}
    shown = shown or {table["scheme"].iloc[0]: table["scheme"].iloc[0]}
    table = table[table["scheme"].isin(shown)].assign(design=lambda t: t["scheme"].map(shown))
    main = table[table["scheme"] == next(iter(shown))]
    of_task = dict(iter(main.groupby("task", sort=False)))
    source = f"data set {snakemake.wildcards.dataset}"
    caption = accuracy_and_loss_caption(of_task, source=source)
    save_captioned(accuracy_and_loss_figure(of_task), folder / "figure_6", caption)
    # Shared test images of a sub-sample are the complete set's test images: one curve family.
    figure = accuracy_over_time_figure(table, target=target)
    caption = accuracy_over_time_caption(table, target=target, source=source)
    save_captioned(figure, folder / "figure_7", caption)
    log.info("Counted the effort of %d runs.", len(efforts))
