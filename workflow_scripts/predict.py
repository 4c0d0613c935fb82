"""Predictions and raw maps of the images that a model was not trained on."""

from pathlib import Path

import pyarrow.parquet as pq

from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps, write_raw_maps
from workflow_scripts.cxrcam.networks.architectures import ARCHITECTURES
from workflow_scripts.cxrcam.networks.devices import choose_device, set_up_torch
from workflow_scripts.cxrcam.networks.input_parts import read_network_input
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
    split = pq.read_table(snakemake.input.split).to_pandas()
    unseen = split[split["role"] != "train"]
    pixels = read_network_input(
        *(snakemake.input.shards, unseen["image_id"].tolist(), card.image_size),
        *(card.input_part, snakemake.input.get("masks")),
        compute["pixel_memory_mb"],
    )
    result = predict(
        model,
        card.architecture,
        pixels,
        Normalisation(tuple(card.mean), tuple(card.std)),
        device,
        input_size=card.input_size,
    )
    write_predictions(
        Path(snakemake.output.predictions),
        unseen,
        card.classes,
        result.logits,
        result.probabilities,
    )
    architecture = ARCHITECTURES[card.architecture]
    write_raw_maps(
        Path(snakemake.output.maps),
        unseen["image_id"].tolist(),
        card.classes,
        RawMaps(
            result.maps, card.input_size, architecture.feature_stride, architecture.feature_offset
        ),
    )
    log.info("Predicted %d images on %s.", len(unseen), device)
