"""One table: every run on every external data set, beside what it reached at home."""

import pandas as pd

from workflow_scripts.cxrcam.audit.external_data import (
    external_row,
    images_of_classes,
    lacking_reasons,
    untested_row,
    without_overlap,
)
from workflow_scripts.cxrcam.data.findings import asked_images
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.seeds import seed_sequence
from workflow_scripts.cxrcam.spreadsheets import write_frame

RUN = ["task", "scheme", "fold", "seed"]

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    params, given = snakemake.params, snakemake.input
    internal = pd.read_csv(given.internal).set_index(RUN)
    indexes, remaining = {}, {}
    for other, images, overlap in zip(params.external, given.images, given.overlaps, strict=True):
        indexes[other] = pd.read_parquet(images).set_index("image_id", drop=False)
        remaining[other] = without_overlap(indexes[other], pd.read_parquet(overlap))
    predictions, rows = iter(given.predictions), []
    for test, reason in zip(params.tests, lacking_reasons(params.tests), strict=True):
        other, run = test["data_set"], {key: test[key] for key in RUN}
        own, classes = internal.loc[tuple(run.values())], params.classes[test["task"]]
        finding = params.findings.get(test["task"])
        n, n_all = (
            len(images_of_classes(asked_images(images[other], finding), classes))
            for images in (remaining, indexes)
        )
        removed = n_all - n
        if reason is None:
            table = pd.read_parquet(next(predictions))
            keys = ("bootstrap", other, run["task"], run["scheme"], run["fold"])
            row = external_row(
                *(table, classes, own),
                removed=removed,
                groups=indexes[other].loc[table["image_id"], "group"].tolist(),
                seed=seed_sequence(run["seed"], *keys),
            )
        else:
            row = untested_row(reason, own, n=n, removed=removed)
        rows.append({"dataset": snakemake.wildcards.dataset, "data_set": other, **run, **row})
        found = row["reason"] or f"accuracy {row['accuracy']:.4f} on {row['n']} images"
        log.info("%s on %s: %s", "/".join(map(str, run.values())), other, found)
    write_frame(snakemake.output[0], pd.DataFrame(rows))
