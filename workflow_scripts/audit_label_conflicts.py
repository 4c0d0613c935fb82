"""Pictures that bear two labels, within the data set or in it and an external one."""

from pathlib import Path

import pandas as pd

from workflow_scripts.cxrcam.drawing.style import save_captioned
from workflow_scripts.cxrcam.duplicates.conflicts import in_turn, label_conflicts
from workflow_scripts.cxrcam.figures.duplicates import (
    MOST_CONFLICTS,
    conflict_pictures,
    label_conflicts_caption,
    label_conflicts_figure,
)
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.spreadsheets import write_csv


def labels_of(index_file: str) -> dict[str, str]:
    """Label of each image."""
    index = pd.read_parquet(index_file, columns=["image_id", "label"])
    return dict(zip(index["image_id"], index["label"], strict=True))


if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    params, given, dataset = snakemake.params, snakemake.input, snakemake.wildcards.dataset
    own = labels_of(given.images)
    found = {dataset: label_conflicts(pd.read_parquet(given.duplicates), own, own)}
    shards = {dataset: list(given.shards)}
    for other, overlap, index in zip(
        params.external, given.overlaps, given.external_images, strict=True
    ):
        found[other] = label_conflicts(pd.read_parquet(overlap), own, labels_of(index))
        # As in results/<data set>/cache/<shard>.
        shards[other] = [f for f in given.external_shards if Path(f).parents[1].name == other]
    conflicts = in_turn(found)
    shown = conflicts.head(MOST_CONFLICTS)
    left = shown.assign(image_id_b=shown["image_id_a"], data_set_b=dataset)
    figure = label_conflicts_figure(
        conflicts,
        conflict_pictures(left, shards, params.size),
        conflict_pictures(shown, shards, params.size),
        source=dataset,
    )
    caption = label_conflicts_caption(conflicts, dataset, params.external)
    save_captioned(figure, Path(snakemake.output.png).with_suffix(""), caption, kinds=["png"])
    write_csv(snakemake.output.table, conflicts)
    log.info("Found %d pairs of one picture under two labels.", len(conflicts))
