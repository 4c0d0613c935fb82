"""`--sdm conda` and `--sdm apptainer` find their environment: planned, with stand-ins for both."""

import json
import os
from pathlib import Path

import pytest

from tests.workflow.small_project import Project

SPLIT = "results/small/splits/two_class/holdout/fold-1.parquet"
CONDA = {"conda_version": "25.1.0", "platform": "linux-64", "root_prefix": "/", "conda_prefix": "/"}


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that answer what Snakemake asks before it plans, and can do no more."""
    folder = tmp_path / "programs"
    folder.mkdir()
    answers = {
        "conda": f"""case "$1" in
            --version) echo conda 25.1.0 ;;
            info) echo '{json.dumps(CONDA)}' ;;
            config) echo '{{"get": {{"channel_priority": "strict"}}}}' ;;
            *) exit 1 ;;
        esac""",
        "apptainer": "echo apptainer version 1.3.4",
    }
    for name, answer in answers.items():
        (folder / name).write_text(f"#!/bin/sh\n{answer}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    # After the environment's own programs, where Project.snakemake puts those.
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize(("chosen", "file"), [("cuda", "cxrcam"), ("cpu", "cxrcam-cpu")])
def test_conda_builds_the_environment_that_the_configuration_chooses(
    fresh: Project, programs: None, chosen: str, file: str
) -> None:
    fresh.change(compute={"environment": chosen})
    done = fresh.snakemake("--dry-run", "--sdm", "conda", "--", SPLIT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Conda environment envs/{file}.yaml will be created" in done.stdout + done.stderr


def test_apptainer_takes_the_image_that_the_configuration_names(
    fresh: Project, programs: None
) -> None:
    fresh.change(compute={"container": "docker://registry.example.org/cxrcam"})
    done = fresh.snakemake("--dry-run", "--sdm", "apptainer", "--", SPLIT)
    assert done.returncode == 0, done.stdout + done.stderr
    image = "Singularity image docker://registry.example.org/cxrcam will be pulled"
    assert image in done.stdout + done.stderr
