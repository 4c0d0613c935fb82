"""The two descriptions of the environment, conda's and pip's, name the same versions."""

import re
from pathlib import Path

import yaml

ENVS = Path(__file__).parents[2] / "envs"


def locked() -> dict[str, str]:
    """Version of every package in the lock."""
    lock = (ENVS / "requirements.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w.-]+)==([^\s\\;]+)", lock, re.MULTILINE))


def asked() -> tuple[list[str], list[str]]:
    """Packages in requirements.in: those that jobs need, and those for development."""
    text = (ENVS / "requirements.in").read_text(encoding="utf-8")
    parts = text.split("# For `make test`")
    jobs, tools = (re.findall(r"^[\w.-]+", part, re.MULTILINE) for part in parts)
    return jobs, tools


def conda() -> dict[str, str]:
    """Version of every package in the conda file."""
    described = yaml.safe_load((ENVS / "cxrcam.yaml").read_text(encoding="utf-8"))
    lists = [entry["pip"] for entry in described["dependencies"] if isinstance(entry, dict)]
    return dict(line.split("==") for line in lists[0])


def test_the_conda_file_has_what_jobs_need_in_the_versions_of_the_lock() -> None:
    # Plugins that submit jobs belong to the Snakemake that submits them.
    needed = [name for name in asked()[0] if not name.startswith("snakemake-executor")]
    assert conda() == {name: locked()[name] for name in needed}


def test_the_lock_has_all_that_was_asked_for() -> None:
    jobs, tools = asked()
    assert len(jobs) > 10 and len(tools) > 5
    assert set(jobs) | set(tools) <= set(locked())
