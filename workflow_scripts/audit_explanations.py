"""Whether the maps of one network hang on what it learnt, and are faithful to it."""

from pathlib import Path

import pandas as pd
from torch import nn

from workflow_scripts.cxrcam.arrays import Float32Array, UInt8Array
from workflow_scripts.cxrcam.files import write_json
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.map_tests.explanation_tests import drawn_images, explanation_tests
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps
from workflow_scripts.cxrcam.networks.devices import choose_device, choose_precision, set_up_torch
from workflow_scripts.cxrcam.networks.input_parts import read_network_input
from workflow_scripts.cxrcam.networks.models import build_classifier, load_model
from workflow_scripts.cxrcam.networks.parts import Normalisation
from workflow_scripts.cxrcam.networks.prediction import predict
from workflow_scripts.cxrcam.seeds import generator, integer_seed, seed_sequence
from workflow_scripts.cxrcam.terms import TEST

if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    compute, wildcards = snakemake.config["compute"], snakemake.wildcards
    run = (wildcards.task, wildcards.scheme, wildcards.fold)
    seed = int(wildcards.seed)
    device = choose_device(compute["device"], snakemake.resources.get("gpu"))
    set_up_torch(compute["threads"], compute["deterministic"])
    # Nothing here is kept as a prediction: the precision of training is enough, and twice as fast.
    precision = choose_precision(snakemake.params.precision, device)
    model, card = load_model(Path(snakemake.input.model))
    backbone = card.backbone
    normalisation = Normalisation(tuple(card.mean), tuple(card.std))

    def outputs(network: nn.Module, images: UInt8Array) -> tuple[Float32Array, RawMaps]:
        """Probabilities and evidence maps."""
        result = predict(
            network,
            backbone,
            images,
            normalisation,
            device,
            input_size=card.input_size,
            precision=precision,
        )
        maps = RawMaps(result.evidence, card.input_size, backbone.stride, backbone.offset)
        return result.probabilities, maps

    predictions = pd.read_parquet(snakemake.input.predictions)
    test = predictions[predictions["role"] == TEST].sort_values("image_id", ignore_index=True)
    groups = pd.read_parquet(snakemake.input.split).set_index("image_id")["group"]
    rng = generator(seed, "explanations", *run)
    drawn = (
        test["image_id"]
        .iloc[drawn_images(len(test), snakemake.params.explanation_images, rng)]
        .tolist()
    )
    pixels = read_network_input(
        *(snakemake.input.shards, drawn, card.image_size),
        *(card.input_part, snakemake.input.get("masks")),
    )
    untrained = build_classifier(
        backbone, len(card.classes), integer_seed(seed, "randomisation", *run)
    )
    tested = explanation_tests(
        model,
        untrained,
        lambda images: outputs(model, images)[0],
        lambda network, images, of: outputs(network, images)[1].of_class(of),
        pixels,
        groups.loc[drawn].to_numpy(),
        rng,
        seed_sequence(seed, "explanation intervals", *run),
    )
    write_json(Path(snakemake.output[0]), tested)
    log.info("Tested the maps of %d test images.", len(drawn))
