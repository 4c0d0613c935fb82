"""Tasks with several findings an image: one network, and one question a finding.

A task ``chest`` with the findings Effusion and Mass trains networks with two outputs, each a
sigmoid. Each output is then judged by itself, as a task of two classes: ``chest_Effusion`` with the
classes "no Effusion" and "Effusion". As the logits 0 and z have the softmax (1 - sigmoid(z),
sigmoid(z)), everything that judges a task of two classes judges a finding: metrics, floors, maps,
checks. Imported whenever Snakemake reads the workflow, so nothing heavy is imported.
"""

import re
from collections.abc import Mapping
from typing import Any, TypedDict

from workflow_scripts.cxrcam.configuration.capsule_networks import CAPSULE_NETWORKS
from workflow_scripts.cxrcam.configuration.problems import Problems, show
from workflow_scripts.cxrcam.data.listing.findings_text import answers_of

KINDS_FOR_FINDINGS = ("holdout", "stratified_kfold", "predefined", "leave_one_out")
"""Schemes that can divide images with several findings; ``same_splits`` takes one of them."""


class Finding(TypedDict):
    """What a question is about."""

    network: str  # key of ``tasks``: whose networks answer it
    label: str  # name of the output
    uncertain: str  # what -1 in the data means: present, absent or ignore
    blank: str  # what an empty cell means: absent or ignore


def classes_of(task: Mapping[str, Any]) -> list[str]:
    """Exclusive classes of an entry of ``tasks``; none where it has findings."""
    return list(task.get("classes") or [])


def labels_of(task: Mapping[str, Any]) -> list[str]:
    """Findings of an entry of ``tasks``; none where it has exclusive classes."""
    return list((task.get("findings") or {}).get("labels", []))


def question_name(task: str, label: str) -> str:
    """Name of the task that asks for one finding."""
    return f"{task}_{re.sub(r'[^A-Za-z0-9]+', '_', label).strip('_')}"


def with_questions(config: Mapping[str, Any]) -> dict[str, Any]:
    """A resolved configuration with a task for each finding, beside those that have findings."""
    tasks: dict[str, Any] = {}
    names: dict[str, list[str]] = {}  # of the tasks that an entry becomes
    for task, settings in config["tasks"].items():
        tasks[task], names[task] = settings, [task]
        if not labels_of(settings):
            continue
        findings = settings["findings"]
        questions = {
            question_name(task, label): {
                "classes": answers_of(label),
                "train": settings["train"],
                "finding": Finding(
                    network=task,
                    label=label,
                    uncertain=findings["uncertain"],
                    blank=findings["blank"],
                ),
            }
            for label in findings["labels"]
        }
        tasks |= questions
        names[task] = list(questions)
    schemes = {
        name: {**scheme, "tasks": [q for task in scheme["tasks"] for q in names.get(task, [task])]}
        for name, scheme in config["schemes"].items()
    }
    return {**config, "tasks": tasks, "schemes": schemes}


# --- checks ---------------------------------------------------------------------------------------


def check_findings(config: Mapping[str, Any], problems: Problems) -> None:
    """Tasks tell classes apart or look for findings, by networks and schemes that can."""
    tasks = config["tasks"]
    for task, settings in tasks.items():
        if bool(classes_of(settings)) == bool(labels_of(settings)):
            which = "both classes and findings" if classes_of(settings) else "no classes"
            problems.add(
                ("tasks", task),
                f"tasks.{task} has {which}: give it `classes` (one of them an image) or `findings` "
                "(any number of them an image).",
            )
    with_findings = [task for task, settings in tasks.items() if labels_of(settings)]
    taken = {name.lower(): name for name in tasks}  # what is called so, of all tasks together
    for task in with_findings:
        _check_names(task, labels_of(tasks[task]), taken, problems)
    for scheme, settings in config["schemes"].items():
        concerned = [t for t in with_findings if not settings["tasks"] or t in settings["tasks"]]
        if concerned:
            _check_scheme(concerned[0], scheme, config, problems)


def _check_names(task: str, labels: list[str], taken: dict[str, str], problems: Problems) -> None:
    """Each finding becomes a task of its own, and a folder: names must differ."""
    for label in labels:
        name = question_name(task, label)
        if name.lower() in taken:
            problems.add(
                ("tasks", task, "findings", label),
                f"tasks.{task}.findings.labels names {show(label)}, whose results would be called "
                f"{name}, as those of {show(taken[name.lower()])}: rename one.",
            )
        taken.setdefault(name.lower(), label)


def _check_scheme(task: str, scheme: str, config: Mapping[str, Any], problems: Problems) -> None:
    settings = config["schemes"][scheme]
    # Of the division; that a scheme which takes another's names one is checked elsewhere.
    base = settings.get("of", scheme)
    kind = config["schemes"].get(base, settings)["kind"]
    if kind not in (*KINDS_FOR_FINDINGS, "same_splits"):
        problems.add(
            ("schemes", scheme, "kind" if base == scheme else "of"),
            f"schemes.{base}.kind is {show(kind)}, which draws a number of images a class, but "
            f"tasks.{task} has findings: choose {', '.join(KINDS_FOR_FINDINGS)}, or name the "
            f"tasks of this scheme as schemes.{scheme}.tasks.",
        )
    model = config["model"] | settings["model"]
    if model["architecture"] in CAPSULE_NETWORKS:
        problems.add(
            ("schemes", scheme, "model"),
            f"schemes.{scheme} trains {model['architecture']}, whose capsules are exclusive "
            f"classes, but tasks.{task} has findings: choose another model.architecture.",
        )
    if model["decompose"] is not None:
        problems.add(
            ("schemes", scheme, "model"),
            f"schemes.{scheme} has model.decompose: {model['decompose']}, which divides exclusive "
            f"classes, but tasks.{task} has findings: set model.decompose to null.",
        )
