"""Figures 6 and 7: accuracy and loss over iterations and over time, and the effort to a target."""

from pathlib import Path

import pandas as pd

from workflow_scripts.cxrcam.drawing.publication_table import write_table
from workflow_scripts.cxrcam.drawing.style import save_figure
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.figures.effort import (
    accuracy_and_loss_caption,
    accuracy_and_loss_figure,
    accuracy_over_time_caption,
    accuracy_over_time_figure,
)
from workflow_scripts.cxrcam.files import atomic_path, write_text
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.metrics.time_to_target import (
    effort_summary,
    effort_to_target,
    evaluated_part,
    with_clock,
)

if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    params = snakemake.params
    histories = []
    files = (snakemake.input.histories, snakemake.input.timings)
    for run, *both in zip(params.runs, *files, strict=True):
        history = with_clock(*map(pd.read_parquet, both))
        rows = history[history["role"] == evaluated_part(history)]
        if rows.empty:
            log.warning("No test part was watched in %s: left out.", run)
        histories.append(rows.assign(**run))
    table = pd.concat(histories, ignore_index=True)
    if table.empty:
        raise InputError(
            "No run recorded its accuracy on test images while it was trained, from which figures "
            "6 and 7 are drawn: put test into train.watch."
        )
    by = ["task", "scheme", "fold", "seed"]
    efforts = pd.DataFrame(
        [
            dict(zip(by, key, strict=True))
            | vars(effort_to_target(rows, params.target, params.sustained))
            for key, rows in table.groupby(by, sort=False)
        ]
    )
    with atomic_path(Path(snakemake.output.runs)) as temporary:
        efforts.to_csv(temporary, index=False)
    folder = Path(snakemake.output.runs).parent
    write_table(
        effort_summary(efforts),
        folder / "table_effort",
        f"Effort to {params.target:.0%} accuracy: iterations and seconds of training, evaluations "
        f"not counted; first: first evaluation at or above it; sustained: first of "
        f"{params.sustained} in a row. Mean and 95 % interval over the runs that reached it; "
        "empty: not reached.",
    )
    table["run"] = "fold " + table["fold"].astype(str) + ", seed " + table["seed"].astype(str)
    shown = {
        name: design
        for name, design in (
            (params.complete, "complete data set"),
            (params.subsample, "sub-samples"),
        )
        if name
    } or {table["scheme"].iloc[0]: table["scheme"].iloc[0]}
    table = table[table["scheme"].isin(shown)].assign(design=lambda t: t["scheme"].map(shown))
    main = table[table["scheme"] == next(iter(shown))]
    of_task = {task: rows for task, rows in main.groupby("task", sort=False)}
    source = f"data set {snakemake.wildcards.dataset}"
    save_figure(accuracy_and_loss_figure(of_task), folder / "figure_6")
    write_text(folder / "figure_6.txt", accuracy_and_loss_caption(of_task, source=source) + "\n")
    # Shared test images of a sub-sample are the complete set's test images: one curve family.
    save_figure(accuracy_over_time_figure(table, target=params.target), folder / "figure_7")
    caption = accuracy_over_time_caption(table, target=params.target, source=source)
    write_text(folder / "figure_7.txt", caption + "\n")
    log.info("Counted the effort of %d runs.", len(efforts))
