"""One small study from scratch in two folders at once, and every byte that it makes compared."""

import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from tests.workflow.small_project import Project, merged

# All that tells how long something took, and therefore differs each time; paths below results/.
DURATIONS = {
    "logs/*": "messages carry the time of day",
    "benchmarks/*": "seconds and memory of each job",
    "*/timings.parquet": "the clock of each training",
    "*/report/provenance.html": "when it was written, seconds and memory of each job",
    "*/report/made.js": "when and by which command it was written",
    "*/ro-crate-metadata.json": "when the run began and ended, checksums of the files above",
    "*/paper/figure_7.*": "accuracy over the seconds of training",
    "*/paper/effort_runs.csv": "seconds to the target accuracy",
    "*/paper/table_effort.*": "seconds to the target accuracy",
    "*/paper/scorecard.*": "claims about those seconds",
    "*/paper/table_networks.*": "images a second",
    "*/related/table.*": "seconds an image",
}
STUDY = {
    "dataset": "drawn",
    "datasets": {
        "demo": None,
        "demo_marker": None,
        "covid19_radiography": None,
        "mine": None,
        "drawn": {
            "kind": "phantom",
            "images_per_class": {"Normal": 12, "COVID": 12},
            "size": 64,
            "seed": 0,
            "difficulty": 0.2,
            "confounders": [],
        },
    },
    "tasks": {"three_class": None},
    "schemes": {"holdout": {"test_fraction": 0.25}, "random_subsample": None},
    # Two shards, so that their jobs can come in either order.
    "image": {"size": 64, "shard_images": 16},
    "model": {"weights": "random"},
    "train": {"epochs": 1, "batch_size": 6, "progressive": []},
    "cam": {"overlays": 2, "gallery_images": 2},
    "audit": {"explanation_images": 2},
}


def run_twice(
    folder: Path,
    changes: Mapping[str, Any],
    *targets: str,
    prepare: Callable[[Project], None] = lambda _: None,
) -> tuple[Project, Project]:
    """Run the study in two new folders of other names, with one core and with two.

    Parameters
    ----------
    folder : Path
        Where the two folders are made.
    changes : mapping
        Laid over `STUDY`.
    *targets : str
        None: the default target.
    prepare : callable
        What is done in each folder before the run.

    Returns
    -------
    two Projects
        What each printed is in its ``printed.txt``.
    """

    settings = merged(STUDY, changes)
    first = Project.create(folder / "one core", settings)
    second = Project.create(folder / "elsewhere" / "two-cores", settings)
    for project in (first, second):
        prepare(project)

    def run(project: Project, cores: int) -> None:
        printed = project.run(*targets, cores=cores)
        (project.folder / "printed.txt").write_text(printed, encoding="utf-8")

    # Side by side: one of them leaves a core idle while it reads the workflow or waits for a job.
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, (first, second), (1, 2)))
    return first, second


def job_order(project: Project) -> list[str]:
    """Messages of the jobs in the order in which they began."""
    printed = (project.folder / "printed.txt").read_text(encoding="utf-8")
    return re.findall(r"^\[\d+ of \d+ done.*?\] (.+)$", printed, re.MULTILINE)


def results(project: Project, pattern: str = "*") -> dict[str, bytes]:
    """Content of each result whose path below results/ matches, by that path."""
    root = project.folder / "results"
    files = {f.relative_to(root).as_posix(): f for f in root.rglob("*") if f.is_file()}
    return {name: file.read_bytes() for name, file in files.items() if fnmatch(name, pattern)}


def made(project: Project) -> dict[str, bytes]:
    """Content of every result, durations apart."""
    return {
        name: content
        for name, content in results(project).items()
        if not any(fnmatch(name, pattern) for pattern in DURATIONS)
    }


def differences(first: Mapping[str, bytes], second: Mapping[str, bytes]) -> list[str]:
    """Results that only one of two runs made, or that differ in any byte."""
    return sorted(name for name in {*first, *second} if first.get(name) != second.get(name))


def compared(first: Mapping[str, bytes]) -> str:
    """How much was compared, for the tests to print."""
    kinds = sorted({Path(name).suffix for name in first})
    return f"{len(first)} files, {sum(map(len, first.values())):,} bytes: {' '.join(kinds)}"
