"""Labels that the images speak against, with pictures and what lies next to them."""

from pathlib import Path

import pandas as pd

from workflow_scripts.cxrcam.audit.suspect_labels import (
    COLUMNS,
    network_probabilities,
    suspect_labels,
)
from workflow_scripts.cxrcam.data.cache import cached_size, read_pixels
from workflow_scripts.cxrcam.data.findings import labels_in_task
from workflow_scripts.cxrcam.duplicates.stored import stored_thumbnails
from workflow_scripts.cxrcam.files import write_text
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.report.audit_pages.labels import (
    Judged,
    drawn_suspects,
    neighbours_of,
    render_labels,
)
from workflow_scripts.cxrcam.spreadsheets import write_csv
from workflow_scripts.cxrcam.terms import TRAIN, VALIDATION

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, made, params = snakemake.input, snakemake.output, snakemake.params
    images = pd.read_parquet(given.images)
    pairs = pd.read_parquet(given.duplicates, columns=["image_id_a", "image_id_b", "kind"])
    judged, tables, labels = pd.read_parquet(given.judged), [], {}
    runs = list(zip(params.runs, given.predictions, strict=True))
    for task, classes in params.tasks.items():
        of_task = labels_in_task(images, params.findings.get(task))
        is_asked = of_task.isin(classes)
        labels[task] = dict(zip(images["image_id"][is_asked], of_task[is_asked], strict=True))
        rows = suspect_labels(judged[judged["task"] == task], pairs, labels[task])
        answers = (pd.read_parquet(file) for run, file in runs if run["task"] == task)
        held_out = [table[~table["role"].isin([TRAIN, VALIDATION])] for table in answers]
        told = network_probabilities(held_out, rows.set_index("image_id")["label"])
        tables.append(rows.assign(task=task, network_probability=told.to_numpy())[[*COLUMNS]])
    suspects = pd.concat(tables, ignore_index=True)
    write_csv(made.table, suspects.round(4))
    shown = drawn_suspects(suspects)
    known = images[
        images["image_id"].isin(judged["image_id"]) | images["image_id"].isin(shown["image_id"])
    ]
    thumbnails = stored_thumbnails(given.facts, known["image_id"].tolist())
    nearest = neighbours_of(shown, known, thumbnails, labels)
    names = list(dict.fromkeys([*shown["image_id"], *(n.image_id for of in nearest for n in of)]))
    shards = [Path(file) for file in given.shards]
    pixels = dict(zip(names, read_pixels(shards, names, cached_size(shards)), strict=True))
    by_task = [
        Judged(task, len(rows), int(rows["is_counted"].sum()))
        for task, rows in ((task, judged[judged["task"] == task]) for task in params.tasks)
    ]
    about = {"dataset": snakemake.wildcards.dataset, "is_drawn": params.is_drawn}
    page = render_labels(suspects, shown, nearest, pixels, by_task, **about)
    write_text(made.page, page)
    log.info("%d labels to look at, %d with pictures.", len(suspects), len(shown))
