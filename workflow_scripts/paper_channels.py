"""The strongest channels of the last feature map for each class, as a table and a picture."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch
from torch import nn

from workflow_scripts.cxrcam.data.cache import read_pixels
from workflow_scripts.cxrcam.drawing.publication_table import write_table
from workflow_scripts.cxrcam.drawing.style import save_figure
from workflow_scripts.cxrcam.figures.channels import channel_caption, channel_figure
from workflow_scripts.cxrcam.figures.samples import sample_figure
from workflow_scripts.cxrcam.files import write_text
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.maps.channels import COLUMNS, strongest_channels
from workflow_scripts.cxrcam.maps.placement import place_map
from workflow_scripts.cxrcam.networks.cam import captured_features
from workflow_scripts.cxrcam.networks.devices import choose_device, set_up_torch
from workflow_scripts.cxrcam.networks.input_pipeline import resize_pixels
from workflow_scripts.cxrcam.networks.models import ModelCard, load_model
from workflow_scripts.cxrcam.networks.parts import Normalisation
from workflow_scripts.cxrcam.terms import TEST

BATCH = 64


def features_of(
    model: nn.Module, card: ModelCard, pixels: np.ndarray, device: torch.device
) -> torch.Tensor:
    """Last feature maps of many images, float32 on the CPU, shape (n, k, h, w)."""
    model = model.to(device).to(memory_format=torch.channels_last).eval()
    normalisation = Normalisation(tuple(card.mean), tuple(card.std))
    found = []
    with torch.inference_mode(), captured_features(model, card.backbone) as newest:
        for start in range(0, len(pixels), BATCH):
            batch = torch.from_numpy(pixels[start : start + BATCH]).to(device)
            model(normalisation.apply(resize_pixels(batch, card.input_size)))
            found.append(newest[0].float().cpu())
    return torch.cat(found)


if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    compute = snakemake.config["compute"]
    device = choose_device(compute["device"], snakemake.resources.get("gpu"))
    set_up_torch(compute["threads"], compute["deterministic"])
    model, card = load_model(Path(snakemake.input.model))
    backbone = card.backbone
    folder = Path(snakemake.output.figures[0]).parent
    split = pq.read_table(snakemake.input.split).to_pandas()
    test = split[split["role"] == TEST].sort_values("image_id", ignore_index=True)
    pixels = read_pixels(snakemake.input.shards, test["image_id"].tolist(), card.image_size)
    labels = test["label"].map(card.classes.index).to_numpy()
    head = model.get_submodule(backbone.head)
    run = "{task}, {scheme}, fold {fold}, seed {seed}".format(**snakemake.params.run)
    linear = isinstance(head, nn.Linear) and backbone.map_kind == "exact"
    if linear:
        features = features_of(model, card, pixels, device)
        weights = head.weight.detach().float().cpu().numpy()
        pooled = features.mean(dim=(2, 3)).numpy()
        table = strongest_channels(pooled, weights, labels, card.classes, snakemake.params.top)
    else:
        table = pd.DataFrame(columns=COLUMNS)
    write_table(
        table,
        folder / "table_channels",
        f"Strongest channels of the last feature map of each class ({run}). Contribution: mean of "
        "weight × pooled activation over the test images of the class, in units of the logit; "
        "share: of all positive contributions to that logit.",
    )
    if linear:
        names = list(dict.fromkeys(table["class"]))
        of_class = [table[table["class"] == name] for name in names]
        numbers = [card.classes.index(name) for name in names]
        # Of each class the image on which these channels say most for it.
        samples = []
        for number, rows in zip(numbers, of_class, strict=True):
            channels = rows["channel"].to_numpy()
            said = pooled[:, channels] @ weights[number, channels]
            samples.append(int(np.where(labels == number, said, -np.inf).argmax()))
        activations = np.stack(
            [
                place_map(
                    features[sample, rows["channel"].to_numpy()].numpy(),
                    card.image_size,
                    input_size=card.input_size,
                    stride=backbone.stride,
                    offset=backbone.offset,
                )
                for sample, rows in zip(samples, of_class, strict=True)
            ]
        )
        contributions = np.stack([rows["contribution"] for rows in of_class])
        figure = channel_figure(
            pixels[samples],
            activations,
            contributions,
            np.stack([rows["channel"] for rows in of_class]),
            names,
        )
        caption = channel_caption(
            contributions,
            names,
            model=f"{card.architecture} ({run})",
            source=f"data set {snakemake.wildcards.dataset}",
            n_channels=features.shape[1],
        )
    else:
        figure = sample_figure(pixels[:1], test["label"].head(1).tolist())
        caption = f"{card.architecture} has no linear layer on pooled channels: none can be ranked."
    save_figure(figure, folder / "figure_channels", kinds=["png"])
    write_text(folder / "figure_channels.txt", caption + "\n")
    log.info("Ranked the channels of %d classes.", table["class"].nunique())
