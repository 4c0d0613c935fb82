"""Which network, resolution and map to trust: the tournament behind the defaults.

`python -m benchmarks.maps` trains arms (where a network starts, where it ends, how fine its maps
are) with the default recipe of their start, on phantoms whose lesions are known, with the same
images and seeds, and scores each kind of map: our own, those of pytorch-grad-cam and Captum's
(`--methods`; for Captum's: pip install captum). `--weights` names a state dict for the arms that
start from ImageNet; without it only those from random weights run. `--real` adds real X-rays, and
`--external` a manifest of images from elsewhere to test on.

Each network adds its rows to results/benchmarks/maps.csv when it is done, and one that is there
already is not trained again: the benchmark can be stopped at any time and goes on where it was.
At the end, and with `--summary` at once, it prints the tables of what there is and draws
results/benchmarks/maps.png. Training is counted in seconds of the processor, on one thread.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import yaml

from benchmarks.map_images import TASKS, Study, draw_phantoms, phantom_study, real_study
from benchmarks.map_measures import (
    ATTRIBUTIONS,
    CPU,
    IMAGENET,
    NETWORK,
    OWN,
    Measured,
    Network,
    measure_network,
)
from benchmarks.map_tables import print_tables
from benchmarks.workflow import PROJECT
from workflow_scripts.cxrcam.configuration.recipes import PRETRAINED, RANDOM, with_recipe
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.device_images import Pixels
from workflow_scripts.cxrcam.networks.devices import choose_precision, set_up_torch
from workflow_scripts.cxrcam.networks.models import build_classifier, load_pretrained
from workflow_scripts.cxrcam.networks.training.loop import train
from workflow_scripts.cxrcam.networks.training.recipe import TrainSettings
from workflow_scripts.cxrcam.networks.training.step import Learner
from workflow_scripts.cxrcam.networks.weights.files import read_state_dict

COMMON: dict[str, Any] = {
    **{"optimizer": "adam", "momentum": 0.9, "weight_decay": 0.0, "horizontal_flip": 0.5},
    **{"schedule": "one_cycle"},
    **{"watch": [], "evaluate_every": 10**9, "keep": "last", "patience": 0},
}
AUTO = dict.fromkeys(("epochs", "batch_size", "learning_rate", "progressive"), "auto")
REAL_EPOCHS = (1, 2, 4)
# Other kinds of map, and on how many images at most each is scored.
LIBRARY = {
    **dict.fromkeys(("grad_cam_plus_plus", "hires_cam", "layer_cam", "eigen_cam"), 60),
    "score_cam": 6,
}
METHODS = LIBRARY | {"integrated_gradients": 12, "occlusion": 6}


@dataclass(frozen=True)
class Arm:
    """What is compared: one network, trained with the default recipe of its start.

    Attributes
    ----------
    start : {"imagenet", "random"}
    side : int
        Pixels a side at its input.
    last_stage, map_stride : int or None
        As in `architectures.Backbone`.
    """

    start: str
    side: int
    last_stage: int | None = None
    map_stride: int | None = None

    @property
    def name(self) -> str:
        """Name in tables."""
        stage = "whole" if self.last_stage is None else f"stage {self.last_stage}"
        stride = "" if self.map_stride is None else f", stride {self.map_stride}"
        return f"{self.start}, {stage}{stride}, {self.side} px"

    @property
    def backbone(self) -> Backbone:
        """The network without its last layer."""
        return Backbone("resnet18", self.last_stage, self.map_stride)

    def recipe(self, n_images: int, epochs: int | None = None) -> dict[str, Any]:
        """Training settings of the project's `config.yaml`, with other epochs where given."""
        recipes = yaml.safe_load((PROJECT / "config.yaml").read_text(encoding="utf-8"))["recipes"]
        of_start = recipes[PRETRAINED if self.start == "imagenet" else RANDOM]
        model = {
            **{"architecture": "resnet18", "last_stage": self.last_stage},
            **{"map_stride": self.map_stride, "input_size": self.side},
        }
        # A few epochs are compared at one side: smaller images first would be all of a single one.
        chosen = AUTO | ({} if epochs is None else {"epochs": epochs, "progressive": []})
        return COMMON | with_recipe(model, chosen, of_start, n_images)[1]


# The first of each start is what the others are compared with.
ARMS = (
    Arm("imagenet", 224),
    Arm("imagenet", 224, 3),
    Arm("imagenet", 224, 2),
    Arm("imagenet", 224, 3, 8),
    Arm("imagenet", 224, None, 16),
    Arm("imagenet", 224, None, 8),
    Arm("random", 129),
    Arm("random", 129, 3),
    Arm("random", 129, 2),
)


@dataclass(frozen=True)
class Job:
    """One network to train and measure.

    Attributes
    ----------
    data : {"phantoms", "real"}
    difficulty : float
        Of phantoms; 0 for real images.
    task : str
    arm : Arm
    seed : int
    images : int
        Training images a class; all of them, and 0 here, where they are real.
    epochs : int or None
        None for those of the recipe.
    """

    data: str
    difficulty: float
    task: str
    arm: Arm
    seed: int
    images: int = 0
    epochs: int | None = None

    def recipe(self, n_images: int) -> dict[str, Any]:
        """Training settings."""
        return self.arm.recipe(n_images, self.epochs)

    @property
    def key(self) -> dict[str, Any]:
        """Columns that name it."""
        recipe = self.recipe(self.images * len(TASKS[self.task]) or 1)
        return {
            **{"data": self.data, "difficulty": self.difficulty, "task": self.task},
            **{"arm": self.arm.name, "images": self.images, "epochs": recipe["epochs"]},
            **{"rate": recipe["learning_rate"], "seed": self.seed},
        }


@dataclass(frozen=True)
class Options:
    """What all jobs share."""

    weights: Path | None
    phantoms: Path
    real: Path | None
    external: Path | None
    training: int
    test: int
    test_share: float
    kinds: dict[str, int]
    tested: int
    target: Path

    def study(self, job: Job) -> Study:
        """Images of a job."""
        if job.data == "real":
            assert self.real is not None  # noqa: S101 (no such job is made without)
            return real_study(
                *(self.real, self.external, job.task, job.arm.side, job.seed, self.test_share)
            )
        root = self.phantoms / f"difficulty-{job.difficulty:g}"
        return phantom_study(root, job.task, job.arm.side, self.training, self.test)

    def arrays_of(self, key: dict[str, Any]) -> Path:
        """File of the values of single images."""
        name = "_".join(str(v).replace(", ", "-").replace(" ", "-") for v in key.values())
        return self.target.with_suffix("") / f"{name}.npz"


def trained(job: Job, study: Study, weights: Path | None) -> tuple[Network, float]:
    """Network of a job, and the processor's seconds of its training."""
    part, arm = study.training, job.arm
    model = build_classifier(arm.backbone, len(TASKS[job.task]), job.seed)
    if arm.start == "imagenet" and weights:
        load_pretrained(model, arm.backbone, read_state_dict(weights))
    # On one thread, seconds of the processor are those of a machine that does nothing else.
    settings = TrainSettings.from_mapping(job.recipe(len(part)))
    with patch("time.perf_counter", time.process_time):
        pixels, precision = Pixels.on(CPU, part.pixels, part.labels), choose_precision("auto", CPU)
        learner = Learner(model, pixels, settings, IMAGENET, precision)
        history = train(learner, {}, np.random.default_rng(job.seed))
    return Network(model.eval(), arm.backbone, arm.side), history[-1]["seconds"]


def done(job: Job, options: Options) -> pd.DataFrame:
    """Train and measure one network: its rows of the table."""
    set_up_torch(1, deterministic=True)
    study = options.study(job)
    network, seconds = trained(job, study, options.weights)
    measured: Measured = measure_network(
        *(network, study.test, study.external, len(TASKS[job.task]), job.seed),
        *(options.kinds, options.tested),
    )
    measured.add(NETWORK, "seconds of training", seconds, len(study.training))
    with atomic_path(options.arrays_of(job.key)) as temporary:
        np.savez_compressed(temporary, **measured.arrays)
    return pd.DataFrame([job.key | row for row in measured.rows])


def all_jobs(chosen: argparse.Namespace) -> Iterator[Job]:
    """Networks that are asked for, the most important first."""
    arms = [arm for arm in ARMS if not chosen.arms or arm.name in chosen.arms]
    arms = [arm for arm in arms if chosen.weights or arm.start == "random"]
    for difficulty in chosen.difficulties:
        for seed in chosen.seeds:
            for arm in arms:
                for task in chosen.tasks:
                    yield Job("phantoms", difficulty, task, arm, seed, chosen.images_per_class)
    for seed in chosen.seeds if chosen.real else ():
        for arm in arms:
            for task in chosen.tasks:
                for epochs in REAL_EPOCHS:
                    yield Job("real", 0.0, task, arm, seed, epochs=epochs)


def run(jobs: Sequence[Job], options: Options, processes: int) -> None:
    """Train and measure what is not in the table yet, and add it as soon as it is done."""
    target = options.target
    target.parent.mkdir(parents=True, exist_ok=True)
    there = set()
    if target.exists():
        there = set(map(tuple, pd.read_csv(target)[list(jobs[0].key)].to_numpy().tolist()))
    left = [job for job in jobs if tuple(job.key.values()) not in there]
    print(f"{len(left)} of {len(jobs)} networks to train", flush=True)
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        futures = {pool.submit(done, job, options): job for job in left}
        for future in as_completed(futures):
            rows = future.result()
            rows.to_csv(target, mode="a", index=False, header=not target.exists())
            short = rows[rows["map"].isin([NETWORK, OWN[0]])].set_index("measure")["value"]
            wanted = ["accuracy, test", "pointing", "heat in lesion", "overlap", "heat in lungs"]
            said = [f"{k} {short[k]:.3f}" for k in wanted if k in short]
            print(*futures[future].key.values(), *said, sep="; ", flush=True)


def parsed() -> argparse.Namespace:
    """What the user asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--weights", type=Path, help="state dict of ResNet18 for arms that start from ImageNet")
    add("--real", type=Path, help="folder of class folders of real X-rays")
    add("--external", type=Path, help="manifest of X-rays from elsewhere, with --real")
    add("--phantoms", type=Path, help="folder to draw phantoms into; default: a temporary one")
    add("--arms", nargs="+", choices=[arm.name for arm in ARMS], metavar="ARM", help="by name")
    add("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    add("--difficulties", type=float, nargs="*", default=[0.2, 0.4, 0.6])
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add("--images-per-class", type=int, default=120, help="to train on")
    add("--test-images-per-class", type=int, default=100)
    add("--test-share", type=float, default=0.25, help="of real images")
    add("--methods", nargs="*", default=list(LIBRARY), choices=[*LIBRARY, *ATTRIBUTIONS])
    add("--tested-images", type=int, default=8, help="of randomisation and faithfulness")
    add("--processes", type=int, default=2)
    add("--summary", action="store_true", help="train nothing, summarise what there is")
    add("--target", type=Path, default=Path("results/benchmarks/maps.csv"))
    return parser.parse_args()


def main() -> None:
    """Train what is missing, then print and draw all there is."""
    chosen = parsed()
    with tempfile.TemporaryDirectory(prefix="cxrcam-benchmark-") as temporary:
        options = Options(
            *(chosen.weights, chosen.phantoms or Path(temporary), chosen.real, chosen.external),
            *(chosen.images_per_class, chosen.test_images_per_class, chosen.test_share),
            dict.fromkeys(OWN, 0) | {name: METHODS[name] for name in chosen.methods},
            *(chosen.tested_images, chosen.target),
        )
        if not chosen.summary:
            per_class = options.training + options.test
            for difficulty in chosen.difficulties:
                draw_phantoms(options.phantoms, difficulty, per_class, chosen.processes)
            run(list(all_jobs(chosen)), options, chosen.processes)
    references = {arm.start: arm.name for arm in reversed(ARMS)}
    table = pd.read_csv(chosen.target)
    place = {arm.name: k for k, arm in enumerate(ARMS)}
    table = table.sort_values("arm", key=lambda names: names.map(place), kind="stable")
    print_tables(table, options.arrays_of, list(references.values()))


if __name__ == "__main__":
    main()
