"""Divide the images of a task into training, validation and test for one fold."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.cxrcam.contracts import SPLIT
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.seeds import generator
from workflow_scripts.cxrcam.splits import UNUSED, assign_roles

if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    wildcards, scheme = snakemake.wildcards, snakemake.params.scheme
    classes = list(snakemake.params.classes)
    table = pq.read_table(snakemake.input[0], columns=["image_id", "label", "group", "split"])
    table = table.filter(pa.compute.is_in(table["label"], pa.array(classes))).sort_by("image_id")
    labels = np.array([classes.index(name) for name in table["label"].to_pylist()])
    names = np.array(table["group" if scheme.get("grouped", False) else "image_id"].to_pylist())
    groups = np.unique(names, return_inverse=True)[1]

    roles = assign_roles(
        labels,
        groups,
        classes,
        scheme,
        int(wildcards.fold),
        rng_of=lambda part: generator(
            scheme.get("seed", 0), "split", wildcards.task, wildcards.scheme, part
        ),
        given=table["split"].to_pylist(),
    )
    split = table.drop_columns("split").append_column("role", pa.array(roles.tolist()))
    split = split.filter(pa.array(roles != UNUSED)).cast(SPLIT)
    with atomic_path(Path(snakemake.output[0])) as temporary:
        pq.write_table(split, temporary)
    log.info("Roles: %s", dict(zip(*np.unique(roles, return_counts=True), strict=True)))
