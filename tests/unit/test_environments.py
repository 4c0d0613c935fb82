"""The descriptions of the environment, conda's and pip's, name the same versions."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker

ENVS = Path(__file__).parents[2] / "envs"
# Where the lock is for, as its markers see them.
PLATFORMS = {
    "Linux, x86-64": {"sys_platform": "linux", "platform_machine": "x86_64", "os_name": "posix"},
    "Linux, arm64": {"sys_platform": "linux", "platform_machine": "aarch64", "os_name": "posix"},
    "macOS, arm64": {"sys_platform": "darwin", "platform_machine": "arm64", "os_name": "posix"},
}


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


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_lock_fits_every_python_and_platform(platform: str, python: str) -> None:
    here = {**PLATFORMS[platform], "python_version": python, "python_full_version": f"{python}.1"}
    lock = (ENVS / "requirements.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^([\w.-]+)==[^\s;]+(?: ; (.+?))? \\$", lock, re.MULTILINE)
    names = [name for name, marker in pins if not marker or Marker(marker).evaluate(here)]
    jobs, tools = asked()
    assert {*jobs, *tools} <= set(names)
    assert len(names) == len(set(names)), "a package in two versions"
    cuda = {name for name in names if name.startswith(("nvidia-", "cuda-", "triton"))}
    assert (len(cuda) > 10) == (here["sys_platform"] == "linux"), "PyTorch for macOS has no CUDA"


def test_set_up_and_checks_of_types_cover_the_pythons_that_the_project_names() -> None:
    root = ENVS.parent
    described = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    assert described["project"]["requires-python"] == ">=3.11,<3.14"
    assert "(3, 11) <= sys.version_info < (3, 14)" in makefile
    assert described["tool"]["mypy"]["python_version"] == "3.11"
    assert "\tmypy\n\tmypy --python-version 3.13\n" in makefile
