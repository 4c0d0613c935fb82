"""The descriptions of the environment, conda's and pip's, name the same versions."""

import re
from pathlib import Path

import pytest
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


def conda(name: str) -> dict[str, str]:
    """Version of every package in a conda file, by the name that pip knows it by."""
    described = yaml.safe_load((ENVS / name).read_text(encoding="utf-8"))["dependencies"]
    pairs = [entry.split("=") for entry in described if isinstance(entry, str) and "=" in entry]
    for entry in described:
        if isinstance(entry, dict):
            pairs += [line.split("==") for line in entry["pip"]]
    found = {package.replace("pytorch-cpu", "torch"): version for package, version in pairs}
    assert found.pop("python") == "3.11"
    return found


@pytest.mark.parametrize("name", ["cxrcam.yaml", "cxrcam-cpu.yaml"])
def test_a_conda_file_has_what_jobs_need_in_the_versions_of_the_lock(name: str) -> None:
    # Plugins that submit jobs belong to the Snakemake that submits them.
    needed = [name for name in asked()[0] if not name.startswith("snakemake-executor")]
    assert conda(name) == {name: locked()[name] for name in needed}


def test_the_lock_has_all_that_was_asked_for() -> None:
    jobs, tools = asked()
    assert len(jobs) > 10 and len(tools) > 5
    assert set(jobs) | set(tools) <= set(locked())
