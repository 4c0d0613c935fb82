"""One small study from scratch in two folders at once, and every byte that it makes compared."""

from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from tests.workflow.small_project import Project

# All that tells how long something took, and therefore differs each time; paths below results/.
DURATIONS = {
    "logs/*": "messages carry the time of day",
    "benchmarks/*": "seconds and memory of each job",
    "*/timings.parquet": "the clock of each training",
    "*/paper/figure_7.*": "accuracy over the seconds of training",
    "*/paper/effort_runs.csv": "seconds to the target accuracy",
    "*/paper/table_effort.*": "seconds to the target accuracy",
    "*/paper/scorecard.*": "claims about those seconds",
    "*/paper/table_networks.*": "images a second",
}
STUDY = {
    "dataset": "drawn",
    "datasets": {
        "demo": None,
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
    "train": {"epochs": 1, "batch_size": 6, "progressive": []},
    "cam": {"overlays": 2, "gallery_images": 2},
    "audit": {"explanation_images": 2},
}


def run_twice(folder: Path, *targets: str, **compute: Any) -> tuple[Project, Project]:
    """Run the study in two new folders of other names, with one core and with two.

    Parameters
    ----------
    folder : Path
        Where the two folders are made.
    *targets : str
        None: the default target.
    **compute
        Settings under ``compute``.
    """
    projects = [
        Project.create(folder / name, {**STUDY, "compute": compute})
        for name in ("one core", "elsewhere/two-cores")
    ]
    # Side by side: one of them leaves a core idle while it reads the workflow or waits for a job.
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda project, cores: project.run(*targets, cores=cores), projects, (1, 2)))
    return projects[0], projects[1]


def is_duration(name: str) -> bool:
    """Whether a path below results/ is one of `DURATIONS`."""
    return any(fnmatch(name, pattern) for pattern in DURATIONS)


def made(project: Project) -> dict[str, bytes]:
    """Content of every result, durations apart, by its path below results/."""
    results = project.folder / "results"
    names = {f.relative_to(results).as_posix(): f for f in results.rglob("*") if f.is_file()}
    return {name: names[name].read_bytes() for name in sorted(names) if not is_duration(name)}


def differences(first: dict[str, bytes], second: dict[str, bytes]) -> list[str]:
    """Results that only one of two runs made, or that differ in any byte."""
    return sorted(name for name in {*first, *second} if first.get(name) != second.get(name))
