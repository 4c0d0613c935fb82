"""Predictions of a model for the images of an external data set that its own does not have."""

from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.audit.external_data import (
    EXTERNAL_ROLE,
    images_of_classes,
    without_overlap,
)
from workflow_scripts.cxrcam.data.cache import read_pixels_within
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.networks.devices import choose_device, set_up_torch
from workflow_scripts.cxrcam.networks.models import load_model
from workflow_scripts.cxrcam.networks.parts import Normalisation
from workflow_scripts.cxrcam.networks.prediction import predict
from workflow_scripts.cxrcam.networks.prediction_table import write_predictions

if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    compute = snakemake.config["compute"]
    device = choose_device(compute["device"], snakemake.resources.get("gpu"))
    set_up_torch(compute["threads"], compute["deterministic"])
    model, card = load_model(Path(snakemake.input.model))
    images = pd.read_parquet(snakemake.input.images, columns=["image_id", "label", "group"])
    new = without_overlap(images, pd.read_parquet(snakemake.input.overlap))
    asked = images_of_classes(new, card.classes).assign(role=EXTERNAL_ROLE)
    logits = probabilities = np.empty((0, len(card.classes)), dtype=np.float32)
    if len(asked):
        result = predict(
            model,
            card.backbone,
            read_pixels_within(
                *(snakemake.input.shards, asked["image_id"].tolist(), card.image_size),
                compute["pixel_memory_mb"],
            ),
            Normalisation(tuple(card.mean), tuple(card.std)),
            device,
            input_size=card.input_size,
        )
        logits, probabilities = result.logits, result.probabilities
    write_predictions(Path(snakemake.output[0]), asked, card.classes, logits, probabilities)
    removed = len(images_of_classes(images, card.classes)) - len(asked)
    log.info("Predicted %d images on %s, without %d shared ones.", len(asked), device, removed)
