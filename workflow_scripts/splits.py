"""Divide the images of a task into training, validation and test for one fold."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workflow_scripts.cxrcam.arrays import BoolArray
from workflow_scripts.cxrcam.contracts import SPLIT, findings_split_schema
from workflow_scripts.cxrcam.data.findings import known_findings
from workflow_scripts.cxrcam.data.listing.sources import value_of
from workflow_scripts.cxrcam.data.splits import assign_roles, numbered
from workflow_scripts.cxrcam.data.stratification import assign_roles_by_findings
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.seeds import generator
from workflow_scripts.cxrcam.terms import TEST, TRAIN, UNUSED, VALIDATION

COLUMNS = ["image_id", "label", "group", "split"]


def sources_of(listing: str, column: str, names: pa.ChunkedArray) -> npt.NDArray[np.str_]:
    """Entry of each of some images in a column of the listing, from which the folds were planned.

    The index can say more of a source, which only reading the images' tables tells.
    """
    rows = pq.read_table(listing, columns=["image_id", "source", "extra"]).to_pylist()
    value = {
        row["image_id"]: value_of(row["source"], json.loads(row["extra"]), column) for row in rows
    }
    return np.array([value[name] for name in names.to_pylist()])


def generator_of(task: str, name: str, design: dict[str, Any]) -> Any:  # noqa: ANN401
    """Random generators of the folds of a design."""
    return lambda part: generator(design.get("seed", 0), "split", task, name, part)


def group_numbers(table: pa.Table, design: dict[str, Any]) -> npt.NDArray[np.int64]:
    """Number of each image's group; its own where the design does not keep groups together."""
    return numbered(table["group" if design.get("grouped", False) else "image_id"])


def roles_by_class(
    table: pa.Table,
    held_out: BoolArray | None,
    params: Any,  # noqa: ANN401
    task: str,
    fold: int,
) -> npt.NDArray[np.str_]:
    """Roles of the images of a task with exclusive classes."""
    classes = list(params.classes)
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
            *(labels, group_numbers(table, design), classes, design, fold),
            rng_of=generator_of(task, name, design),
            given=table["split"].to_pylist(),
            shared_test=shared_test,
            held_out=held_out,
        )

    shared = params.shared_test  # {} or {name, design}
    shared_test = roles_of(shared["name"], shared["design"], 1, None) == TEST if shared else None
    design = params.scheme
    return roles_of(design["name"], design["design"], fold, shared_test, held_out)


def roles_by_findings(
    table: pa.Table,
    held_out: BoolArray | None,
    params: Any,  # noqa: ANN401
    task: str,
    fold: int,
) -> npt.NDArray[np.str_]:
    """Roles of the images of a task with findings."""
    labels, design = params.findings["labels"], params.scheme["design"]
    known = np.stack([table[f"finding_{name}"].to_numpy() for name in labels], axis=1)
    return assign_roles_by_findings(
        *(known, group_numbers(table, design), labels, design, fold),
        rng_of=generator_of(task, params.scheme["name"], design),
        given=table["split"].to_pylist(),
        held_out=held_out,
    )


def images_of_classes(index: str, classes: list[str]) -> pa.Table:
    """Images of some classes, by name."""
    table = pq.read_table(index, columns=COLUMNS)
    return table.filter(pc.is_in(table["label"], pa.array(classes))).sort_by("image_id")


def images_with_findings(index: str, findings: dict[str, Any]) -> pa.Table:
    """Images of which any finding is known, by name, and what is known."""
    images = pd.read_parquet(index).sort_values("image_id", ignore_index=True)
    known = known_findings(images, **findings)
    told = np.isfinite(known).any(axis=1)
    table = pa.Table.from_pandas(images.loc[told, COLUMNS], preserve_index=False)
    for name, column in zip(findings["labels"], known[told].T, strict=True):
        table = table.append_column(f"finding_{name}", pa.array(column))
    return table


if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    wildcards, params = snakemake.wildcards, snakemake.params
    if params.findings:
        table = images_with_findings(snakemake.input[0], params.findings)
        divide, schema = roles_by_findings, findings_split_schema(params.findings["labels"])
    else:
        table = images_of_classes(snakemake.input[0], list(params.classes))
        divide, schema = roles_by_class, SPLIT
    value, held_out = params.held_out, None
    if value is not None:
        column = params.scheme["design"]["by"]
        sources = sources_of(snakemake.input.listing, column, table["image_id"])
        held_out = sources == value
    roles = divide(table, held_out, params, wildcards.task, int(wildcards.fold))
    split = table.append_column("role", pa.array(roles.tolist())).select(schema.names)
    with atomic_path(Path(snakemake.output[0])) as temporary:
        pq.write_table(split.filter(pa.array(roles != UNUSED)).cast(schema), temporary)
    if held_out is not None:
        log.info(
            "Held out: the %s %r. %d images that share a patient or a picture with it are left "
            "out of training; %d images without a %s are used for training only.",
            *(column, value, (roles == UNUSED).sum()),
            *(((sources == "") & np.isin(roles, (TRAIN, VALIDATION))).sum(), column),
        )
    log.info("Roles: %s", dict(zip(*np.unique(roles, return_counts=True), strict=True)))
