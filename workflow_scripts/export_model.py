"""One trained network as ONNX and PT2 files, compared with PyTorch on test images."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from workflow_scripts.cxrcam.export.facts import network_facts
from workflow_scripts.cxrcam.export.graph import output_names, pt2_bytes, traced
from workflow_scripts.cxrcam.export.onnx_files import (
    onnx_bytes,
    onnx_model,
    with_float16_weights,
)
from workflow_scripts.cxrcam.export.parity import (
    LOSS_IMAGES,
    PARITY_IMAGES,
    TOLERANCE,
    Outputs,
    differences,
    loss,
    onnx_outputs,
    pt2_outputs,
    require_parity,
    spread_evenly,
)
from workflow_scripts.cxrcam.files import atomic_path, write_json
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.maps.placement import heat_scale
from workflow_scripts.cxrcam.maps.raw_maps import read_evidence_maps
from workflow_scripts.cxrcam.networks.devices import set_up_torch
from workflow_scripts.cxrcam.networks.input_parts import read_network_input
from workflow_scripts.cxrcam.networks.models import load_model
from workflow_scripts.cxrcam.networks.parts import Normalisation
from workflow_scripts.cxrcam.networks.prediction import predict
from workflow_scripts.cxrcam.spreadsheets import write_csv
from workflow_scripts.cxrcam.terms import TEST

FLOAT32, FLOAT16, PT2 = "model.onnx", "model-float16.onnx", "model.pt2"


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def parity_table(files: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """One row a file; what JSON nests becomes one column each."""
    rows = []
    for name, measured in files.items():
        row = {"file": name, "bytes": measured["bytes"], "sha256": measured["sha256"]}
        for part in ("difference", "loss"):
            row |= {f"{part}_{key}": value for key, value in measured.get(part, {}).items()}
        rows.append(row)
    # The PT2 file has no loss; without this type its gap would make fractions of whole numbers.
    return pd.DataFrame(rows).astype({"loss_n": "Int64"})


if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    given, made, settings = snakemake.input, snakemake.output, snakemake.params.settings
    threads = snakemake.config["compute"]["threads"]
    set_up_torch(threads, snakemake.config["compute"]["deterministic"])
    model, card = load_model(Path(given.model))
    classes = card.classes

    predictions = pd.read_parquet(given.predictions)
    test = predictions[predictions["role"] == TEST].sort_values("image_id", ignore_index=True)
    named = test[[f"probability_{name}" for name in classes]].to_numpy().argmax(axis=1)
    maps = read_evidence_maps(Path(given.maps), test["image_id"].tolist(), classes)
    compared = test.iloc[spread_evenly(len(test), LOSS_IMAGES)]
    pixels = read_network_input(
        *(given.shards, compared["image_id"].tolist(), card.image_size),
        *(card.input_part, given.get("masks")),
    )
    # A part of the same images, spread over the classes as they are.
    few = spread_evenly(len(compared), PARITY_IMAGES)

    facts = network_facts(
        card,
        run=settings["run"],
        resampling=settings["resampling"],
        calibration=json.loads(Path(given.metrics).read_text(encoding="utf-8"))["calibration"],
        map_size=maps.values.shape[-2:],
        map_scale=heat_scale(maps.of_class(named).values),
        model_sha256=hashlib.sha256(Path(given.model).read_bytes()).hexdigest(),
    )
    write_json(Path(made.facts), facts)
    program = traced(model, card)
    whole = onnx_model(program, output_names(card.backbone), facts)
    write_bytes(Path(made.onnx), onnx_bytes(whole))
    write_bytes(Path(made.onnx_float16), onnx_bytes(with_float16_weights(whole)))
    del whole  # as large as the network
    write_bytes(Path(made.pt2), pt2_bytes(program, facts))
    del program

    result = predict(
        *(model, card.backbone, pixels[few]),
        *(Normalisation(tuple(card.mean), tuple(card.std)), torch.device("cpu")),
        input_size=card.input_size,
    )
    reference = Outputs(result.logits, result.evidence)
    truth = compared["label"].map(classes.index).to_numpy(dtype=np.int64)
    of_run = compared[[f"probability_{name}" for name in classes]].to_numpy()
    files: dict[str, dict[str, Any]] = {}
    for name, path in ((FLOAT32, made.onnx), (FLOAT16, made.onnx_float16), (PT2, made.pt2)):
        content = Path(path).read_bytes()
        measured = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        if name == PT2:
            measured["difference"] = differences(pt2_outputs(Path(path), pixels[few]), reference)
        else:
            outputs = onnx_outputs(Path(path), pixels, threads)
            measured["difference"] = differences(outputs.of(few), reference)
            measured["loss"] = loss(outputs.probabilities, of_run, truth)
        if name != FLOAT16:
            require_parity(name, measured["difference"])
        files[name] = measured
    write_json(
        Path(made.parity),
        {"tolerance": TOLERANCE, "n_test_images": len(test), "files": files},
    )
    write_csv(Path(made.parity_table), parity_table(files))
    log.info(
        "Exported %s: on %d test images logits differ from PyTorch's by %.1e at most.",
        *(card.architecture, len(few), files[FLOAT32]["difference"]["logits"]),
    )
