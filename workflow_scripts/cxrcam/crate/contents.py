"""What lies in a crate: a copy of the workflow, and the results with what each of them is."""

import csv
import hashlib
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from workflow_scripts.cxrcam.files import atomic_path

WORKFLOW_FOLDER: Final = "workflow"
"""Of the copy of the code, below the crate's own folder."""

_WORKFLOW_FILES: Final = (
    # Neither config.yaml nor what a site may have filled in (presets, profiles of clusters): it can
    # name folders and accounts. The crate has the configuration as it was used instead.
    "Snakefile",
    "LICENSE",
    "CITATION.cff",
    "README.md",
    "results/README.md",
    "rules/*.smk",
    "schemas/*.yaml",
    "envs/*",
    "profiles/default/*",
    "workflow_scripts/*.py",
    "workflow_scripts/cxrcam/**/*",
)
_NO_CODE: Final = frozenset({"__pycache__", "node_modules"})

ENCODINGS: Final = {
    ".cff": "application/yaml",
    ".css": "text/css",
    ".csv": "text/csv",
    ".html": "text/html",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".md": "text/markdown",
    ".onnx": "application/octet-stream",
    ".parquet": "application/vnd.apache.parquet",
    ".png": "image/png",
    ".py": "text/x-python",
    ".safetensors": "application/octet-stream",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".yaml": "application/yaml",
}
"""Media type of each kind of file that the workflow makes."""

# The first pattern that fits a path below results/<dataset>/ tells what the file is.
_DESCRIPTIONS: Final = (
    ("report/index.html", "All results on one page, opened from disk: start here"),
    (
        "report/provenance.html",
        "Date, machine, command, versions, seconds and memory of the jobs",
    ),
    ("tables/summary.csv", "One row a task and scheme: pooled accuracy with its interval"),
    ("tables/metrics.csv", "One row a training run: every number, beside the floors of its split"),
    ("tables/comparisons.csv", "Runs that share their test images, in pairs"),
    ("audit/verdict.md", "Whether the number can be believed, one line a check"),
    ("audit/duplicates.html", "Copies of one picture, each pair with one laid over the other"),
    ("audit/duplicates.csv", "Copies of one picture, those that do most harm first"),
    ("audit/external/*", "Predictions of images from elsewhere"),
    ("index/quarantine.csv", "Images that could not be read, and why"),
    ("*/model.safetensors", "Weights, with classes, image size and settings in their metadata"),
    ("*/history.parquet", "Loss and accuracy over the iterations of a training"),
    ("*/timings.parquet", "Seconds at each evaluation of a training"),
    ("*/predictions.parquet", "Logits and probabilities of the images not trained on"),
    ("*/features.parquet", "What the last layer of the network gets of each test image"),
    ("*/calibrated.parquet", "Probabilities at the temperature that the validation part chose"),
    ("*/metrics.json", "All numbers of a run"),
    ("*/maps.parquet", "Raw class activation of every image and class"),
    ("*/gallery", "Maps drawn over X-rays, one picture a class"),
    ("*/overlays", "Single X-rays with their map"),
    ("*/covered.parquet", "What the network says with parts of the image covered"),
    ("*/masked.csv", "Accuracy with parts of the image covered"),
    ("*/maps.json", "Where the maps of a run point"),
    (
        "*/probes.csv",
        "Whether traits of the images can be read off a network, and move its answers",
    ),
    ("*/map_tests.json", "Whether the maps of a run hang on what it learnt"),
    ("figures/accuracy.*", "Accuracy of every run beside its floors"),
    ("figures/history-*", "Training history of a task and scheme"),
    ("figures/confusion-*", "Confusion matrix of a task and scheme"),
    ("figures/roc-*", "Receiver operating characteristic of a task and scheme"),
    ("figures/precision_recall-*", "Precision and recall of a task and scheme"),
    ("figures/reliability-*", "Reliability of the probabilities of a task and scheme"),
)


@dataclass(frozen=True)
class Item:
    """A file or folder of the crate."""

    path: str  # relative to the crate's folder, with "/"; that of a folder ends in "/"
    description: str  # what it is; empty where the name says all
    encoding: str  # media type; empty for a folder
    size: int  # bytes; 0 for a folder
    sha256: str  # of the content; empty for a folder

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.path.endswith("/")


def workflow_files(project: Path) -> list[Path]:
    """Files of the workflow that a crate holds, sorted; what a project lacks is left out."""
    found = {
        file
        for pattern in _WORKFLOW_FILES
        for file in project.glob(pattern)
        if file.is_file() and _NO_CODE.isdisjoint(file.parts)
    }
    return sorted(found)


def copy_workflow(project: Path, folder: Path) -> list[Path]:
    """Copy the workflow, with its folders; what was there before goes. Returns the copies."""
    shutil.rmtree(folder, ignore_errors=True)
    copies = []
    for file in workflow_files(project):
        copy = folder / file.relative_to(project)
        with atomic_path(copy) as temporary:
            shutil.copyfile(file, temporary)
        copies.append(copy)
    return copies


def describe(path: str) -> str:
    """What a result is, by its path below results/<dataset>/; empty where that is not known."""
    return next((text for pattern, text in _DESCRIPTIONS if fnmatch(path, pattern)), "")


def list_items(root: Path, files: Iterable[Path]) -> list[Item]:
    """Describe files and folders of a crate, sorted by path.

    Those that lie elsewhere are left out: a crate holds only what is below its folder `root`.
    """
    return sorted(_items(root, files), key=lambda item: item.path)


def _items(root: Path, files: Iterable[Path]) -> Iterator[Item]:
    for file in set(files):
        if not file.is_relative_to(root):
            continue
        path = file.relative_to(root).as_posix()
        if file.is_dir():
            yield Item(f"{path}/", describe(path), "", 0, "")
        else:
            with file.open("rb") as handle:
                digest = hashlib.file_digest(handle, "sha256").hexdigest()
            encoding = ENCODINGS.get(file.suffix, "text/plain")
            yield Item(path, describe(path), encoding, file.stat().st_size, digest)


def first_start(benchmarks: Path, otherwise: float) -> float:
    """When the first job began, in seconds since 1970, by Snakemake's benchmark files.

    `otherwise`, if there are none or all jobs began later.
    """
    starts = [otherwise]
    for file in benchmarks.rglob("*.tsv"):
        with file.open(newline="", encoding="utf-8") as handle:
            seconds = sum(float(row["s"]) for row in csv.DictReader(handle, delimiter="\t"))
        starts.append(file.stat().st_mtime - seconds)
    return min(starts)
