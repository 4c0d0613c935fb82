"""How fast it computes: ours, what a user would otherwise write, and what the machine can do.

One run, one table: `make benchmark`. The peer of training is a plain torchvision script
(ImageFolder, PIL, DataLoader with workers, float32); the peer of the maps is the pytorch-grad-cam
library, whose Grad-CAM equals our maps before it rectifies them (a unit test says so). The ceiling
is measured as well: the same network, precision, batch and memory layout on one batch that lies in
memory. The three take turns, and medians of several turns are printed. All images are phantoms.
Written to results/benchmarks/speed.csv.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
import torchvision
from torch import nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from benchmarks.decoding import SIDE, decoding
from benchmarks.workflow import clocked, copy_project, settings
from workflow_scripts.cxrcam.data.cache import read_pixels, shard_writer
from workflow_scripts.cxrcam.data.decoding import decode_images
from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.device_images import Features, Normalisation, Pixels
from workflow_scripts.cxrcam.networks.devices import autocast, choose_precision, set_up_torch
from workflow_scripts.cxrcam.networks.models import build_classifier
from workflow_scripts.cxrcam.networks.prediction import predict
from workflow_scripts.cxrcam.networks.training.freezing import front_features, front_removed
from workflow_scripts.cxrcam.networks.training.loop import train
from workflow_scripts.cxrcam.networks.training.recipe import TrainSettings
from workflow_scripts.cxrcam.networks.training.step import Learner
from workflow_scripts.cxrcam.phantom.dataset import write_phantom_dataset
from workflow_scripts.cxrcam.phantom.traits import PhantomSettings

CPU = torch.device("cpu")
IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
ROUNDS = 3
RESNET18 = Backbone("resnet18")


def medians(candidates: dict[str, Callable[[], float]], rounds: int = ROUNDS) -> dict[str, float]:
    """Figure of each candidate: they take turns, so that a slow minute strikes all of them."""
    seen: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, measure in candidates.items():
            seen[name].append(measure())
    return {name: median(values) for name, values in seen.items()}


def recipe(batch_size: int, epochs: int) -> TrainSettings:
    """Settings that record the clock often and watch nothing."""
    return TrainSettings.from_mapping(
        {
            **{"epochs": epochs, "batch_size": batch_size, "optimizer": "adam"},
            **{"learning_rate": 1e-5, "momentum": 0.9, "weight_decay": 0.0},
            **{"schedule": "constant", "horizontal_flip": 0.5, "watch": []},
            **{"evaluate_every": 2, "keep": "last", "patience": 0},
        }
    )


# --- training -------------------------------------------------------------------------------------


def train_peer(folder: Path, batch_size: int, steps: int) -> float:
    """Images/s of a plain torchvision script."""
    normalise = v2.Normalize(IMAGENET.mean, IMAGENET.std)
    transform = v2.Compose(
        [
            *(v2.Resize((SIDE, SIDE)), v2.RandomHorizontalFlip(), v2.ToImage()),
            *(v2.ToDtype(torch.float32, scale=True), normalise),
        ]
    )
    images = ImageFolder(str(folder), transform)
    loader = DataLoader(images, batch_size, shuffle=True, num_workers=2, drop_last=True)
    model = torchvision.models.resnet18(num_classes=2).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5)
    began, done = 0.0, 0

    def forever() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        while True:
            yield from loader

    for step, (batch, labels) in enumerate(forever()):
        if step == 2:  # the workers are up and running
            began = time.perf_counter()
        loss = nn.functional.cross_entropy(model(batch), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        done += batch_size * (step >= 2)
        if step == steps + 1:
            break
    return done / (time.perf_counter() - began)


def train_ours(part: Pixels | Features, batch_size: int, model: nn.Module, precision: str) -> float:
    """Images/s of our training, deterministic as in config.yaml, from its own history."""
    epochs = max(1, round(10 * batch_size / len(part)))
    rng = np.random.default_rng(0)
    set_up_torch(torch.get_num_threads(), deterministic=True)
    learner = Learner(model, part, recipe(batch_size, epochs), IMAGENET, precision)
    history = train(learner, {}, rng)
    torch.set_deterministic_debug_mode("default")  # the others may do as they like
    first, last = history[0], history[-1]
    images = (last["epoch"] - first["epoch"]) * len(part)
    return images / (last["seconds"] - first["seconds"])


def train_ceiling(batch_size: int, steps: int, precision: str) -> float:
    """Images/s of bare steps on one batch in memory."""
    model = build_classifier(RESNET18, 2, 0).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5)
    batch = torch.randn(batch_size, 3, SIDE, SIDE).to(memory_format=torch.channels_last)
    labels = torch.arange(batch_size) % 2
    began = 0.0
    for step in range(steps + 2):
        if step == 2:
            began = time.perf_counter()
        with autocast(CPU, precision):
            loss = nn.functional.cross_entropy(model(batch), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return batch_size * steps / (time.perf_counter() - began)


def training_rows(folder: Path, part: Pixels, precision: str) -> list[dict]:
    """Training at the batch sizes of the issue and the paper."""
    rows = []
    for batch_size in (32, 6):
        steps = max(6, 192 // batch_size // 2)
        found = medians(
            {
                "ours": lambda b=batch_size: train_ours(
                    part, b, build_classifier(RESNET18, 2, 0), precision
                ),
                "peer": lambda b=batch_size, s=steps: train_peer(folder, b, s),
                "ceiling": lambda b=batch_size, s=steps: train_ceiling(b, s, precision),
            }
        )
        what = f"training, batch {batch_size}, {SIDE} px, {precision} (peer: float32)"
        rows.append({"what": what, "unit": "images/s", **found})
    return rows


def frozen_row(part: Pixels, precision: str) -> dict:
    """An epoch with layers 1 to 3 frozen and their features kept, beside one of the whole."""
    model = build_classifier(RESNET18, 2, 0).eval()
    rows = torch.arange(len(part))
    with torch.inference_mode(), autocast(CPU, precision):
        view = torch.cat(
            [
                front_features(model, "layer3", part.batch(r, None, SIDE, IMAGENET))
                for r in rows.split(32)
            ]
        ).clone()
    features = Features(torch.stack([view, view]), part.labels, SIDE)

    def frozen() -> float:
        with front_removed(model, "layer3", 32) as rest:
            return train_ours(features, 32, rest, precision)

    found = medians(
        {
            "ours": frozen,
            "peer": lambda: train_ours(part, 32, build_classifier(RESNET18, 2, 0), precision),
        }
    )
    return {"what": "epoch with layers 1-3 frozen (peer: all layers)", "unit": "images/s", **found}


# --- maps -----------------------------------------------------------------------------------------


def maps_rows(pixels: np.ndarray) -> list[dict]:
    """Predictions with maps of all classes, beside the forward pass alone and pytorch-grad-cam."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    model = build_classifier(RESNET18, 2, 0).eval()
    images = IMAGENET.apply(torch.from_numpy(pixels))
    fast = model.to(memory_format=torch.channels_last)

    def forward() -> float:
        with torch.inference_mode():
            return len(pixels) / clocked(
                lambda: [
                    fast(IMAGENET.apply(torch.from_numpy(p))) for p in np.array_split(pixels, 3)
                ]
            )

    def library() -> float:
        few = images[:16]
        with GradCAM(model, [model.layer4]) as cam:
            return len(few) / clocked(
                lambda: [cam(few, [ClassifierOutputTarget(c)] * len(few)) for c in range(2)]
            )

    found = medians(
        {
            "ours": lambda: (
                len(pixels) / clocked(lambda: predict(model, RESNET18, pixels, IMAGENET, CPU, 32))
            ),
            "peer": library,
            "ceiling": forward,
        }
    )
    what = "predictions and maps of 2 classes (ceiling: forward pass; peer: pytorch-grad-cam)"
    return [{"what": what, "unit": "images/s", **found}]


# --- data -----------------------------------------------------------------------------------------


def data_rows(files: list[tuple[str, Path]], folder: Path, cores: int) -> list[dict]:
    """Decoding into the cache beside bare decoding, and reading it beside a copy in memory."""
    files = [(f"{name}-{k}", path) for k in range(8) for name, path in files]
    with decoding(files, folder, cores) as jobs:
        found = medians(
            {
                "ours": lambda: len(files) / clocked(jobs.cache),
                "ceiling": lambda: len(files) / clocked(jobs.bare),
            }
        )
    many = np.random.default_rng(0).integers(0, 256, (8192, SIDE, SIDE), dtype=np.uint8)
    names = [f"i{k}" for k in range(len(many))]
    shards = [folder / f"many-{k}.parquet" for k in range(4)]  # of 2,048 images, as in config.yaml
    for shard, rows in zip(shards, np.split(np.arange(len(many)), len(shards)), strict=True):
        with shard_writer(shard, many.shape[1], {}) as write:
            write([names[k] for k in rows], many[rows])
    size = many.nbytes / 2**30
    reading = medians(
        {
            "ours": lambda: size / clocked(lambda: read_pixels(shards, names, SIDE)),
            "ceiling": lambda: size / clocked(lambda: many.copy()),
        },
        rounds=7,  # memory that a virtual machine touches for the first time is slow now and then
    )
    threads = pa.cpu_count()
    what = f"read a cached epoch, {threads} threads (ceiling: copy in memory, one thread)"
    decoded = "decode, check, fingerprint and cache (ceiling: decode and resize, by Pillow)"
    return [
        {"what": decoded, "unit": "images/s", **found},
        {"what": what, "unit": "GiB/s", **reading},
    ]


# --- workflow -------------------------------------------------------------------------------------


def workflow_rows(folder: Path) -> list[dict]:
    """What Snakemake and the start of a job cost."""

    def python(code: str) -> float:
        return clocked(lambda: subprocess.run([sys.executable, "-c", code], check=True))

    torch_job = python("import torch, workflow_scripts.cxrcam.networks.training.loop")
    small_job = python("import workflow_scripts.cxrcam.data.splits, pyarrow.parquet")
    copy_project(folder / "project", settings(None, 1.0, SIDE))
    command = [sys.executable, "-m", "snakemake", "--configfile", "bench.yaml", "-n", "--quiet"]
    dry = clocked(
        lambda: subprocess.run(command, cwd=folder / "project", check=True, capture_output=True)
    )
    empty = clocked(
        lambda: subprocess.run([*command[:3], "--version"], check=True, capture_output=True)
    )
    return [
        {"what": "start of a job that trains: imports", "unit": "s", "ours": torch_job},
        {"what": "start of a small job (no torch): imports", "unit": "s", "ours": small_job},
        {
            "what": "dry run, 15,153 images, 8 runs (ceiling: snakemake --version)",
            **{"unit": "s", "ours": dry, "ceiling": empty},
        },
    ]


def main() -> None:
    """Measure everything and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=192)
    chosen = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    torch.set_num_threads(cores)
    precision = choose_precision("auto", CPU)
    rows: list[dict] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        counts = {"Normal": chosen.images // 2, "COVID": chosen.images // 2}
        write_phantom_dataset(folder / "phantoms", counts, 0, PhantomSettings(size=299))
        files = sorted((folder / "phantoms").glob("*/images/*.png"))
        tree = folder / "tree"
        for file in files:
            target = tree / file.name.split("-")[0] / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(file)
        named = [(file.stem, file) for file in files]
        _, _, pixels = decode_images(named, SIDE, "bilinear", 10**8, cores)
        part = Pixels.on(CPU, pixels, np.arange(len(pixels)) % 2)
        rows += training_rows(tree, part, precision)
        rows.append(frozen_row(part, precision))
        rows += maps_rows(pixels[:96])
        rows += data_rows(named, folder, cores)
        rows += workflow_rows(folder)
    table = pd.DataFrame(rows)
    for other in ("peer", "ceiling"):
        table[f"ours / {other}"] = table["ours"] / table[other]
    versions = f"torch {torch.__version__}, torchvision {torchvision.__version__}"
    print(table.round(2).to_string(index=False, na_rep="-"))
    print(f"\n{cores} cores, {platform.processor() or platform.machine()}, {versions}")
    target = Path("results/benchmarks/speed.csv")
    target.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(target, index=False)
    print(f"Written to {target}")


if __name__ == "__main__":
    main()
