"""Divide the images of a task into training, validation and test for one fold."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workflow_scripts.cxrcam.arrays import BoolArray
from workflow_scripts.cxrcam.contracts import SPLIT
from workflow_scripts.cxrcam.data.splits import assign_roles, numbered
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.seeds import generator
from workflow_scripts.cxrcam.terms import TEST, UNUSED

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    wildcards, params = snakemake.wildcards, snakemake.params
    classes = list(params.classes)
    table = pq.read_table(snakemake.input[0], columns=["image_id", "label", "group", "split"])
    table = table.filter(pc.is_in(table["label"], pa.array(classes))).sort_by("image_id")
    labels = pc.index_in(table["label"], value_set=pa.array(classes)).to_numpy().astype(np.int64)

    def roles_of(
        name: str, design: dict[str, Any], fold: int, shared_test: BoolArray | None
    ) -> npt.NDArray[np.str_]:
        """Roles in one fold of the design of that name."""
        return assign_roles(
            labels,
            numbered(table["group" if design.get("grouped", False) else "image_id"]),
            classes,
            design,
            fold,
            rng_of=lambda part: generator(
                design.get("seed", 0), "split", wildcards.task, name, part
            ),
            given=table["split"].to_pylist(),
            shared_test=shared_test,
        )

    shared = params.shared_test  # {} or {name, design}
    shared_test = roles_of(shared["name"], shared["design"], 1, None) == TEST if shared else None
    design = params.scheme
    roles = roles_of(design["name"], design["design"], int(wildcards.fold), shared_test)
    split = table.drop_columns("split").append_column("role", pa.array(roles.tolist()))
    split = split.filter(pa.array(roles != UNUSED)).cast(SPLIT)
    with atomic_path(Path(snakemake.output[0])) as temporary:
        pq.write_table(split, temporary)
    log.info("Roles: %s", dict(zip(*np.unique(roles, return_counts=True), strict=True)))
