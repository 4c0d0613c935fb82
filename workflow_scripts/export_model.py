"""One trained network as ONNX and PT2 files, compared with PyTorch on test images."""

import hashlib
from pathlib import Path

import numpy as np
import torch

from workflow_scripts.cxrcam.export.facts import network_facts
from workflow_scripts.cxrcam.export.onnx_files import write_exported
from workflow_scripts.cxrcam.export.parity import (
    LOSS_IMAGES,
    PARITY_IMAGES,
    TOLERANCE,
    Outputs,
    measured_files,
    parity_table,
    spread_evenly,
)
from workflow_scripts.cxrcam.files import read_json, write_json
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.maps.placement import heat_scale
from workflow_scripts.cxrcam.maps.raw_maps import read_evidence_maps
from workflow_scripts.cxrcam.networks.devices import set_up_torch
from workflow_scripts.cxrcam.networks.input_parts import read_network_input
from workflow_scripts.cxrcam.networks.prediction import predict_as_trained
from workflow_scripts.cxrcam.networks.prediction_table import read_test_predictions
from workflow_scripts.cxrcam.networks.questions import load_question
from workflow_scripts.cxrcam.spreadsheets import write_csv

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, made, compute = snakemake.input, snakemake.output, snakemake.config["compute"]
    set_up_torch(compute["threads"], compute["deterministic"])
    model, card = load_question(Path(given.model), snakemake.params.finding.get("label"))
    test = read_test_predictions(given.predictions, card.classes)
    maps = read_evidence_maps(Path(given.maps), test["image_id"].tolist(), card.classes)
    facts = network_facts(
        card,
        **snakemake.params.settings,
        calibration=read_json(given.metrics)["calibration"],
        map_size=maps.values.shape[-2:],
        map_scale=heat_scale(maps.of_class(test["called"].to_numpy()).values),
        model_sha256=hashlib.sha256(Path(given.model).read_bytes()).hexdigest(),
    )
    write_json(made.facts, facts)
    paths = {"float32": made.onnx, "float16": made.onnx_float16, "pt2": made.pt2}
    write_exported(model, card, facts, **paths)
    compared = test.iloc[spread_evenly(len(test), LOSS_IMAGES)]
    pixels = read_network_input(
        *(given.shards, compared["image_id"].tolist(), card.image_size),
        *(card.input_part, given.get("masks")),
    )
    # A part of the same images, spread over the classes as they are.
    few = spread_evenly(len(compared), PARITY_IMAGES)
    said = predict_as_trained(model, card, pixels[few], torch.device("cpu"))
    reference = Outputs(said.logits, said.evidence)
    truth = compared["label"].map(card.classes.index).to_numpy(dtype=np.int64)
    of_run = compared[[f"probability_{name}" for name in card.classes]].to_numpy()
    files = measured_files(paths, pixels, few, reference, of_run, truth, compute["threads"])
    result = {"tolerance": TOLERANCE, "n_test_images": len(test), "files": files}
    write_json(made.parity, result)
    write_csv(made.parity_table, parity_table(files))
    log.info(
        "Exported %s: on %d test images logits differ from PyTorch's by %.1e at most.",
        *(card.architecture, len(few), files[Path(made.onnx).name]["difference"]["logits"]),
    )
