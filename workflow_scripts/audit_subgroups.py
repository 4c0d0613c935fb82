"""How good the headline's networks are in each group of patients and images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.cxrcam.configuration.subgroups import subgroup_columns
from workflow_scripts.cxrcam.data.listing.sources import SOURCE
from workflow_scripts.cxrcam.data.listing.traits import why_no_groups
from workflow_scripts.cxrcam.data.trait_columns import columns_of, values_of
from workflow_scripts.cxrcam.drawing.style import save_figure
from workflow_scripts.cxrcam.figures.subgroups import subgroup_figure
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.metrics.subgroups import Answers, subgroup_table
from workflow_scripts.cxrcam.spreadsheets import write_csv
from workflow_scripts.cxrcam.terms import TEST


def read_answers(
    run: Mapping[str, Any], predictions: str, split: str, names: Sequence[str], findings: bool
) -> Answers:
    """What one network says of its test images."""
    table = pd.read_parquet(split)
    test = table[table["role"] == TEST].set_index("image_id").sort_index()
    scores = pd.read_parquet(predictions).set_index("image_id")
    scores = scores[[f"probability_{name}" for name in names]].reindex(test.index)
    if findings:
        truth = test[[f"finding_{name}" for name in names]]
    else:
        truth = pd.DataFrame({name: test["label"] == name for name in names}, dtype=float)
    tables = (part.set_axis(list(names), axis=1) for part in (truth, scores))
    return Answers(run["fold"], run["seed"], test["group"], *tables)


if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    params, given, made = snakemake.params, snakemake.input, snakemake.output
    images = pd.read_parquet(given.images).set_index("image_id")
    asked = params.settings["subgroups"]
    columns = subgroup_columns(asked, [SOURCE, *columns_of(images)])
    traits = pd.DataFrame({column: values_of(images, column) for column in columns}, images.index)
    if asked == "auto":
        traits = traits[[name for name in columns if not why_no_groups(traits[name].unique())]]
    runs = [
        read_answers(run, *files, params.names, params.findings)
        for run, *files in zip(params.runs, given.predictions, given.splits, strict=True)
    ]
    small_groups = params.settings["small_groups"]
    table = subgroup_table(runs, traits, findings=params.findings, small_groups=small_groups)
    table.insert(0, "scheme", params.runs[0]["scheme"])
    table.insert(0, "task", params.runs[0]["task"])
    write_csv(made.table, table)
    save_figure(subgroup_figure(table), Path(made.figure).with_suffix(""), kinds=["png"])
    log.info("Looked at the groups of %s.", ", ".join(traits.columns) or "no column")
