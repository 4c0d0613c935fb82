"""The real Snakefile on a few small generated X-rays.

One fixture runs the workflow once, to the end. Every claim about what is stale then works on a copy
of that finished folder and asks Snakemake, without running anything, which jobs it would run: two
seconds a claim instead of a minute.
"""

from pathlib import Path

import pytest

from tests.workflow.small_project import (
    Project,
    make_class_folders,
    make_manifest,
    manifest_configuration,
)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The workflow after one complete run. Look, do not touch: change a copy (see `project`)."""
    project = Project.create(tmp_path_factory.mktemp("finished") / "cxrcam")
    make_class_folders(project.folder / "data" / "small")
    printed = project.run()
    (project.folder / "printed.txt").write_text(printed, encoding="utf-8")
    return project


@pytest.fixture(scope="session")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A manifest with other classes through every kind of scheme, and the paper's targets."""
    folder = tmp_path_factory.mktemp("findings") / "cxrcam"
    project = Project.create(folder, manifest_configuration())
    make_manifest(project.folder / "data")
    project.run("all", "paper", "paper_networks")
    return project


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
