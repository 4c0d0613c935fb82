"""Divide the images of a task into training, validation and test for one fold."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workflow_scripts.cxrcam.arrays import BoolArray
from workflow_scripts.cxrcam.contracts import SPLIT
from workflow_scripts.cxrcam.data.sources import value_of
from workflow_scripts.cxrcam.data.splits import assign_roles, numbered
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.seeds import generator
from workflow_scripts.cxrcam.terms import TEST, TRAIN, UNUSED, VALIDATION


def sources_of(listing: str, column: str, names: pa.ChunkedArray) -> npt.NDArray[np.str_]:
    """Entry of each of some images in a column of the listing, from which the folds were planned.

    The index can say more of a source, which only reading the images' tables tells.
    """
    rows = pq.read_table(listing, columns=["image_id", "source", "extra"]).to_pylist()
    value = {
        row["image_id"]: value_of(row["source"], json.loads(row["extra"]), column) for row in rows
    }
    return np.array([value[name] for name in names.to_pylist()])


if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    wildcards, params = snakemake.wildcards, snakemake.params
    classes = list(params.classes)
    table = pq.read_table(snakemake.input[0], columns=["image_id", "label", "group", "split"])
    table = table.filter(pc.is_in(table["label"], pa.array(classes))).sort_by("image_id")
    labels = pc.index_in(table["label"], value_set=pa.array(classes)).to_numpy().astype(np.int64)

    def roles_of(
        name: str,
        design: dict[str, Any],
        fold: int,
        shared_test: BoolArray | None,
        held_out: BoolArray | None = None,
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
            held_out=held_out,
        )

    shared = params.shared_test  # {} or {name, design}
    shared_test = roles_of(shared["name"], shared["design"], 1, None) == TEST if shared else None
    design = params.scheme
    value, held_out = params.held_out, None
    if value is not None:
        column = design["design"]["by"]
        sources = sources_of(snakemake.input.listing, column, table["image_id"])
        held_out = sources == value
    roles = roles_of(design["name"], design["design"], int(wildcards.fold), shared_test, held_out)
    split = table.drop_columns("split").append_column("role", pa.array(roles.tolist()))
    split = split.filter(pa.array(roles != UNUSED)).cast(SPLIT)
    with atomic_path(Path(snakemake.output[0])) as temporary:
        pq.write_table(split, temporary)
    if held_out is not None:
        log.info(
            "Held out: the %s %r. %d images that share a patient or a picture with it are left "
            "out of training; %d images without a %s are used for training only.",
            *(column, value, (roles == UNUSED).sum()),
            *(((sources == "") & np.isin(roles, (TRAIN, VALIDATION))).sum(), column),
        )
    log.info("Roles: %s", dict(zip(*np.unique(roles, return_counts=True), strict=True)))
