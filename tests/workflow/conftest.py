"""The real Snakefile on a few small generated X-rays.

One fixture runs the workflow once, to the end. Every claim about what is stale then works on a copy
of that finished folder and asks Snakemake, without running anything, which jobs it would run: two
seconds a claim instead of a minute.
"""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workflow.small_project import (
    Project,
    make_class_folders,
    make_manifest,
    manifest_configuration,
)


def made_once(
    factory: pytest.TempPathFactory, name: str, make: Callable[[Path], tuple[Project, str]]
) -> Project:
    """A project that all of pytest's processes share: the first makes it, the others wait.

    Parameters
    ----------
    name : str
        Of the folder, below the one of this session.
    make : callable
        Makes the project in a folder; what its run printed goes to ``printed.txt``.
    """
    session = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        session = session.parent
    folder = session / name / "cxrcam"
    with (session / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "printed.txt").exists():
            return Project(folder)
        shutil.rmtree(folder, ignore_errors=True)  # another process failed to make it
        project, printed = make(folder)
        (folder / "printed.txt").write_text(printed, encoding="utf-8")
    return project


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The workflow after one complete run. Look, do not touch: change a copy (see `project`)."""

    def make(folder: Path) -> tuple[Project, str]:
        project = Project.create(folder)
        make_class_folders(folder / "data" / "small")
        return project, project.run()

    return made_once(tmp_path_factory, "finished", make)


@pytest.fixture(scope="session")
def exported(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of that run, in which ``snakemake export`` ran too. Look, do not touch."""

    def make(folder: Path) -> tuple[Project, str]:
        project = finished.copy(folder)
        (folder / "printed.txt").unlink()  # what the first run printed
        return project, project.run("export")

    return made_once(tmp_path_factory, "exported", make)


@pytest.fixture(scope="session")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A manifest with other classes through every kind of scheme, and the paper's targets."""

    def make(folder: Path) -> tuple[Project, str]:
        project = Project.create(folder, manifest_configuration())
        make_manifest(folder / "data")
        return project, project.run("all", "paper", "paper_networks", "related")

    return made_once(tmp_path_factory, "findings", make)


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished run, to change."""
    return finished.copy(tmp_path / "cxrcam")


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """The workflow with its images, before any run."""
    project = Project.create(tmp_path / "cxrcam")
    make_class_folders(project.folder / "data" / "small")
    return project
