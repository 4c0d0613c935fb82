"""Train one classifier: one task, scheme, fold and seed."""

import hashlib
import json
import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tqdm import tqdm

from workflow_scripts.cxrcam.contracts import HISTORY, TIMINGS
from workflow_scripts.cxrcam.data.cache import joined_fingerprint
from workflow_scripts.cxrcam.data.feature_cache import read_features
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.networks.architectures import ARCHITECTURES
from workflow_scripts.cxrcam.networks.checkpoints import Checkpoints, TrainingStopped
from workflow_scripts.cxrcam.networks.cost import parameter_count
from workflow_scripts.cxrcam.networks.devices import choose_device, choose_precision, set_up_torch
from workflow_scripts.cxrcam.networks.freezing import front_removed
from workflow_scripts.cxrcam.networks.input_parts import read_network_input
from workflow_scripts.cxrcam.networks.input_pipeline import network_input_size
from workflow_scripts.cxrcam.networks.models import (
    ModelCard,
    build_classifier,
    file_origin,
    read_state_dict,
    save_model,
)
from workflow_scripts.cxrcam.networks.parts import Features, Normalisation, Part, Pixels
from workflow_scripts.cxrcam.networks.recipe import TrainSettings
from workflow_scripts.cxrcam.networks.training import Progress, best_iteration, train
from workflow_scripts.cxrcam.seeds import generator, integer_seed


def data_fingerprint(split_file: Path, shards: Sequence[str]) -> str:
    """Hash of the split and of the images, as pixels or features; of no times, of no sharding."""
    digest = hashlib.sha256(split_file.read_bytes())
    about = [pq.read_schema(shard).metadata for shard in shards]
    digest.update(joined_fingerprint(m[b"content_fingerprint"].decode() for m in about).encode())
    digest.update(b"".join(sorted({m.get(b"made_with", b"") for m in about})))
    return digest.hexdigest()


if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    params, wildcards = snakemake.params, snakemake.wildcards
    classes, image = list(params.classes), params.image
    run = (wildcards.task, wildcards.scheme, int(wildcards.fold))
    seed = int(wildcards.seed)
    settings = TrainSettings.from_mapping(params.settings)
    compute = snakemake.config["compute"]
    device = choose_device(compute["device"], snakemake.resources.get("gpu"))
    precision = choose_precision(params.precision, device)
    set_up_torch(compute["threads"], params.deterministic)
    torch.manual_seed(integer_seed(seed, "dropout", *run))

    split = pq.read_table(snakemake.input.split).to_pandas()
    input_size = network_input_size(
        params.model["architecture"], image["size"], params.model["input_size"]
    )
    parts: dict[str, Part] = {}
    names: dict[str, list[str]] = {}
    for role in {"train", *settings.watch} & set(split["role"]):
        chosen = split[split["role"] == role]
        names[role] = chosen["image_id"].tolist()
        labels = np.array([classes.index(name) for name in chosen["label"]])
        if settings.freeze_until:
            views = read_features(snakemake.input.features, names[role]).to(device)
            parts[role] = Features(views, torch.from_numpy(labels).to(device), input_size)
        else:
            pixels = read_network_input(
                *(snakemake.input.shards, names[role], image["size"]),
                *(params.input_part, snakemake.input.get("masks"), compute["pixel_memory_mb"]),
            )
            parts[role] = Pixels.on(device, pixels, labels)
    training = parts.pop("train")

    weights_file = snakemake.input.get("weights")
    model = build_classifier(
        params.model["architecture"],
        len(classes),
        integer_seed(seed, "initialise", *run),
        read_state_dict(Path(weights_file)) if weights_file else None,
    )
    origin = file_origin(Path(weights_file)) if weights_file else "random"
    log.info(
        "%s from %s weights, %d parameters, on %s in %s with %d threads; %d training images.",
        *(params.model["architecture"], origin, parameter_count(model), device, precision),
        *(compute["threads"], len(training)),
    )

    used = {
        **{"image": image, "input": params.input_part, "model": params.model},
        **{"train": params.settings, "run": [*run, seed]},
    }
    configuration_hash = hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()
    images = snakemake.input.features or snakemake.input.shards
    data = data_fingerprint(Path(snakemake.input.split), images)
    # What a state depends on: with any of it changed, going on would mix two experiments.
    experiment = [configuration_hash, data, origin, params.code, precision, device.type]
    checkpoints = Checkpoints(
        Path(params.checkpoint),
        hashlib.sha256(json.dumps([*experiment, compute["threads"]]).encode()).hexdigest(),
        compute["checkpoint_seconds"],
        log,
    )
    # What clusters send before they take a machine away, and Ctrl-C.
    signal.signal(signal.SIGTERM, checkpoints.request_stop)
    signal.signal(signal.SIGINT, checkpoints.request_stop)

    bar = tqdm(
        desc="/".join(map(str, (*run, seed))),
        unit=" images",
        total=len(training) * settings.epochs,
        disable=not sys.stderr.isatty(),
        leave=False,
    )

    def show(progress: Progress) -> None:
        """Move the bar in a terminal."""
        bar.n = round(bar.total * progress.iteration / progress.iterations)
        bar.set_postfix(loss=f"{progress.loss:.3f}", accuracy=f"{progress.accuracy:.3f}")

    def note(records: Sequence[dict[str, Any]]) -> None:
        """Write one plain line an evaluation into the log."""
        parts_text = ", ".join(
            f"{r['role']} loss {r['loss']:.4f} accuracy {r['accuracy']:.4f}" for r in records
        )
        first = records[0]
        log.info(
            "epoch %.2f of %d, iteration %d, %.0f images/s: %s",
            *(first["epoch"], settings.epochs, first["iteration"]),
            *(first["epoch"] * len(training) / first["seconds"], parts_text),
        )

    minimum = ARCHITECTURES[params.model["architecture"]].minimum_size
    frozen = (
        front_removed(model, settings.freeze_until, minimum)
        if settings.freeze_until
        else nullcontext(model)
    )
    try:
        with frozen as trained:
            history = train(
                trained,
                training,
                {role: parts[role] for role in settings.watch if role in parts},
                settings,
                Normalisation(tuple(image["mean"]), tuple(image["std"])),
                precision,
                generator(seed, "train", *run),
                input_size,
                checkpoints,
                names["train"],
                on_step=show,
                on_record=note,
            )
    except TrainingStopped:
        log.warning(
            "Stopped by a signal; its state is in %s. Run again to go on.", params.checkpoint
        )
        raise SystemExit(128 + signal.SIGTERM) from None
    finally:
        bar.close()

    last = history[-1]["iteration"]
    kept = last if settings.keep == "last" else best_iteration(history)
    log.info("Stopped after iteration %d; kept the weights of iteration %d.", last, kept)
    save_model(
        Path(snakemake.output.model),
        model,
        ModelCard(
            classes=classes,
            architecture=params.model["architecture"],
            image_size=image["size"],
            input_size=input_size,
            input_part=params.input_part,
            mean=image["mean"],
            std=image["std"],
            weights_origin=origin,
            configuration_hash=configuration_hash,
            data_fingerprint=data,
            training={
                **params.settings,
                "precision": precision,
                "device": device.type,
                "kept_iteration": kept,
            },
        ),
    )
    with atomic_path(Path(snakemake.output.history)) as temporary:
        pq.write_table(pa.Table.from_pylist(history, schema=HISTORY), temporary)
    clocks = [row for row in history if row["role"] == "train"]  # one row an evaluation
    with atomic_path(Path(snakemake.output.timings)) as temporary:
        pq.write_table(pa.Table.from_pylist(clocks, schema=TIMINGS), temporary)
    checkpoints.remove()
