"""Draw the clusters of near-duplicates of a data set."""

from pathlib import Path

import pandas as pd

from workflow_scripts.cxrcam.data.cache import read_pixels
from workflow_scripts.cxrcam.drawing.style import save_captioned
from workflow_scripts.cxrcam.figures.duplicates import (
    duplicate_clusters_caption,
    duplicate_clusters_figure,
    largest_clusters,
)
from workflow_scripts.cxrcam.logs import start_log

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    pairs = pd.read_parquet(snakemake.input.duplicates)
    labels = pd.read_parquet(snakemake.input.images, columns=["image_id", "label"])
    labels = labels.set_index("image_id")["label"]
    shown = [image_id for cluster in largest_clusters(pairs) for image_id in cluster]
    figure = duplicate_clusters_figure(
        pairs,
        shown,
        labels.loc[shown].tolist(),
        read_pixels(snakemake.input.shards, shown, snakemake.params.size),
        searched=len(labels),
    )
    caption = duplicate_clusters_caption(pairs, len(labels), snakemake.wildcards.dataset)
    save_captioned(figure, Path(snakemake.output.png).with_suffix(""), caption, kinds=["png"])
    log.info("Drew %d images of %d pairs.", len(shown), len(pairs))
