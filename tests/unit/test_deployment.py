"""Profiles and container recipes that cannot all be run here: what can be said of them without."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.cli import get_argument_parser

PROJECT = Path(__file__).parents[2]
PROFILES = {
    path.parent.name: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted((PROJECT / "profiles").glob("*/profile.yaml"))
}
CLUSTERS = {name: profile for name, profile in PROFILES.items() if name != "default"}
RULES = {
    path.name: path.read_text(encoding="utf-8")
    for path in sorted((PROJECT / "rules").glob("*.smk"))
}
# Of plugins that the lock does not have.
ELSEWHERE = ("kubernetes-", "storage-s3-")


def rule_names() -> set[str]:
    return {name for text in RULES.values() for name in re.findall(r"^rule (\w+):", text, re.M)}


@pytest.mark.parametrize("name", PROFILES)
def test_every_line_of_a_profile_is_an_option_of_snakemake(name: str) -> None:
    known = {
        option.removeprefix("--")
        for action in get_argument_parser()._actions
        for option in action.option_strings
    }
    asked = {key for key in PROFILES[name] if not key.startswith(ELSEWHERE)}
    assert asked and asked <= known
    assert name == "kubernetes" or asked == set(PROFILES[name])


def test_the_default_profile_sets_nothing_that_a_cluster_must_not_inherit() -> None:
    # It loads by itself, and what it says wins over --profile.
    harmless = {"rerun-triggers", "rerun-incomplete", "show-failed-logs", "latency-wait", "quiet"}
    assert set(PROFILES["default"]) == harmless


@pytest.mark.parametrize("name", CLUSTERS)
def test_a_cluster_profile_says_again_what_workflow_profile_replaces(name: str) -> None:
    profile = CLUSTERS[name]
    assert set(PROFILES["default"]) <= set(profile)
    assert profile["rerun-triggers"] == PROFILES["default"]["rerun-triggers"]


def test_attempts_are_counted_by_the_profile_alone_and_each_asks_for_more() -> None:
    assert all(profile["retries"] == 2 for profile in CLUSTERS.values())
    for name, text in RULES.items():
        # Those of a rule would be tried anew inside each job of a cluster.
        assert not re.search(r"^\s+retries:", text, re.M), name
        fixed = re.findall(r"^\s+(?:mem_mb|runtime)=\d+.*$", text, re.M)
        assert not fixed, f"{name}: write growing(...), which a retry multiplies: {fixed}"


@pytest.mark.parametrize("name", CLUSTERS)
def test_groups_and_resources_of_a_profile_are_of_rules_that_exist(name: str) -> None:
    profile: dict[str, Any] = CLUSTERS[name]
    groups = profile.get("groups", {})
    assert set(groups) | set(profile.get("set-resources", {})) <= rule_names()
    assert set(profile.get("group-components", {})) <= set(groups.values())


RECIPES = ("Dockerfile", "profiles/kubernetes/Dockerfile", "apptainer.def")


@pytest.mark.parametrize("name", RECIPES)
def test_what_a_container_copies_is_there(name: str) -> None:
    text = (PROJECT / name).read_text(encoding="utf-8")
    copied = re.findall(
        r"^(?:COPY |    )([a-z][\w./-]*/[\w.-]+) /tmp/requirements\.txt$", text, re.M
    )
    assert len(copied) == 1
    assert (PROJECT / copied[0]).is_file()


def test_containers_install_the_lock_as_make_setup_does() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    for name in ("Dockerfile", "apptainer.def"):
        text = (PROJECT / name).read_text(encoding="utf-8")
        assert "envs/requirements.txt" in text
        assert "--require-hashes -r" in text and "--require-hashes -r" in makefile
        assert re.search(r"(?:FROM|From:) python:3\.11-slim-bookworm$", text, re.M)
        assert "foreach version,3.11 " in makefile, "make setup prefers another Python"
    assert "FROM cxrcam\n" in (PROJECT / RECIPES[1]).read_text(encoding="utf-8")


def test_instructions_of_the_recipes_are_dockers() -> None:
    known = {"FROM", "COPY", "RUN", "ENV", "WORKDIR", "CMD"}
    for name in RECIPES[:2]:
        lines = (PROJECT / name).read_text(encoding="utf-8").splitlines()
        used = [line.split()[0] for line in lines if line and not line.startswith("#")]
        assert used[0] == "FROM" and set(used) <= known


def test_kubernetes_has_the_plugins_that_its_profile_names_in_exact_versions() -> None:
    needed = (PROJECT / "profiles/kubernetes/requirements.txt").read_text(encoding="utf-8")
    profile = CLUSTERS["kubernetes"]
    assert re.search(rf"^snakemake-executor-plugin-{profile['executor']}==[\d.]+$", needed, re.M)
    storage = profile["default-storage-provider"]
    assert re.search(rf"^snakemake-storage-plugin-{storage}==[\d.]+$", needed, re.M)
