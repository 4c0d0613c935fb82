"""Whether traits of the images can be read off what decides one network, and its answers follow."""

from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from workflow_scripts.cxrcam.arrays import Float32Array
from workflow_scripts.cxrcam.audit.probes import answers_of, probe_table, traits_of
from workflow_scripts.cxrcam.data.listing.sources import SOURCE
from workflow_scripts.cxrcam.data.pixel_stream import at_most
from workflow_scripts.cxrcam.files import read_json
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.networks.devices import set_up_device
from workflow_scripts.cxrcam.networks.input_parts import read_network_input
from workflow_scripts.cxrcam.networks.models import load_model
from workflow_scripts.cxrcam.networks.prediction import predict_as_trained
from workflow_scripts.cxrcam.networks.prediction_table import read_features
from workflow_scripts.cxrcam.networks.weights.initial_weights import (
    RANDOM_START,
    network_at_start,
    read_start,
)
from workflow_scripts.cxrcam.seeds import generator
from workflow_scripts.cxrcam.spreadsheets import write_csv

# Of more, so many are drawn: enough for intervals of a percent, and the time stays bounded.
IMAGES = 5_000


def features_at_start(image_ids: list[str]) -> Float32Array:
    """What the last layer of the network got of some images before the training."""
    given, wildcards = snakemake.input, snakemake.wildcards
    compute = snakemake.config["compute"]
    device = set_up_device(compute, snakemake.resources.get("gpu"))
    _, card = load_model(Path(given.model))
    pixels = read_network_input(
        *(given.shards, image_ids, card.image_size, card.input_part),
        *(given.get("masks"), compute["pixel_memory_mb"]),
    )
    run = (wildcards.task, wildcards.scheme, int(wildcards.fold))
    weights = given.get("weights")
    start = read_start(Path(weights), card.architecture) if weights else RANDOM_START
    model, _ = network_at_start(card.backbone, len(card.classes), start, int(wildcards.seed), run)
    return predict_as_trained(model, card, pixels, device).features


if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
    judged = read_json(given.columns)
    columns = [
        name
        for task in params.tasks
        for name, one in judged[task].items()
        if one["finding"] != "not judged"
    ]
    traits = traits_of(pd.read_parquet(given.images), [SOURCE, *columns])
    split = pd.read_parquet(given.split).set_index("image_id")
    features = read_features(given.features)
    random = generator(int(wildcards.seed), "probes", wildcards.task, wildcards.scheme)
    features = features[at_most(np.ones(len(features), dtype=bool), IMAGES, random)]
    predictions = pd.read_parquet(given.predictions).set_index("image_id").loc[features.index]
    logits = predictions[[f"logit_{name}" for name in params.names]]
    logits = logits.set_axis(list(params.names), axis=1)
    untrained = features.to_numpy()
    if len(traits.columns) and len(features.columns):
        untrained = features_at_start(features.index.tolist())
    with threadpool_limits(1):  # sums of several threads come in any order
        answers = answers_of(split, logits, findings=params.findings)
        table = probe_table(answers, traits, split, features, untrained)
    for name in ("seed", "fold", "scheme", "task"):
        table.insert(0, name, wildcards[name])
    write_csv(snakemake.output[0], table)
    log.info("Looked for %s.", ", ".join(traits.columns) or "no trait: none is known")
