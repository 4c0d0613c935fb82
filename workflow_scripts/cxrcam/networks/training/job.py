"""One training job: what rule ``train`` asks for, and the steps from its files to its model.

The same function runs in the job's own process and in each of several that share a training.
"""

import hashlib
import json
import logging
import signal
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn

from workflow_scripts.cxrcam.arrays import Float32Array, Int64Array
from workflow_scripts.cxrcam.configuration.recipes import PRETRAINED, RANDOM, with_recipe
from workflow_scripts.cxrcam.contracts import HISTORY, TIMINGS
from workflow_scripts.cxrcam.data.cache import joined_fingerprint
from workflow_scripts.cxrcam.data.feature_cache import read_features
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.logs import SHOWN
from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.capsules import MarginLoss
from workflow_scripts.cxrcam.networks.cost import parameter_count
from workflow_scripts.cxrcam.networks.device_images import Features, Normalisation, Part, Pixels
from workflow_scripts.cxrcam.networks.devices import choose_precision, set_up_torch
from workflow_scripts.cxrcam.networks.input_parts import read_network_input
from workflow_scripts.cxrcam.networks.input_size import network_input_size
from workflow_scripts.cxrcam.networks.models import (
    ModelCard,
    save_model,
)
from workflow_scripts.cxrcam.networks.training.checkpoints import Checkpoints
from workflow_scripts.cxrcam.networks.training.class_balance import class_weights, numbered_sources
from workflow_scripts.cxrcam.networks.training.distributed import rank, world_size
from workflow_scripts.cxrcam.networks.training.evaluation import best_iteration
from workflow_scripts.cxrcam.networks.training.freezing import front_removed
from workflow_scripts.cxrcam.networks.training.loop import train
from workflow_scripts.cxrcam.networks.training.recipe import TrainSettings
from workflow_scripts.cxrcam.networks.training.step import Learner
from workflow_scripts.cxrcam.networks.training.sub_classes import (
    pooled_features,
    sub_class_images,
    with_sub_classes,
)
from workflow_scripts.cxrcam.networks.weights.initial_weights import (
    RANDOM_START,
    Start,
    network_at_start,
    read_start,
)
from workflow_scripts.cxrcam.seeds import generator, integer_seed


@dataclass(frozen=True)
class TrainingJob:
    """What to train, on what, and where the results go; plain values, for any process."""

    task: str
    scheme: str
    fold: int
    seed: int
    classes: list[str]  # in the order of the outputs
    image: dict[str, Any]  # mean, size and std of the configuration's `image`
    input_part: str  # what the network sees of each image, as in `covering.covered_pixels`
    model: dict[str, Any]  # of the configuration
    settings: dict[str, Any]  # what of the configuration's `train` decides the result
    recipes: dict[str, Any]  # what "auto" means in both, by the kind of start
    precision: str  # auto, float32 or bfloat16
    deterministic: bool
    cuda_graphs: bool  # whether a GPU replays recorded steps
    threads: int  # of the CPU, for each process
    pixel_memory_mb: float
    checkpoint_seconds: float
    code: str  # fingerprint of all code that takes part
    split: str  # files to read, from here on
    shards: list[str]
    features: list[str]  # of frozen layers, where there are any
    masks: str | None
    weights: str | None
    checkpoint: str  # files to write, from here on
    model_file: str
    history_file: str
    timings_file: str
    index: str | None = None  # which knows the sources, where classes are balanced within them
    findings: bool = False  # whether `classes` are findings, any number of them an image

    @property
    def run(self) -> tuple[str, str, int]:
        """Task, scheme and fold: what, beside the seed, keys the random draws."""
        return self.task, self.scheme, self.fold

    @property
    def backbone(self) -> Backbone:
        """The network without its last layer; `model` must not say ``auto`` any more."""
        return Backbone(
            self.model["architecture"],
            self.model["last_stage"],
            self.model["map_stride"],
            self.model.get("decompose", 1),  # absent where classes are learnt as they are
        )

    def configuration_hash(self) -> str:
        """Hash of all settings that decide the result."""
        used = {
            "image": self.image,
            "input": self.input_part,
            "model": self.model,
            "train": self.settings,
            "run": [*self.run, self.seed],
        }
        return hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()

    def data_fingerprint(self) -> str:
        """Hash of the split and of the images, as pixels or features; of no times, no sharding."""
        digest = hashlib.sha256(Path(self.split).read_bytes())
        about = [pq.read_schema(shard).metadata for shard in self.features or self.shards]
        contents = (metadata[b"content_fingerprint"].decode() for metadata in about)
        digest.update(joined_fingerprint(contents).encode())
        digest.update(b"".join(sorted({metadata.get(b"made_with", b"") for metadata in about})))
        digest.update(Path(self.index).read_bytes() if self.index else b"")
        return digest.hexdigest()


def with_start(job: TrainingJob, start: Start, n_images: int) -> TrainingJob:
    """A job whose model, settings and normalisation are those for the weights that it starts from.

    `n_images` are those of the training part.

    Raises
    ------
    InputError
        Layers are to be frozen that never learnt anything.
    """
    frozen = job.settings.get("freeze_until")
    if frozen and start.kind == RANDOM:
        raise InputError(
            f"train.freeze_until is {frozen!r}, but no pretrained weights "
            f"could be had ({start.reason}), and layers of random weights would be frozen: set "
            "model.weights to a local file, or train.freeze_until to null."
        )
    recipe = job.recipes[RANDOM if start.kind == RANDOM else PRETRAINED]
    model, settings = with_recipe(job.model, job.settings, recipe, n_images)
    image = dict(job.image)
    if start.normalisation is not None:  # the range of pixels that these weights expect
        image["mean"], image["std"] = map(list, start.normalisation)
    return replace(job, model=model, settings=settings, image=image)


def read_parts(
    job: TrainingJob, roles: set[str], device: torch.device, input_size: int, processes: int
) -> tuple[dict[str, Part], list[str]]:
    """Parts of the split that training looks at, by role, and the training images' ids."""
    split = pq.read_table(job.split).to_pandas()
    parts: dict[str, Part] = {}
    names: dict[str, list[str]] = {}
    for role in roles & set(split["role"]):
        chosen = split[split["role"] == role]
        names[role] = chosen["image_id"].tolist()
        labels = labels_of_images(chosen, job)
        if job.features:
            views = read_features([Path(file) for file in job.features], names[role]).to(device)
            parts[role] = Features(views, torch.from_numpy(labels).to(device), input_size)
        else:
            pixels = read_network_input(
                [Path(shard) for shard in job.shards],
                names[role],
                job.image["size"],
                job.input_part,
                job.masks,
                # All processes together keep to what the configuration allows.
                job.pixel_memory_mb / processes,
            )
            parts[role] = Pixels.on(device, pixels, labels)
    return parts, names["train"]


def labels_of_images(images: pd.DataFrame, job: TrainingJob) -> Int64Array | Float32Array:
    """Of rows of the split: class numbers (n,); with findings 1, 0 or NaN (not known), (n, k)."""
    if job.findings:
        # A copy, as PyTorch takes no array that cannot be written.
        columns = images[[f"finding_{name}" for name in job.classes]]
        return columns.to_numpy(np.float32, copy=True)
    return np.array([job.classes.index(name) for name in images["label"]])


def training_sources(job: TrainingJob, image_ids: Sequence[str]) -> Int64Array | None:
    """Source of each training image as a number; None where sources play no part."""
    if job.index is None:
        return None
    index = pd.read_parquet(job.index, columns=["image_id", "source", "label"])
    rows = index.set_index("image_id").loc[list(image_ids)]
    sources = rows["source"].where(rows["source"].notna(), None)
    return numbered_sources(sources.tolist(), rows["label"].tolist(), job.classes)


def experiment_fingerprint(
    job: TrainingJob, data: str, origin: str, precision: str, device: torch.device, processes: int
) -> str:
    """Hash of all that a state depends on: with any of it changed, going on would mix experiments.

    That includes the number of processes: they draw dropout and add gradients up in another order.
    """
    experiment = [
        job.configuration_hash(),
        data,
        origin,
        job.code,
        precision,
        device.type,
        job.threads,
        processes,
    ]
    return hashlib.sha256(json.dumps(experiment).encode()).hexdigest()


def train_classifier(job: TrainingJob, device: torch.device, log: logging.Logger) -> None:
    """Train as a job asks, from its newest checkpoint where there is one, and write its outputs.

    Of several processes that share the training each calls this, and the first one writes.

    Raises
    ------
    InputError
        If weights, images or settings do not fit, or the loss is no number.
    TrainingStopped
        After SIGTERM or SIGINT: the state is on disk.
    """
    network = job.model["architecture"]
    start = read_start(Path(job.weights), network) if job.weights else RANDOM_START
    roles_of_split = pq.read_table(job.split, columns=["role"])["role"]
    job = with_start(job, start, roles_of_split.to_pylist().count("train"))
    settings = TrainSettings.from_mapping(job.settings)
    precision = choose_precision(job.precision, device)
    set_up_torch(job.threads, job.deterministic)
    # Each process draws dropout of its own images, the first one as if it were alone.
    own = f"dropout {rank()}" if rank() else "dropout"
    torch.manual_seed(integer_seed(job.seed, own, *job.run))

    input_size = network_input_size(network, job.image["size"], job.model["input_size"])
    parts, image_ids = read_parts(job, {"train", *settings.watch}, device, input_size, world_size())
    training = parts.pop("train")
    model = initial_model(job, start, log)
    log.info(
        f"{job.backbone} from {start.origin} weights, {parameter_count(model)} parameters, on "
        f"{device} in {precision} with {job.threads} threads; {len(training)} training images."
    )
    checkpoints = checkpoints_of(job, start, precision, device, log)
    frozen = (
        front_removed(model, settings.freeze_until, job.backbone.known.minimum_size)
        if settings.freeze_until
        else nullcontext(model)
    )
    with frozen as trained:
        learner = learner_of(job, trained, training, settings, input_size, precision, log)
        learner.sources = training_sources(job, image_ids)
        history = train(
            learner,
            {role: parts[role] for role in settings.watch if role in parts},
            generator(job.seed, "train", *job.run),
            checkpoints,
            image_ids,
            on_record=_TrainingLog(job, settings, len(training), log).evaluation,
        )
    if rank() == 0:
        used = {"precision": precision, "device": device.type}
        labels = learner.training.labels
        write_outputs(job, model, history, start.origin, input_size, used, labels, log)


def initial_model(job: TrainingJob, start: Start, log: logging.Logger) -> nn.Module:
    """Network of a job with the weights that it starts from.

    What was adapted goes to the log, and what a person should know of its maps.
    """
    model, notes = network_at_start(job.backbone, len(job.classes), start, job.seed, job.run)
    for note in notes:
        log.warning(note)
    if start.tensors is None and start.reason:
        log.warning("Training starts from random weights. %s", start.reason)
    for note in job.backbone.known.notes:
        log.info(note)
    return model


def learner_of(
    job: TrainingJob,
    model: nn.Module,
    training: Part,
    settings: TrainSettings,
    input_size: int,
    precision: str,
    log: logging.Logger,
) -> Learner:
    """What learns `training`, by the loss of a job's network and with its weights of classes."""
    normalisation = Normalisation(tuple(job.image["mean"]), tuple(job.image["std"]))
    capsules = job.backbone.known.capsules
    loss = MarginLoss(training.labels, len(job.classes)) if capsules else None
    weights = weights_in_loss(job, training.labels)
    if weights:
        told = ", ".join(f"{name} {weight:.3g}" for name, weight in weights.items())
        log.info("Weights of the classes in the loss: %s.", told)
    device = training.labels.device
    if job.backbone.sub_classes > 1:
        training = decomposed(job, model, training, input_size, normalisation, precision, log)
    return Learner(
        *(model, training, settings, normalisation, precision, input_size),
        cuda_graphs=job.cuda_graphs,
        sub_classes=job.backbone.sub_classes,
        loss=loss,
        class_weights=torch.tensor([*weights.values()], device=device) if weights else None,
    )


def weights_in_loss(job: TrainingJob, labels: torch.Tensor) -> dict[str, float] | None:
    """Weight of each class, given the classes of the training images; see `class_weights`."""
    chosen = job.settings.get("class_weights", "none")
    weights = class_weights(labels.cpu().numpy(), job.classes, chosen)
    return None if weights is None else dict(zip(job.classes, weights.tolist(), strict=True))


def decomposed(
    job: TrainingJob,
    model: nn.Module,
    training: Part,
    input_size: int,
    normalisation: Normalisation,
    precision: str,
    log: logging.Logger,
) -> Part:
    """Training images with labels of sub-classes, which `model` finds as training begins."""
    k, seed = job.backbone.sub_classes, integer_seed(job.seed, "sub-classes", *job.run) % 2**32
    shape = (input_size, normalisation, precision)
    features = pooled_features(model, job.backbone.head, training, *shape)
    training = with_sub_classes(training, features, job.classes, k, seed)
    counts = sub_class_images(training.labels, job.classes, k)
    told = ", ".join(f"{name} {' + '.join(map(str, n))}" for name, n in counts.items())
    log.info("Each class is learnt as %d sub-classes. Training images: %s.", k, told)
    return training


def checkpoints_of(
    job: TrainingJob, start: Start, precision: str, device: torch.device, log: logging.Logger
) -> Checkpoints:
    """Where the state of a job is kept; also at a signal to stop."""
    data = job.data_fingerprint()
    checkpoints = Checkpoints(
        Path(job.checkpoint),
        experiment_fingerprint(job, data, start.origin, precision, device, world_size()),
        job.checkpoint_seconds,
        log,
        writes=rank() == 0,
    )
    # What clusters send before they take a machine away, and Ctrl-C.
    signal.signal(signal.SIGTERM, checkpoints.request_stop)
    signal.signal(signal.SIGINT, checkpoints.request_stop)
    return checkpoints


class _TrainingLog:
    """What a training says while it runs: a line an evaluation, of which one an epoch is shown."""

    def __init__(
        self, job: TrainingJob, settings: TrainSettings, n_images: int, log: logging.Logger
    ) -> None:
        self.run = f"{job.task}/{job.scheme}/fold-{job.fold}/seed-{job.seed}"
        self.epochs, self.n_images, self.log = settings.epochs, n_images, log
        self.shown_epoch = 0

    def evaluation(self, records: Sequence[dict[str, Any]]) -> None:
        """Write one plain line."""
        values = ", ".join(
            f"{r['role']} loss {r['loss']:.4f} accuracy {r['accuracy']:.4f}" for r in records
        )
        epoch, iteration = records[0]["epoch"], records[0]["iteration"]
        speed = epoch * self.n_images / records[0]["seconds"]
        shown = int(epoch) > self.shown_epoch
        self.shown_epoch = int(epoch)
        self.log.info(
            f"{self.run}: epoch {epoch:.2f} of {self.epochs}, iteration {iteration}, "
            f"{speed:.0f} images/s: {values}",
            extra=SHOWN if shown else None,
        )


def write_outputs(
    job: TrainingJob,
    model: nn.Module,
    history: list[dict[str, Any]],
    weights_origin: str,
    input_size: int,
    used: dict[str, str],
    labels: torch.Tensor,
    log: logging.Logger,
) -> None:
    """Write the model with its card, the history and the clocks of a training.

    `job` has the settings of its start (`with_start`), `history` is that of `loop.train`,
    `input_size` counts pixels a side, `used` has the ``precision`` and ``device`` of the training,
    `labels` are those of the training images.
    """
    last = history[-1]["iteration"]
    kept = last if job.settings["keep"] == "last" else best_iteration(history)
    log.info("Stopped after iteration %d; kept the weights of iteration %d.", last, kept)
    used_too: dict[str, Any] = {"processes": world_size()} if world_size() > 1 else {}
    sub_classes = job.backbone.sub_classes
    if sub_classes > 1:
        used_too["sub_class_images"] = sub_class_images(labels, job.classes, sub_classes)
        labels = labels // sub_classes
    if weights := weights_in_loss(job, labels):
        used_too["weights_in_loss"] = weights
    card = ModelCard(
        classes=job.classes,
        findings=job.findings,
        architecture=job.backbone.architecture,
        last_stage=job.backbone.last_stage,
        map_stride=job.backbone.map_stride,
        sub_classes=sub_classes,
        image_size=job.image["size"],
        input_size=input_size,
        input_part=job.input_part,
        mean=job.image["mean"],
        std=job.image["std"],
        weights_origin=weights_origin,
        configuration_hash=job.configuration_hash(),
        data_fingerprint=job.data_fingerprint(),
        training={**job.settings, **used, "kept_iteration": kept, **used_too},
    )
    save_model(Path(job.model_file), model, card)
    clocks = [row for row in history if row["role"] == "train"]  # one row an evaluation
    for file, rows, schema in (
        (job.history_file, history, HISTORY),
        (job.timings_file, clocks, TIMINGS),
    ):
        with atomic_path(Path(file)) as temporary:
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), temporary)
