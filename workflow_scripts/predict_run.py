"""Predictions and raw maps of the images that a model was not trained on, and of covered ones."""

import time
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps, write_raw_maps
from workflow_scripts.cxrcam.networks.devices import choose_precision, set_up_device
from workflow_scripts.cxrcam.networks.input_parts import covered_predictions, read_network_input
from workflow_scripts.cxrcam.networks.models import load_model
from workflow_scripts.cxrcam.networks.prediction import predict_as_trained
from workflow_scripts.cxrcam.networks.prediction_table import (
    write_covered,
    write_features,
    write_predictions,
)
from workflow_scripts.cxrcam.terms import TEST, TRAIN, WHOLE

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, made, compute = snakemake.input, snakemake.output, snakemake.config["compute"]
    device = set_up_device(compute, snakemake.resources.get("gpu"))
    model, card = load_model(Path(given.model))
    split = pd.read_parquet(given.split)
    unseen = split[split["role"] != TRAIN]
    image_ids = unseen["image_id"].tolist()
    pixels = read_network_input(
        *(given.shards, image_ids, card.image_size, card.input_part),
        *(given.get("masks"), compute["pixel_memory_mb"]),
    )
    result = predict_as_trained(model, card, pixels, device)
    classes, backbone = card.classes, card.backbone
    write_predictions(Path(made.predictions), unseen, classes, result.logits, result.probabilities)
    is_test = (unseen["role"] == TEST).to_numpy()
    write_features(
        Path(made.features), unseen.loc[is_test, "image_id"].tolist(), result.features[is_test]
    )
    maps = RawMaps(result.class_maps, card.input_size, backbone.stride, backbone.offset)
    write_raw_maps(Path(made.maps), image_ids, classes, maps)
    # Here, where the network and the pixels are at hand. These are compared with each other, not
    # kept as predictions: the precision of training is enough, and twice as fast.
    began = time.perf_counter()
    precision = choose_precision(snakemake.params.precision, device)
    # A network that was trained on covered images has nothing left to cover.
    to_cover = is_test & (card.input_part == WHOLE)
    covered = covered_predictions(
        lambda images: predict_as_trained(model, card, images, device, precision).probabilities,
        *(pixels, image_ids, np.flatnonzero(to_cover), Path(given.masks)),
    )
    write_covered(Path(made.covered), covered, classes)
    log.info(
        "Predicted %d images on %s, then in %.1f s %d with parts covered.",
        *(len(unseen), device, time.perf_counter() - began),
        sum(len(names) for _, names, _ in covered),
    )
    Path(snakemake.params.checkpoint).unlink(missing_ok=True)
