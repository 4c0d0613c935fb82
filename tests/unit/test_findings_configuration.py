"""Tasks with several findings: which are refused, and which tasks each becomes."""

import pytest
import yaml

from tests.unit.test_configuration import SCHEMA, SMALLEST, changed, complaint
from workflow_scripts.cxrcam.configuration.findings import (
    KINDS_FOR_FINDINGS,
    question_name,
    with_questions,
)
from workflow_scripts.cxrcam.configuration.resolution import experiments, resolve_configuration

CHEST = {**SMALLEST, "tasks": {"chest": {"findings": {"labels": ["Effusion", "Lung Opacity"]}}}}
BOTH = {**CHEST, "tasks": {**SMALLEST["tasks"], **CHEST["tasks"]}}


def chest(*labels):
    return {"findings": {"labels": list(labels)}}


def test_defaults_of_a_task_with_findings():
    task = resolve_configuration(CHEST, SCHEMA)["tasks"]["chest"]
    assert task == {
        "findings": {
            "labels": ["Effusion", "Lung Opacity"],
            "uncertain": "ignore",
            "blank": "absent",
        },
        "train": {},
    }


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ({}, "tasks.chest has no classes"),
        ({"classes": ["a", "b"], **chest("Effusion")}, "both classes and findings"),
        (chest(), "tasks.chest.findings.labels"),
        (chest("Mass", "Mass"), "tasks.chest.findings.labels"),
        ({"findings": {"labels": ["Mass"], "uncertain": "perhaps"}}, "uncertain"),
        ({"findings": {"labels": ["Mass"], "blank": "present"}}, "blank"),
        ({"findings": {}}, "labels"),
    ],
)
def test_a_task_has_either_classes_or_findings_and_knows_what_entries_mean(task, words):
    assert words in complaint(changed(SMALLEST, ("tasks", "chest"), task))


def test_questions_take_the_place_of_the_findings_beside_the_task():
    resolved = resolve_configuration(
        changed(BOTH, ("schemes", "own"), {"kind": "holdout", "tasks": ["chest", "two_class"]}),
        SCHEMA,
    )
    asked = with_questions(resolved)
    names = ["chest_Effusion", "chest_Lung_Opacity"]
    assert list(asked["tasks"]) == ["two_class", "chest", *names]
    assert asked["tasks"]["chest_Lung_Opacity"] == {
        "classes": ["no Lung Opacity", "Lung Opacity"],
        "train": {},
        "finding": {
            "network": "chest",
            "label": "Lung Opacity",
            "uncertain": "ignore",
            "blank": "absent",
        },
    }
    assert asked["schemes"]["own"]["tasks"] == [*names, "two_class"]
    assert asked["schemes"]["holdout"]["tasks"] == []
    # Nothing is run of the task itself: its questions are.
    tasks = ["two_class", *names]
    assert experiments(asked) == [(task, scheme) for task in tasks for scheme in ("holdout", "own")]
    assert experiments(resolved) == [("two_class", "holdout"), ("two_class", "own")]


def test_questions_of_exclusive_classes_are_none():
    resolved = resolve_configuration(SMALLEST, SCHEMA)
    assert with_questions(resolved) == resolved


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        (
            {"chest": chest("Effusion"), "chest_effusion": {"classes": ["a", "b"]}},
            "names 'Effusion', whose results would be called chest_Effusion, as those of "
            "'chest_effusion'",
        ),
        (
            {"chest": chest("Lung Opacity", "lung-opacity")},
            "names 'lung-opacity', whose results would be called chest_lung_opacity, as those of "
            "'Lung Opacity'",
        ),
        (
            {"chest": chest("X Mass"), "chest_X": chest("Mass")},
            "names 'Mass', whose results would be called chest_X_Mass, as those of 'X Mass'",
        ),
    ],
)
def test_two_questions_of_one_name_are_refused(tasks, words):
    assert words in complaint({**SMALLEST, "tasks": tasks})


def test_names_of_questions_hold_only_what_a_folder_can():
    assert question_name("chest", "Support Devices (any)") == "chest_Support_Devices_any"


@pytest.mark.parametrize(
    ("scheme", "words"),
    [
        (
            {"kind": "random_subsample", "repeats": 2, "images_per_class": 5},
            "which draws a number of images a class",
        ),
        ({"kind": "holdout", "model": {"architecture": "covid_caps"}}, "capsules are exclusive"),
        ({"kind": "holdout", "model": {"decompose": 2}}, "divides exclusive classes"),
        ({"kind": "same_splits", "of": "drawn"}, "schemes.drawn.kind is 'random_subsample'"),
    ],
)
def test_designs_that_cannot_have_findings_are_refused_but_for_other_tasks(scheme, words):
    drawn = {"kind": "random_subsample", "repeats": 2, "images_per_class": 5}
    base = changed(BOTH, ("schemes", "drawn"), {**drawn, "tasks": ["two_class"]})
    message = complaint(changed(base, ("schemes", "tried"), scheme))
    assert words in message
    assert "tasks.chest has findings" in message
    allowed = {**scheme, "tasks": ["two_class"]}
    resolve_configuration(changed(base, ("schemes", "tried"), allowed), SCHEMA)


def test_kinds_that_the_message_offers_are_there():
    for kind in KINDS_FOR_FINDINGS:
        scheme = {"kind": kind, **({"folds": 2} if kind == "stratified_kfold" else {})}
        resolve_configuration(changed(CHEST, ("schemes", "tried"), scheme), SCHEMA)


def test_the_configuration_as_used_resolves_to_itself():
    # As it stands in results/run_config.yaml.
    config = changed(BOTH, ("tasks", "chest", "findings", "uncertain"), "present")
    resolved = resolve_configuration(config, SCHEMA)
    assert "classes" not in resolved["tasks"]["chest"]
    given = yaml.safe_load(yaml.safe_dump(resolved, sort_keys=True))
    again = resolve_configuration(given, SCHEMA)
    assert again == resolved
    assert with_questions(again) == with_questions(resolved)


def test_new_images_are_asked_for_one_finding():
    asked = changed(BOTH, ("predict",), {"task": "chest_Effusion", "scheme": "holdout"})
    assert resolve_configuration(asked, SCHEMA)["predict"]["task"] == "chest_Effusion"
    message = complaint(changed(BOTH, ("predict",), {"task": "chest_Effusions"}))
    assert "Did you mean 'chest_Effusion'?" in message
