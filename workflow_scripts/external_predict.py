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
from workflow_scripts.cxrcam.data.findings import asked_images
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.networks.devices import set_up_device
from workflow_scripts.cxrcam.networks.prediction import predict_as_trained
from workflow_scripts.cxrcam.networks.prediction_table import write_predictions
from workflow_scripts.cxrcam.networks.questions import load_question

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, compute = snakemake.input, snakemake.config["compute"]
    device = set_up_device(compute, snakemake.resources.get("gpu"))
    model, card = load_question(Path(given.model), snakemake.params.finding.get("label"))
    images = asked_images(pd.read_parquet(given.images), snakemake.params.finding or None)
    new = without_overlap(images, pd.read_parquet(given.overlap))
    asked = images_of_classes(new, card.classes).assign(role=EXTERNAL_ROLE)
    logits = probabilities = np.empty((0, len(card.classes)), dtype=np.float32)
    if len(asked):
        pixels = read_pixels_within(
            *(given.shards, asked["image_id"].tolist(), card.image_size),
            compute["pixel_memory_mb"],
        )
        result = predict_as_trained(model, card, pixels, device)
        logits, probabilities = result.logits, result.probabilities
    write_predictions(Path(snakemake.output[0]), asked, card.classes, logits, probabilities)
    removed = len(images_of_classes(images, card.classes)) - len(asked)
    log.info("Predicted %d images on %s, without %d shared ones.", len(asked), device, removed)
