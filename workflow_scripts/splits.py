"""Divide the images of a task into training, validation and test for one fold."""

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
from workflow_scripts.cxrcam.data.splits import assign_roles, numbered
from workflow_scripts.cxrcam.data.stratification import assign_roles_by_findings
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.seeds import generator
from workflow_scripts.cxrcam.terms import TEST, UNUSED

COLUMNS = ["image_id", "label", "group", "split"]


def generator_of(task: str, name: str, design: dict[str, Any]) -> Any:  # noqa: ANN401
    """Random generators of the folds of a design."""
    return lambda part: generator(design.get("seed", 0), "split", task, name, part)


def group_numbers(table: pa.Table, design: dict[str, Any]) -> npt.NDArray[np.int64]:
    """Number of each image's group; its own where the design does not keep groups together."""
    return numbered(table["group" if design.get("grouped", False) else "image_id"])


def split_by_class(index: str, params: Any, task: str, fold: int) -> pa.Table:  # noqa: ANN401
    """Division of a task with exclusive classes, schema `SPLIT`."""
    classes = list(params.classes)
    table = pq.read_table(index, columns=COLUMNS)
    table = table.filter(pc.is_in(table["label"], pa.array(classes))).sort_by("image_id")
    labels = pc.index_in(table["label"], value_set=pa.array(classes)).to_numpy().astype(np.int64)

    def roles_of(
        name: str, design: dict[str, Any], fold: int, shared_test: BoolArray | None
    ) -> npt.NDArray[np.str_]:
        """Roles in one fold of the design of that name."""
        return assign_roles(
            *(labels, group_numbers(table, design), classes, design, fold),
            rng_of=generator_of(task, name, design),
            given=table["split"].to_pylist(),
            shared_test=shared_test,
        )

    shared = params.shared_test  # {} or {name, design}
    shared_test = roles_of(shared["name"], shared["design"], 1, None) == TEST if shared else None
    roles = roles_of(params.scheme["name"], params.scheme["design"], fold, shared_test)
    split = table.drop_columns("split").append_column("role", pa.array(roles.tolist()))
    return split.filter(pa.array(roles != UNUSED)).cast(SPLIT)


def split_by_findings(index: str, params: Any, task: str, fold: int) -> pa.Table:  # noqa: ANN401
    """Division of a task with findings, schema `findings_split_schema`."""
    findings, design = params.findings, params.scheme["design"]
    images = pd.read_parquet(index).sort_values("image_id", ignore_index=True)
    known = known_findings(images, **findings)
    told = np.isfinite(known).any(axis=1)
    table = pa.Table.from_pandas(images.loc[told, COLUMNS], preserve_index=False)
    roles = assign_roles_by_findings(
        *(known[told], group_numbers(table, design), findings["labels"], design, fold),
        rng_of=generator_of(task, params.scheme["name"], design),
        given=table["split"].to_pylist(),
    )
    split = table.drop_columns("split").append_column("role", pa.array(roles.tolist()))
    for name, column in zip(findings["labels"], known[told].T, strict=True):
        split = split.append_column(f"finding_{name}", pa.array(column))
    split = split.filter(pa.array(roles != UNUSED))
    return split.cast(findings_split_schema(findings["labels"]))


if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    wildcards = snakemake.wildcards
    divide = split_by_findings if snakemake.params.findings else split_by_class
    split = divide(snakemake.input[0], snakemake.params, wildcards.task, int(wildcards.fold))
    with atomic_path(Path(snakemake.output[0])) as temporary:
        pq.write_table(split, temporary)
    counts = pc.value_counts(split["role"].combine_chunks()).to_pylist()
    log.info("Roles: %s", {count["values"]: count["counts"] for count in counts})
