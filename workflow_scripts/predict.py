"""Predictions and raw maps of the images that a model was not trained on."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.cxrcam.contracts import predictions_schema
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps, write_raw_maps
from workflow_scripts.cxrcam.networks.architectures import ARCHITECTURES
from workflow_scripts.cxrcam.networks.devices import choose_device, set_up_torch
from workflow_scripts.cxrcam.networks.input_parts import read_network_input
from workflow_scripts.cxrcam.networks.models import load_model
from workflow_scripts.cxrcam.networks.prediction import predict
from workflow_scripts.cxrcam.networks.training import Normalisation

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
    )
    result = predict(
        model,
        card.architecture,
        pixels,
        Normalisation(tuple(card.mean), tuple(card.std)),
        device,
        input_size=card.input_size,
    )
    columns = [pa.array(unseen[name]) for name in ("image_id", "label", "role")]
    columns += [pa.array(result.logits[:, k]) for k in range(len(card.classes))]
    columns += [pa.array(result.probabilities[:, k]) for k in range(len(card.classes))]
    with atomic_path(Path(snakemake.output.predictions)) as temporary:
        schema = predictions_schema(card.classes)
        pq.write_table(pa.Table.from_arrays(columns, schema=schema), temporary)

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
