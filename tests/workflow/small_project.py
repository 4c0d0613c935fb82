"""A small copy of the project: the real Snakefile on a few generated X-rays."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

ROOT = Path(__file__).parents[2]
# All that the workflow consists of; no results, no tests, no environment.
PARTS = (
    "Snakefile",
    "config.yaml",
    "rules",
    "workflow_scripts",
    "schemas",
    "profiles",
    "envs",
)
CLASSES = ("Normal", "COVID", "Viral Pneumonia")
IMAGES_PER_CLASS = 10
IMAGE_SIDE = 48
DATASET = "small"
TASKS = {"two_class": list(CLASSES[:2]), "three_class": list(CLASSES)}
RUNS = [
    (task, scheme, fold)
    for task in TASKS
    for scheme, folds in (("holdout", 1), ("random_subsample", 2))
    for fold in range(1, folds + 1)
]


def small_configuration() -> dict[str, Any]:
    """An overlay over config.yaml: two tasks, two schemes, six training runs of one epoch."""
    return {
        "dataset": DATASET,
        "datasets": {
            "demo": None,
            "demo_marker": None,
            "covid19_radiography": None,
            "mine": None,
            DATASET: {"kind": "class_folders", "root": "data/small"},
        },
        "schemes": {
            "holdout": {"test_fraction": 0.3},
            "random_subsample": {
                "repeats": 2,
                "images_per_class": 8,
                "test_fraction": 0.25,
                "tasks": [],
                "train": {"epochs": 1},
            },
        },
        # Eight images a shard make four shards, so that a test can tell one from the others.
        "image": {"size": 32, "shard_images": 8},
        # Two values that another test swaps.
        "train": {
            **{"epochs": 1, "batch_size": 8, "learning_rate": 0.01, "weight_decay": 0.001},
            "progressive": [],
        },
        "model": {"weights": "random", "last_stage": None, "map_stride": None, "input_size": None},
        "compute": {"threads": 1, "precision": "float32"},
        "cam": {"overlays": 4, "gallery_images": 2},
        "audit": {"explanation_images": 4},
    }


def xray(number: int, side: int = IMAGE_SIDE) -> np.ndarray:
    """A grey picture unlike all others: smooth noise, so that none is a near-duplicate."""
    coarse = np.random.default_rng(number).integers(0, 256, (6, 6), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def save_xray(path: Path, number: int) -> None:
    """Write a picture made by `xray`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(xray(number)).save(path)


def make_class_folders(
    root: Path, classes: Iterable[str] = CLASSES, n: int = IMAGES_PER_CLASS, *, flat: bool = False
) -> None:
    """Images as the COVID-19 Radiography Database unpacks, the first two of a class with a mask."""
    mask = np.zeros((IMAGE_SIDE, IMAGE_SIDE), dtype=np.uint8)
    mask[8:40, 6:22] = mask[8:40, 26:42] = 255
    for position, label in enumerate(classes):
        folder = root / label if flat else root / label / "images"
        for number in range(1, n + 1):
            save_xray(folder / f"{label}-{number}.png", 1000 * position + number)
        if not flat:
            (root / label / "masks").mkdir()
            for number in (1, 2):
                Image.fromarray(mask).save(root / label / "masks" / f"{label}-{number}.png")


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Overlay a mapping on another one, level by level; both stay as they are."""
    result = dict(base)
    for key, value in changes.items():
        below = result.get(key)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        result[key] = merged(below, value) if both else value
    return result


def copy_file(source: str, target: str) -> str:
    """Copy with times; link what is large and never written in place."""
    if source.endswith(".safetensors"):
        os.link(source, target)
        return target
    return shutil.copy2(source, target)


# What an output belongs to, by the rule that makes it.
PLACES = {
    "cache": r"shard-(\d+)\.parquet$",
    "splits": r"/splits/(.+)\.parquet$",
    "train": r"/runs/(.+)/[^/]+$",
    "predict_run": r"/(?:runs|cam|audit)/(.+)/[^/]+$",
    "evaluate": r"/runs/(.+)/[^/]+$",
    "cam": r"/cam/(.+)/[^/]+$",
    "figures": r"/figures/[a-z_]+-(.+)\.[a-z]+$",
    "audit_floors": r"/audit/(.+)/[^/]+$",
    "audit_run": r"/audit/(.+)/[^/]+$",
    "audit_explanations": r"/audit/(.+)/[^/]+$",
}
# The rules of which these tests know what makes them stale; others may be added beside them.
KNOWN_RULES = frozenset(
    {
        *("run_config", "phantoms", "listing", "index", "masks", "tables", "comparisons"),
        *("audit_data", "audit_leaks", "audit_duplicates", "audit_suspects"),
        "report",
        *PLACES,
    }
)


def job_name(rule: str, output: str) -> str:
    """Job of an output, as ``train two_class/holdout/fold-1/seed-0``."""
    place = re.search(PLACES[rule], output) if rule in PLACES else None
    return f"{rule} {place[1]}" if place else rule


def read_plan(summary: str) -> set[str]:
    """Jobs that would run, from the table that ``snakemake --summary`` prints."""
    header, *rows = (line.split("\t") for line in summary.splitlines())
    output, rule, plan = (header.index(name) for name in ("output_file", "rule", "plan"))
    return {job_name(row[rule], row[output]) for row in rows if row[plan] != "no update"}


# --- another project: a manifest, other classes, every kind of scheme -----------------------------

FINDINGS = ("clear lung", "effusion", "mass & nodule")
FINDINGS_PER_CLASS = 14


def manifest_configuration() -> dict[str, Any]:
    """An overlay with a data set that knows nothing of COVID, and one scheme of each kind."""
    few = {"epochs": 2, "batch_size": 8}
    return {
        "dataset": "findings",
        "datasets": {
            "demo": None,
            "demo_marker": None,
            "covid19_radiography": None,
            "mine": None,
            "findings": {
                "kind": "manifest",
                "path": "data/findings.csv",
                "expected": {"images_per_class": {"effusion": 14, "mass & nodule": 99}, "side": 48},
            },
        },
        "tasks": {
            "two_class": None,
            "three_class": None,
            "fluid": {"classes": ["clear lung", "effusion"]},
            "findings": {"classes": list(FINDINGS)},
        },
        "schemes": {
            "holdout": {"test_fraction": 0.3, "system": "paper"},
            "random_subsample": {
                "repeats": 2,
                "images_per_class": 6,
                "test_fraction": 0.34,
                "tasks": [],
                "shared_test_of": "holdout",
                "score_rest": True,
                "train": few,
            },
            "kfold": {
                **{"kind": "stratified_kfold", "folds": 2, "tasks": ["fluid"]},
                "system": "chowdhury",
            },
            "published": {"kind": "predefined", "tasks": ["fluid"], "system": "deep_covid"},
            "holdout_sgd": {
                "kind": "same_splits",
                "of": "holdout",
                "tasks": ["fluid"],
                "train": {"optimizer": "sgd"},
            },
            "squeezed": {
                "kind": "same_splits",
                "of": "holdout",
                "tasks": ["fluid"],
                "model": {"architecture": "squeezenet1_1"},
            },
            "decomposed": {
                **{"kind": "same_splits", "of": "holdout", "tasks": ["fluid"]},
                **{"system": "detrac", "model": {"decompose": 2}},
            },
            "capsules": {
                **{"kind": "same_splits", "of": "holdout", "tasks": ["fluid"]},
                **{"system": "covid_caps", "model": {"architecture": "covid_caps"}},
            },
            "honest": {
                "kind": "holdout",
                "test_fraction": 0.2,
                "validation_fraction": 0.2,
                "grouped": True,
                "tasks": ["fluid"],
                "system": "deep_covid",
                "train": {"keep": "best_validation", "patience": 1},
            },
        },
        "image": {"size": 32, "shard_images": 100},
        "train": {
            "epochs": 2,
            "batch_size": 8,
            "learning_rate": 0.01,
            "watch": ["validation", "test", "shared_test"],
            "evaluate_every": 2,
        },
        "model": {"weights": "random", "last_stage": None, "map_stride": None, "input_size": None},
        "compute": {"threads": 1, "precision": "float32"},
        "cam": {"overlays": 2, "gallery_images": 2},
        "audit": {"explanation_images": 4},
        "paper": {"target_accuracy": 0.5, "sustained": 2, "channels": 3},
    }


def make_manifest(folder: Path) -> None:
    """X-rays with patients, lung masks for some, and a published division."""
    mask = np.zeros((IMAGE_SIDE, IMAGE_SIDE), dtype=np.uint8)
    mask[8:40, 6:42] = 255
    (folder / "images").mkdir(parents=True)
    Image.fromarray(mask).save(folder / "lungs.png")
    rows = ["path,label,patient,split,mask_path"]
    for position, label in enumerate(FINDINGS):
        for number in range(FINDINGS_PER_CLASS):
            name = f"images/{position}-{number}.png"
            save_xray(folder / name, 5000 + 100 * position + number)
            split = ("train", "train", "train", "test")[number % 4]
            lungs = "lungs.png" if number < 10 else ""
            rows.append(f"{name},{label},p{position}-{number // 2},{split},{lungs}")
    (folder / "findings.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


class Project:
    """A copy of the workflow in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, folder: Path, configuration: Mapping[str, Any] | None = None) -> "Project":
        """Copy the workflow; the configuration is written as overlay."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in PARTS:
            if (ROOT / name).is_dir():
                ignore = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / name, folder / name, ignore=ignore)
            elif (ROOT / name).exists():
                shutil.copy2(ROOT / name, folder / name)
        project = cls(folder)
        project.configure(small_configuration() if configuration is None else configuration)
        return project

    def copy(self, folder: Path) -> "Project":
        """Copy with everything that it made, times and Snakemake's records included."""
        shutil.copytree(self.folder, folder, copy_function=copy_file, dirs_exist_ok=True)
        return Project(folder)

    def configure(self, configuration: Mapping[str, Any]) -> None:
        """Write the overlay."""
        (self.folder / "overlay.yaml").write_text(
            yaml.safe_dump(dict(configuration), sort_keys=False), encoding="utf-8"
        )

    def change(self, **changes: Any) -> None:
        """Overlay further settings on the overlay."""
        text = (self.folder / "overlay.yaml").read_text(encoding="utf-8")
        self.configure(merged(yaml.safe_load(text), changes))

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace a piece of code, which must be there once or more."""
        path = self.folder / file
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{old!r} is no longer in {file}: adapt this test"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    def snakemake(
        self, *arguments: str, overlay: bool = True, timeout: float = 900
    ) -> subprocess.CompletedProcess[str]:
        """Run Snakemake in the folder, as a user would, with little of the machine."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SNAKEMAKE_")}
        environment |= {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
            "MPLBACKEND": "Agg",
            "CUDA_VISIBLE_DEVICES": "",
        }
        # First, and never as the value of a list option that stands at the end of the command.
        chosen = ["--configfile", "overlay.yaml"] if overlay else []
        return subprocess.run(
            [sys.executable, "-m", "snakemake", *chosen, *arguments],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def run(self, *arguments: str, cores: int = 2) -> str:
        """Really run; all that it printed."""
        done = self.snakemake("--cores", str(cores), *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def plan(self, *arguments: str) -> set[str]:
        """Jobs that would run, of the known rules."""
        done = self.snakemake("--summary", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return {job for job in read_plan(done.stdout) if job.split()[0] in KNOWN_RULES}

    def refuse(self, *arguments: str, overlay: bool = True) -> str:
        """Run what must be refused before any job starts; the message."""
        done = self.snakemake("--dry-run", *arguments, overlay=overlay)
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stdout + done.stderr

    def results(self, pattern: str = "*") -> dict[str, int]:
        """Time of the last change of each result whose path matches, by relative path."""
        return {
            file.relative_to(self.folder).as_posix(): file.stat().st_mtime_ns
            for file in sorted((self.folder / "results").rglob(pattern))
            if file.is_file()
        }
