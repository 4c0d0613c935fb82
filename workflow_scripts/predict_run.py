"""Predictions and raw maps of the images that a model was not trained on, and of covered ones."""

import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from workflow_scripts.cxrcam.arrays import UInt8Array
from workflow_scripts.cxrcam.data.mask_cache import masks_of
from workflow_scripts.cxrcam.images.covering import MASKING_VARIANTS, covered_pixels
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps, write_raw_maps
from workflow_scripts.cxrcam.networks.devices import choose_device, choose_precision, set_up_torch
from workflow_scripts.cxrcam.networks.input_parts import read_network_input
from workflow_scripts.cxrcam.networks.models import load_model
from workflow_scripts.cxrcam.networks.parts import Normalisation
from workflow_scripts.cxrcam.networks.prediction import Predictions, predict
from workflow_scripts.cxrcam.networks.prediction_table import write_covered, write_predictions
from workflow_scripts.cxrcam.terms import TEST, WHOLE

AT_ONCE = 1024  # test images that are covered in memory at a time

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
    normalisation = Normalisation(tuple(card.mean), tuple(card.std))

    def predicted(images: UInt8Array, precision: str = "float32") -> Predictions:
        """What the network says of some images."""
        return predict(
            *(model, card.backbone, images, normalisation, device),
            input_size=card.input_size,
            precision=precision,
        )

    result = predicted(pixels)
    write_predictions(
        Path(snakemake.output.predictions),
        unseen,
        card.classes,
        result.logits,
        result.probabilities,
    )
    backbone = card.backbone
    write_raw_maps(
        Path(snakemake.output.maps),
        unseen["image_id"].tolist(),
        card.classes,
        RawMaps(result.class_maps, card.input_size, backbone.stride, backbone.offset),
    )

    # Here, where the network and the pixels are at hand. These are compared with each other, not
    # kept as predictions: the precision of training is enough, and twice as fast.
    began = time.perf_counter()
    precision = choose_precision(snakemake.params.precision, device)
    covered = []
    test = np.flatnonzero((unseen["role"] == TEST).to_numpy())
    # A network that was trained on covered images has nothing left to cover.
    for start in range(0, len(test) if card.input_part == WHOLE else 0, AT_ONCE):
        rows = test[start : start + AT_ONCE]
        image_ids = unseen["image_id"].to_numpy()[rows]
        has_lungs, lungs = masks_of(
            *(Path(snakemake.input.masks), image_ids.tolist(), "lung", card.image_size)
        )
        for variant in MASKING_VARIANTS:
            chosen = has_lungs if variant.needs_lung_masks else np.ones(len(rows), dtype=bool)
            if chosen.any():
                images = covered_pixels(pixels[rows[chosen]], variant.name, lungs[chosen])
                probabilities = predicted(images, precision).probabilities
                covered.append((variant.name, image_ids[chosen].tolist(), probabilities))
    write_covered(Path(snakemake.output.covered), covered, card.classes)
    log.info(
        "Predicted %d images on %s, then in %.1f s %d with parts covered.",
        *(len(unseen), device, time.perf_counter() - began),
        sum(len(image_ids) for _, image_ids, _ in covered),
    )
