"""Draw the clusters of near-duplicates of a data set, and list them, the riskiest first."""

from pathlib import Path

import pandas as pd

from workflow_scripts.cxrcam.drawing.style import save_captioned
from workflow_scripts.cxrcam.duplicates.risk import COLUMNS, copies_by_risk
from workflow_scripts.cxrcam.figures.duplicates import (
    cluster_heads,
    copies_caption,
    copies_figure,
    pair_pictures,
)
from workflow_scripts.cxrcam.files import write_text
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.report.audit_pages.copies import drawn_pairs, render_copies
from workflow_scripts.cxrcam.spreadsheets import write_csv


def labels_of(index_file: str) -> dict[str, str]:
    """Label of each image."""
    index = pd.read_parquet(index_file, columns=["image_id", "label"])
    return dict(zip(index["image_id"], index["label"], strict=True))


if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, made, own = snakemake.input, snakemake.output, snakemake.wildcards.dataset
    external = snakemake.params.external
    data_sets = [own, *external]
    tables = [given.duplicates, *given.overlaps]
    indexes = [given.images, *given.external_images]
    labels = {name: labels_of(index) for name, index in zip(data_sets, indexes, strict=True)}
    pairs = {name: pd.read_parquet(table) for name, table in zip(data_sets, tables, strict=True)}
    # As in results/<data set>/cache/<shard>.
    shards = {
        name: [file for file in given.shards if Path(file).parents[1].name == name]
        for name in data_sets
    }
    copies = copies_by_risk(pairs, labels)
    searched = len(labels[own])
    drawn = drawn_pairs(copies)
    pictures = dict(zip(drawn.index, pair_pictures(drawn, shards), strict=True))
    heads = [pictures[pair] for pair in cluster_heads(copies).index]
    figure = copies_figure(copies, heads, own=own, searched=searched)
    caption = copies_caption(copies, own, external, searched)
    save_captioned(figure, Path(made.png).with_suffix(""), caption, kinds=["png"])
    write_csv(made.table, copies[[*COLUMNS]])
    about = {"own": own, "external": external, "searched": searched}
    is_drawn = snakemake.params.is_drawn
    page = render_copies(copies, pictures.values(), **about, is_drawn=is_drawn)
    write_text(made.page, page)
    log.info("Drew %d of %d pairs of copies.", len(drawn), len(copies))
