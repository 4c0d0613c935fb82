"""The strongest channels of the last feature map for each class, as a table and a picture."""

from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from workflow_scripts.cxrcam.data.cache import read_pixels
from workflow_scripts.cxrcam.drawing.publication_table import write_table
from workflow_scripts.cxrcam.drawing.style import save_captioned
from workflow_scripts.cxrcam.figures.channels import (
    channel_caption,
    channel_figure,
    channel_table_caption,
)
from workflow_scripts.cxrcam.figures.samples import sample_figure
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.maps.channels import COLUMNS, speaking_samples, strongest_channels
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps
from workflow_scripts.cxrcam.networks.devices import set_up_device
from workflow_scripts.cxrcam.networks.models import load_model
from workflow_scripts.cxrcam.networks.prediction import last_features
from workflow_scripts.cxrcam.terms import TEST

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, folder = snakemake.input, Path(snakemake.output.figures[0]).parent
    device = set_up_device(snakemake.config["compute"], snakemake.resources.get("gpu"))
    model, card = load_model(Path(given.model))
    backbone, classes = card.backbone, card.classes
    split = pd.read_parquet(given.split)
    test = split[split["role"] == TEST].sort_values("image_id", ignore_index=True)
    pixels = read_pixels(given.shards, test["image_id"].tolist(), card.image_size)
    run = "{task}, {scheme}, fold {fold}, seed {seed}".format(**snakemake.params.run)
    head = model.get_submodule(backbone.head)
    of_classes = backbone.sub_classes == 1  # else the weights of a class depend on the image
    if isinstance(head, nn.Linear) and backbone.map_kind == "exact" and of_classes:
        features = last_features(model, card, pixels, device)
        of = (
            *(features.mean(dim=(2, 3)).numpy(), head.weight.detach().float().cpu().numpy()),
            test["label"].map(classes.index).to_numpy(),
        )
        table = strongest_channels(*of, classes, snakemake.params.top)
        samples = speaking_samples(table, *of, classes)
        names, rows = list(samples), list(samples.values())
        channels, added = (
            table[key].to_numpy().reshape(len(names), -1) for key in ("channel", "contribution")
        )
        shown = features[rows].numpy()
        maps = RawMaps(shown, card.input_size, backbone.stride, backbone.offset)
        placed = [maps.placed(column, card.image_size) for column in channels.T]
        figure = channel_figure(pixels[rows], np.stack(placed, axis=1), added, channels, names)
        caption = channel_caption(
            *(added, names),
            model=f"{card.architecture} ({run})",
            source=f"data set {snakemake.wildcards.dataset}",
            n_channels=features.shape[1],
        )
    else:
        table = pd.DataFrame(columns=COLUMNS)
        figure = sample_figure(pixels[:1], test["label"].head(1).tolist())
        caption = (
            f"{card.architecture} has no linear layer on pooled channels: none can be ranked."
            if of_classes
            else f"{card.architecture} learnt each class as {backbone.sub_classes} sub-classes, so "
            "that no channel has one weight for a class: none can be ranked."
        )
    write_table(table, folder / "table_channels", channel_table_caption(run))
    save_captioned(figure, folder / "figure_channels", caption, kinds=["png"])
    log.info("Ranked the channels of %d classes.", table["class"].nunique())
