"""What the frozen layers of a network give of the images of one cache shard, and their mirrors."""

import hashlib
import json
from pathlib import Path

import pyarrow.parquet as pq

from workflow_scripts.cxrcam.configuration.recipes import with_recipe
from workflow_scripts.cxrcam.data.cache import read_pixels
from workflow_scripts.cxrcam.data.feature_cache import write_features
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.device_images import Normalisation
from workflow_scripts.cxrcam.networks.devices import choose_precision, set_up_device
from workflow_scripts.cxrcam.networks.input_size import network_input_size
from workflow_scripts.cxrcam.networks.models import build_classifier, load_pretrained
from workflow_scripts.cxrcam.networks.training.freezing import (
    check_cut,
    front_features_of_both_views,
)
from workflow_scripts.cxrcam.networks.weights.initial_weights import read_start

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    params, image, shard = snakemake.params, snakemake.params.image, Path(snakemake.input.shard)
    device = set_up_device(snakemake.config["compute"], snakemake.resources.get("gpu"))
    precision = choose_precision(params.precision, device)
    # Layers of random weights are never frozen: training says so.
    settings = with_recipe(params.model, {"epochs": 1}, params.recipe, n_images=1)[0]
    until = settings["freeze_until"]
    start = read_start(Path(snakemake.input.weights), settings["architecture"])
    backbone = Backbone(*(settings[key] for key in ("architecture", "last_stage", "map_stride")))
    # The last layer plays no part in front of the cut.
    model = build_classifier(backbone, 2, 0).eval()
    load_pretrained(model, backbone, start.tensors)
    check_cut(model, backbone, until)
    side = network_input_size(backbone.architecture, image["size"], settings["input_size"])
    image_ids = pq.read_table(shard, columns=["image_id"])["image_id"].to_pylist()
    pixels = read_pixels([shard], image_ids, image["size"])
    mean, std = start.normalisation or (tuple(image["mean"]), tuple(image["std"]))
    views = front_features_of_both_views(
        model, until, pixels, side, Normalisation(mean, std), device, precision
    )
    made_with = json.dumps([settings, image, start.origin, precision], sort_keys=True)
    write_features(
        Path(snakemake.output[0]),
        image_ids,
        views,
        hashlib.sha256(made_with.encode()).hexdigest(),
        pq.read_schema(shard).metadata[b"content_fingerprint"].decode(),
    )
    log.info("Kept %s of %d images, %s.", until, len(image_ids), tuple(views[0].shape[1:]))
