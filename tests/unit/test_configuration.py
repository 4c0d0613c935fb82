"""The configuration: its defaults, the words in which its faults are told, and its answers."""

import copy
import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workflow_scripts.cxrcam.configuration.checks import part_size
from workflow_scripts.cxrcam.configuration.problems import MOST_PROBLEMS_SHOWN
from workflow_scripts.cxrcam.configuration.resolution import (
    ConfigurationError,
    check_against_images,
    check_external_images,
    check_masks,
    division,
    experiments,
    fold_count,
    input_part,
    load_schema,
    missing_classes,
    model_settings,
    refuse_unclear_yaml,
    removed_entries,
    resolve_configuration,
    result_settings,
    train_settings,
)
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.networks.training.augmentation import Augmentation
from workflow_scripts.cxrcam.networks.training.recipe import TrainSettings

ROOT = Path(__file__).parents[2]
SCHEMA = load_schema(ROOT / "schemas" / "config.schema.yaml")
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))

# A configuration with as little as the schema allows, so that all else is a default.
SMALLEST = {
    "dataset": "mine",
    "datasets": {"mine": {"kind": "manifest", "path": "data/manifest.csv"}},
    "tasks": {"two_class": {"classes": ["Normal", "COVID"]}},
    "schemes": {"holdout": {"kind": "holdout"}},
}
# Every kind of entry, every train key that can be overridden, nothing that config.yaml decides.
FULL = {
    **SMALLEST,
    "dataset": "drawn",
    "datasets": {
        "drawn": {
            "kind": "phantom",
            "images_per_class": {"Normal": 90, "COVID": 90, "Viral Pneumonia": 90},
            "size": 299,
            "seed": 0,
            "difficulty": 0.3,
            "confounders": ["marker"],
        },
        "folders": {"kind": "class_folders", "root": ["a", "b"], "classes": ["Normal", "COVID"]},
        "mine": {"kind": "manifest", "path": "data/manifest.csv"},
        "published": {"kind": "collection", "name": "covidx", "root": ["a", "b"], "views": "all"},
    },
    "tasks": {"two_class": {"classes": ["Normal", "COVID"], "train": {"epochs": 4}}},
    "schemes": {
        "once": {"kind": "holdout", "test_fraction": 0.2, "train": {"batch_size": 8}},
        "thrice": {"kind": "random_subsample", "repeats": 3, "images_per_class": 60},
        "folds": {"kind": "stratified_kfold", "folds": 3, "validation_fraction": 0.1},
    },
    "seeds": [0, 1],
    **{key: CONFIG[key] for key in ("image", "model", "train", "compute", "cam")},
}
REMOVE = object()


def changed(base, path, value):
    """Deep copy of `base` with one value set (or removed) at a path of keys and positions."""
    result = copy.deepcopy(base)
    target = result
    for key in path[:-1]:
        target = target[key] if isinstance(target, list) else target.setdefault(key, {})
    if value is REMOVE:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    return result


def complaint(config):
    with pytest.raises(ConfigurationError) as caught:
        resolve_configuration(config, SCHEMA)
    message = str(caught.value)
    assert "given schemas" not in message, "jsonschema's own wording leaks"
    assert "is not of type" not in message
    return message


# --- config.yaml ----------------------------------------------------------------------------------


def test_config_file_is_valid_and_has_no_duplicate_key():
    assert resolve_configuration(CONFIG, SCHEMA)["dataset"] == CONFIG["dataset"]
    refuse_unclear_yaml(ROOT / "config.yaml")


def test_editors_find_the_schema_through_the_first_line_of_the_config_file():
    first = (ROOT / "config.yaml").read_text(encoding="utf-8").splitlines()[0]
    named = first.removeprefix("# yaml-language-server: $schema=")
    assert (ROOT / named).samefile(ROOT / "schemas" / "config.schema.yaml")


def leaves(node, path=()):
    if isinstance(node, dict) and node:
        for key, child in node.items():
            yield from leaves(child, (*path, key))
    else:
        yield path, node


def test_config_file_shows_every_section_and_key_of_the_schema():
    for section, node in SCHEMA["properties"].items():
        assert section in CONFIG, f"config.yaml does not show {section}"
        for key in node.get("properties", {}):
            assert key in CONFIG[section], f"config.yaml does not show {section}.{key}"


def test_settings_that_the_config_file_shows_are_the_defaults():
    sections = ("seeds", "image", "model", "train", "compute", "cam")
    defaults = dict(leaves({key: resolve_configuration(SMALLEST, SCHEMA)[key] for key in sections}))
    shown = dict(leaves({key: resolve_configuration(CONFIG, SCHEMA)[key] for key in sections}))
    assert shown.keys() == defaults.keys()
    assert {path for path in shown if shown[path] != defaults[path]} == set()


# --- defaults -------------------------------------------------------------------------------------


def test_defaults_are_filled_in_at_every_level():
    resolved = resolve_configuration(SMALLEST, SCHEMA)
    assert resolved["seeds"] == [0]
    assert resolved["image"]["size"] == 224
    assert resolved["train"]["watch"] == ["validation", "test"]
    assert resolved["schemes"]["holdout"] == {
        "kind": "holdout",
        "test_fraction": 0.1,
        "validation_fraction": 0.0,
        "grouped": True,
        "seed": 0,
        "tasks": [],
        "seeds": [],
        "model": {},
        "train": {},
        "system": None,
    }


@pytest.mark.parametrize(
    ("section", "entry", "filled"),
    [
        (
            "datasets",
            {"kind": "phantom", "images_per_class": {"COVID": 5}},
            {"size": 299, "seed": 0, "difficulty": 0.3, "confounders": []},
        ),
        ("datasets", {"kind": "class_folders", "root": "x"}, {"classes": []}),
        (
            "datasets",
            {"kind": "collection", "name": "covidx", "root": "x"},
            {"views": "frontal"},
        ),
        ("tasks", {"classes": ["Normal", "Tuberculosis"]}, {"train": {}}),
        (
            "schemes",
            {"kind": "random_subsample"},
            {"repeats": 3, "images_per_class": 300, "test_fraction": 0.1, "grouped": True},
        ),
        ("schemes", {"kind": "stratified_kfold"}, {"folds": 3, "validation_fraction": 0.0}),
    ],
)
def test_defaults_of_an_entry_are_those_of_its_kind(section, entry, filled):
    resolved = resolve_configuration(changed(SMALLEST, (section, "other"), entry), SCHEMA)
    assert resolved[section]["other"].items() >= {**entry, **filled}.items()


def test_partial_training_settings_stay_partial():
    config = changed(SMALLEST, ("tasks", "two_class", "train"), {"epochs": 3})
    config = changed(config, ("schemes", "holdout", "train"), {"momentum": 0})
    resolved = resolve_configuration(config, SCHEMA)
    assert resolved["tasks"]["two_class"]["train"] == {"epochs": 3}
    assert resolved["schemes"]["holdout"]["train"] == {"momentum": 0.0}


def test_input_is_left_as_it_was_and_shares_nothing_with_the_result():
    config = copy.deepcopy(FULL)
    before = copy.deepcopy(config)
    first = resolve_configuration(config, SCHEMA)
    first["seeds"].append(99)
    first["train"]["watch"].clear()
    first["image"]["mean"][0] = 7
    assert config == before
    second = resolve_configuration(config, SCHEMA)
    assert second["seeds"] == [0, 1]
    assert resolve_configuration(SMALLEST, SCHEMA)["train"]["watch"] == ["validation", "test"]


def test_resolving_twice_changes_nothing():
    once = resolve_configuration(FULL, SCHEMA)
    assert resolve_configuration(once, SCHEMA) == once


def test_order_of_keys_does_not_reach_the_result():
    backwards = dict(reversed(list(FULL["train"].items())))
    resolved = resolve_configuration(changed(FULL, ("train",), backwards), SCHEMA)
    assert list(resolved["train"]) == list(resolve_configuration(FULL, SCHEMA)["train"])


def test_null_removes_an_entry():
    config = changed(CONFIG, ("tasks", "three_class"), None)
    config = changed(config, ("schemes", "random_subsample"), None)
    config = changed(config, ("datasets", "mine"), None)
    resolved = resolve_configuration(config, SCHEMA)
    assert "three_class" not in resolved["tasks"]
    assert "random_subsample" not in resolved["schemes"]
    assert "mine" not in resolved["datasets"]


def test_seeds_may_come_from_the_command_line_as_text():
    resolved = resolve_configuration(changed(SMALLEST, ("seeds",), ["0", "12", 3]), SCHEMA)
    assert resolved["seeds"] == [0, 12, 3]


def test_classes_that_are_called_by_numbers_stay_text():
    config = changed(SMALLEST, ("tasks", "digits"), {"classes": ["0", "1"]})
    assert resolve_configuration(config, SCHEMA)["tasks"]["digits"]["classes"] == ["0", "1"]


def test_equal_numbers_have_equal_text_whatever_their_spelling():
    config = changed(FULL, ("train", "epochs"), 10.0)
    config = changed(config, ("train", "learning_rate"), 1)
    config = changed(config, ("train", "evaluate_every"), 50.0)
    config = changed(config, ("schemes", "once", "validation_fraction"), 0)
    resolved = resolve_configuration(config, SCHEMA)
    assert repr(resolved["train"]["epochs"]) == "10"
    assert repr(resolved["train"]["learning_rate"]) == "1.0"
    assert repr(resolved["train"]["evaluate_every"]) == "50"
    assert repr(resolved["schemes"]["once"]["validation_fraction"]) == "0.0"
    assert resolved["compute"]["deterministic"] is True


# --- faults and their words -----------------------------------------------------------------------

BAD = [
    # unknown keys
    (("train", "learning_rat"), 1, ["'learning_rat' under 'train'", "mean 'learning_rate'?"]),
    (("imag",), {}, ["'imag' at the top level", "Did you mean 'image'?", "Allowed"]),
    (("epochs",), 3, ["'epochs' at the top level", "belongs under 'train'", "--configfile"]),
    (("train.epochs",), 3, ["'train.epochs'", "belongs under 'train'"]),
    (("image", "epochs"), 3, ["'epochs' under 'image'", "belongs under 'train'"]),
    (("tasks", "two_class", "epochs"), 3, ["belongs under 'tasks.two_class.train'"]),
    (("schemes", "once", "folds"), 3, ["kind stratified_kfold", "this one is holdout"]),
    (("datasets", "mine", "root"), "x", ["'root' under 'datasets.mine'", "kind class_folders"]),
    (("datasets", "drawn", "images_per_class", "Covid"), 5, ["'Covid'", "Did you mean 'COVID'?"]),
    ((5,), 1, ["The key 5 at the top level", "quotes"]),
    (("tasks", True), {}, ["The key true under 'tasks'", "quotes"]),
    (("train", "epo\nchs"), 1, ["'epo\\nchs' under 'train'", "line break"]),
    # numbers
    (
        ("train", "learning_rate"),
        -1,
        ["train.learning_rate is -1", "auto or a number above 0, up to 10"],
    ),
    (("train", "learning_rate"), 0, ["train.learning_rate is 0", "above 0"]),
    (("train", "learning_rate"), 10.5, ["train.learning_rate is 10.5", "up to 10"]),
    (("train", "learning_rate"), "1e-3", ["the text '1e-3'", "write 0.001 or 1.0e-3"]),
    (("train", "learning_rate"), "2.5E-5", ["write 0.000025 or 2.5e-5"]),
    (("train", "epochs"), "1e2", ["the text '1e2'", "write 100."]),
    (("train", "epochs"), "3", ["the text '3'", "3 without quotes", "--configfile"]),
    (("train", "epochs"), "many", ["train.epochs is 'many'", "auto or a whole number"]),
    (("train", "epochs"), True, ["train.epochs is true", "no number", "1 to 100000"]),
    (("train", "epochs"), 2.5, ["train.epochs is 2.5", "whole number"]),
    (("train", "epochs"), 0, ["train.epochs is 0", "1 to 100000"]),
    (("train", "epochs"), 100001, ["1 to 100000"]),
    (("train", "epochs"), None, ["train.epochs is empty (null)", "default 'auto'"]),
    (("train", "epochs"), [3], ["train.epochs is [3]", "whole number"]),
    (("train", "epochs"), "automatic", ["Did you mean 'auto'?"]),
    (("train", "progressive"), 0.5, ["train.progressive is 0.5", "auto or a list"]),
    (("model", "last_stage"), 5, ["model.last_stage is 5", "from 1 to 4"]),
    (("model", "map_stride"), 12, ["model.map_stride is 12", "8, 16 or 32"]),
    (("model", "decompose"), 1, ["model.decompose is 1", "null or a whole number from 2 to 10"]),
    (("model", "decompose"), 11, ["model.decompose is 11", "from 2 to 10"]),
    (("model", "input_size"), 16, ["model.input_size is 16", "from 32 to 1024"]),
    (("recipes",), {"imagenet": {}}, ["Unknown key 'imagenet'", "pretrained"]),
    (("recipes",), {"random": {"epochs": "auto"}}, ["recipes.random.epochs", "whole number"]),
    (("train", "batch_size"), 65537, ["train.batch_size", "1 to 65536"]),
    (("train", "momentum"), 1, ["train.momentum is 1", "less than 1"]),
    (("train", "weight_decay"), -0.1, ["train.weight_decay is -0.1"]),
    (("train", "weight_decay"), math.inf, ["train.weight_decay is .inf", "finite"]),
    (("train", "horizontal_flip"), 1.5, ["train.horizontal_flip", "from 0 to 1"]),
    (("train", "horizontal_flip"), False, ["train.horizontal_flip is false", "no number"]),
    (("train", "class_weights"), "balance", ["is 'balance'", "Did you mean 'balanced'?"]),
    (("train", "class_weights"), 2, ["train.class_weights is 2", "none, balanced, or a weight"]),
    (
        ("train", "class_weights"),
        {"Normal": 0, "COVID": 1},
        ["train.class_weights.Normal is 0", "greater than 0"],
    ),
    (("train", "sampling"), "equal", ["train.sampling is 'equal'", "natural, balanced"]),
    (("train", "augment"), {"rotate": 5}, ["Unknown key 'rotate'", "rotation"]),
    (("train", "augment"), {"shift": 5}, ["train.augment.shift is 5", "from 0 to 0.5"]),
    (("train", "augment"), True, ["train.augment is true", "rotation, shift, scale"]),
    (("image", "max_pixels"), math.nan, ["image.max_pixels is .nan", "finite"]),
    (("image", "size"), 31, ["image.size is 31", "32 to 1024"]),
    (("image", "size"), 1025, ["32 to 1024"]),
    (("image", "mean"), [0.5, 0.5], ["image.mean is [0.5, 0.5] (2 entries)", "list of 3"]),
    (("image", "mean", 1), -math.inf, ["image.mean[1] is -.inf"]),
    (("image", "std", 0), 0, ["image.std[0] is 0", "greater than 0"]),
    (("compute", "threads"), 0, ["compute.threads is 0"]),
    (("cam", "opacity"), 2, ["cam.opacity is 2"]),
    (("schemes", "once", "test_fraction"), 0, ["schemes.once.test_fraction is 0"]),
    (("schemes", "once", "test_fraction"), 1, ["schemes.once.test_fraction is 1", "less than 1"]),
    (("schemes", "once", "seed"), -1, ["schemes.once.seed is -1"]),
    (("schemes", "thrice", "repeats"), 0, ["schemes.thrice.repeats is 0"]),
    (("schemes", "thrice", "images_per_class"), 1, ["schemes.thrice.images_per_class is 1"]),
    (("schemes", "folds", "folds"), 1, ["schemes.folds.folds is 1"]),
    (("datasets", "drawn", "images_per_class", "COVID"), 0, ["images_per_class.COVID is 0"]),
    (("tasks", "two_class", "train", "learning_rate"), 20, ["tasks.two_class.train.learning_rate"]),
    (("schemes", "once", "train", "epochs"), "x", ["schemes.once.train.epochs"]),
    # choices, truth values, texts
    (("train", "optimizer"), "adma", ["train.optimizer is 'adma'", "adam, sgd", "mean 'adam'?"]),
    (("train", "optimizer"), "SGD", ["Did you mean 'sgd'?"]),
    (("train", "schedule"), "cosine", ["train.schedule is 'cosine'", "constant, one_cycle"]),
    (("train", "evaluate_every"), "epoche", ["train.evaluate_every", "Did you mean 'epoch'?"]),
    (("train", "evaluate_every"), 0, ["train.evaluate_every is 0", "at least 1"]),
    (("train", "evaluate_every"), "100", ["the text '100'", "100 without quotes"]),
    (("train", "evaluate_every"), True, ["train.evaluate_every is true"]),
    (("train", "watch"), "test", ["train.watch", "write [test]"]),
    (("train", "watch"), ["test", "test"], ["train.watch lists 'test' more than once"]),
    (("train", "watch"), ["train"], ["train.watch[0] is 'train'", "validation, test"]),
    (("compute", "deterministic"), "false", ["'false' is text; write False"]),
    (("compute", "deterministic"), "no", ["'no' is text; write False"]),
    (("compute", "deterministic"), 1, ["compute.deterministic is 1", "true or false"]),
    (("compute", "device"), "gpu", ["compute.device is 'gpu'", "auto, cpu, cuda"]),
    (("compute", "precision"), "float16", ["compute.precision", "Did you mean"]),
    (("model", "architecture"), "my net", ["model.architecture is 'my net'", "timm:NAME"]),
    (("model", "architecture"), "timm:hf-hub:x/y", ["model.architecture", "timm:NAME"]),
    (("model", "weights"), "imagnet", ["model.weights", "Did you mean 'imagenet'?"]),
    (("model", "weights"), False, ["model.weights is false", "quotes"]),
    (("image", "resampling"), "nearest", ["image.resampling is 'nearest'", "bilinear"]),
    (("train",), None, ["train is empty (null)", "epochs"]),
    (("train",), [1], ["train is [1]", "mapping"]),
    (("seeds",), 3, ["seeds is 3", "write [3]"]),
    (("seeds",), [], ["seeds is []", "1 to 1000 entries"]),
    (("seeds",), [1, 1], ["seeds lists 1 more than once"]),
    (("seeds",), [-1], ["seeds[0] is -1"]),
    (("seeds",), [True], ["seeds[0] is true"]),
    (("seeds",), ["0", "0.5"], ["seeds[1] is the text '0.5'", "--configfile"]),
    (("seeds",), ["0", "00"], ["seeds lists 0 more than once"]),
    (("image", "mean", 0), "1", ["image.mean[0] is the text '1'", "1 without quotes"]),
    # data sets
    (("dataset",), "drwan", ["dataset is 'drwan'", "mean 'drawn'?", "drawn, folders, mine"]),
    (("dataset",), None, ["dataset is null", "drawn, folders, mine"]),
    (("dataset",), ["mine"], ["dataset is ['mine']", "drawn, folders, mine"]),
    (("dataset",), 7, ["dataset is 7", "drawn, folders, mine"]),
    (("dataset",), REMOVE, ["key 'dataset' is missing at the top level"]),
    (("datasets",), REMOVE, ["key 'datasets' is missing"]),
    (("datasets",), None, ["datasets is empty (null)"]),
    (("datasets", "drawn"), None, ["dataset is 'drawn'", "null, which removes it"]),
    # data sets to test on
    (("external",), ["mime"], ["external names 'mime'", "mean 'mine'?", "folders, mine"]),
    (("external",), ["drawn"], ["external names 'drawn'", "to train on", "take it out"]),
    (("external",), ["mine", "mine"], ["external lists 'mine' more than once", "keep one"]),
    (("external",), "mine", ["external is the text 'mine'", "write [mine]"]),
    (("external",), [3], ["external[0] is 3"]),
    (("datasets", "mine"), "x.csv", ["datasets.mine", "kind", "manifest"]),
    (("datasets", "mine", "kind"), "manifst", ["datasets.mine.kind", "mean 'manifest'?"]),
    (("datasets", "mine", "kind"), REMOVE, ["'kind' is missing under 'datasets.mine'", "phantom"]),
    (("datasets", "mine", "kind"), None, ["datasets.mine.kind is empty (null)", "phantom"]),
    (("datasets", "mine", "path"), REMOVE, ["key 'path' is missing under 'datasets.mine'"]),
    (("datasets", "mine", "path"), "", ["datasets.mine.path is ''", "non-empty"]),
    (("datasets", "mine", "path"), "a.csv\n", ["datasets.mine.path", "line break"]),
    (("datasets", "folders", "root"), [], ["datasets.folders.root", "first that exists"]),
    (("datasets", "folders", "root"), 3, ["datasets.folders.root is 3"]),
    (("datasets", "folders", "root"), ["a", ""], ["datasets.folders.root[1] is ''"]),
    (
        ("datasets", "published", "name"),
        "chexprt",
        ["published.name is 'chexprt'", "one of nih_chestxray14, chexpert", "mean 'chexpert'?"],
    ),
    (("datasets", "published", "name"), REMOVE, ["'name' is missing under 'datasets.published'"]),
    (("datasets", "published", "views"), "PA", ["views is 'PA'", "one of frontal, all"]),
    (("datasets", "published", "classes"), ["A"], ["It belongs to the kind class_folders"]),
    (("datasets", "drawn", "images_per_class"), REMOVE, ["'images_per_class' is missing"]),
    (("datasets", "drawn", "images_per_class"), {}, ["images_per_class", "at least one"]),
    (("datasets", "drawn", "confounders"), ["markr"], ["confounders[0]", "mean 'marker'?"]),
    (("datasets", "drawn", "difficulty"), 1.1, ["datasets.drawn.difficulty is 1.1"]),
    # names
    (
        ("tasks", "../up"),
        {"classes": ["Normal", "COVID"]},
        ["'../up' under 'tasks'", "example: up"],
    ),
    (("tasks", "2class"), {"classes": ["Normal", "COVID"]}, ["'2class' under 'tasks'", "letter"]),
    (("datasets", "a b"), {"kind": "manifest", "path": "x"}, ["'a b' under 'datasets'", "a_b"]),
    (("schemes", "a-b"), {"kind": "holdout"}, ["'a-b' under 'schemes'", "For example: a_b"]),
    (("schemes", ""), {"kind": "holdout"}, ["'' under 'schemes'"]),
    (("schemes", "x" * 65), {"kind": "holdout"}, ["at most 64"]),
    (("schemes", "Once"), {"kind": "holdout"}, ["'once' and 'Once'", "case"]),
    (("datasets", "logs"), {"kind": "manifest", "path": "x"}, ["'logs'", "reserved"]),
    # tasks
    (("tasks",), {}, ["tasks has no entry left", "at least one"]),
    (("tasks",), {"two_class": None}, ["tasks has no entry left"]),
    (
        ("tasks", "two_class", "classes"),
        REMOVE,
        ["tasks.two_class has no classes", "`classes`", "`findings`"],
    ),
    (("tasks", "two_class", "classes"), ["COVID"], ["tasks.two_class.classes", "(1 entry)"]),
    (("tasks", "two_class", "classes"), ["A", "A"], ["lists 'A' more than once"]),
    (("tasks", "two_class", "classes"), ["A", ""], ["tasks.two_class.classes[1] is ''"]),
    (("tasks", "two_class", "classes"), ["A", "b/c"], ["classes[1] is 'b/c'", "slashes"]),
    (("tasks", "two_class", "classes"), ["A", ".."], ["classes[1] is '..'"]),
    (("tasks", "two_class", "classes"), ["A", "B "], ["classes[1] is 'B '", "blanks"]),
    (("tasks", "two_class", "classes"), ["A", False], ["classes[1] is false", "Yes, No", "quotes"]),
    (("tasks", "two_class", "classes"), "COVID", ["write [COVID, ...]"]),
    (("tasks", "two_class", "classes"), ["Covid", "Normal"], ["names 'Covid'", "mean 'COVID'?"]),
    # paths
    (("model", "weights"), "w{dataset}.pth", ["model.weights is 'w{dataset}.pth'", "wildcard"]),
    (("datasets", "mine", "path"), "a}.csv", ["datasets.mine.path is 'a}.csv'", "link to it"]),
    (("datasets", "folders", "root"), ["a", "{b}"], ["datasets.folders.root[1] is '{b}'"]),
    (("seeds",), [*range(1001)], ["seeds is [0, 1", "(1001 entries)", "list of 1 to 1000 entries"]),
    # schemes
    (("schemes",), {"once": None}, ["schemes has no entry left"]),
    (("schemes", "once", "kind"), "hold_out", ["schemes.once.kind", "Did you mean 'holdout'?"]),
    (
        ("schemes", "given"),
        {"kind": "predefined"},
        ["column split of a manifest", "of the kind phantom"],
    ),
    (
        ("schemes", "given"),
        {"kind": "predefined", "grouped": True},
        ["'grouped' under 'schemes.given'", "this one is predefined"],
    ),
    (("schemes", "once", "grouped"), "False", ["schemes.once.grouped", "write False"]),
    (
        ("schemes", "once", "validation_fraction"),
        0.8,
        ["schemes.once.validation_fraction is 0.8", "test_fraction 0.2", "nothing to train on"],
    ),
    (("schemes", "folds", "validation_fraction"), 0.7, ["schemes.folds", "1/3", "nothing"]),
    (("schemes", "thrice", "images_per_class"), 91, ["90 images", "at most 90", "to null"]),
    (("schemes", "folds", "folds"), 91, ["schemes.folds.folds is 91", "at most 90"]),
    (("schemes", "once", "test_fraction"), 0.001, ["test part without any image", "0.006 or more"]),
]


@pytest.mark.parametrize(("path", "value", "words"), BAD, ids=lambda item: None)
def test_fault_is_refused_in_words_that_help(path, value, words):
    message = complaint(changed(FULL, path, value))
    for expected in words:
        assert expected in message
    assert message.endswith((".", "?", ")"))


def test_the_table_of_faults_starts_from_a_valid_configuration():
    assert resolve_configuration(FULL, SCHEMA)["dataset"] == "drawn"


@pytest.mark.parametrize(("path", "value", "words"), BAD, ids=lambda item: None)
def test_one_fault_gives_one_problem(path, value, words):
    del words
    assert complaint(changed(FULL, path, value)).count("\n") == 0 or isinstance(value, list)


def test_every_fault_is_reported_not_only_the_first():
    config = changed(FULL, ("train", "epochs"), 0)
    config = changed(config, ("cam", "opacty"), 1)
    config = changed(config, ("dataset",), "nowhere")
    config = changed(config, ("schemes", "Once"), {"kind": "holdout"})
    lines = complaint(config).splitlines()
    assert len(lines) == 4
    for word in ("train.epochs", "opacty", "nowhere", "Once"):
        assert any(word in line for line in lines)


def test_at_most_ten_faults_are_told_and_the_rest_counted():
    config = copy.deepcopy(FULL)
    for letter in "abcdefghijkl":
        config[letter * 9] = 1
    lines = complaint(config).splitlines()
    assert len(lines) == MOST_PROBLEMS_SHOWN + 1
    assert lines[-1].startswith("(2 more")


@pytest.mark.parametrize("config", [[], "demo", None, 3])
def test_configuration_that_is_no_mapping_is_refused(config):
    assert "must be a mapping" in complaint(config)


def test_empty_configuration_names_what_it_lacks():
    message = complaint({})
    for key in SCHEMA["required"]:
        assert f"key '{key}' is missing" in message


def test_task_outside_the_folders_that_a_data_set_is_restricted_to_is_refused():
    config = changed(FULL, ("dataset",), "folders")
    config = changed(config, ("tasks", "lungs"), {"classes": ["Normal", "Viral Pneumonia"]})
    message = complaint(config)
    assert "tasks.lungs.classes names 'Viral Pneumonia'" in message
    assert "datasets.folders.classes" in message


def test_default_is_told_only_where_leaving_the_key_out_would_give_it():
    assert "(default 'auto')" in complaint(changed(FULL, ("train", "epochs"), 0))
    override = ("tasks", "two_class", "train", "epochs")
    assert "default" not in complaint(changed(FULL, override, 0))


def test_long_values_do_not_drown_the_sentence():
    assert len(complaint(changed(FULL, ("train", "optimizer"), "x" * 10_000))) < 300


# --- misspellings ---------------------------------------------------------------------------------


def closed_keys(node, schema, path=()):
    """Paths of all keys of a configuration that the schema, not the user, names."""
    for rule in schema.get("allOf", []):
        if rule["if"]["properties"]["kind"]["const"] == node.get("kind"):
            schema = rule["then"]
    for key, child in node.items():
        named = schema.get("properties", {}).get(key)
        if named is not None or "enum" in schema.get("propertyNames", {}):
            yield (*path, key)
        if isinstance(child, dict):
            yield from closed_keys(child, named or schema["additionalProperties"], (*path, key))


CLOSED_KEYS = list(closed_keys(FULL, SCHEMA))
LETTERS = "abcdefghijklmnopqrstuvwxyzABCXYZ0129_- .éß"


@st.composite
def misspellings(draw):
    """One character of a key replaced, inserted, left out, or swapped with the next one."""
    *parents, key = draw(st.sampled_from(CLOSED_KEYS))
    position = draw(st.integers(0, len(key) - 1))
    letter = draw(st.sampled_from(LETTERS))
    wrong = draw(
        st.sampled_from(
            [
                key[:position] + letter + key[position + 1 :],
                key[:position] + letter + key[position:],
                key[:position] + key[position + 1 :],
                key[:position] + key[position : position + 2][::-1] + key[position + 2 :],
            ]
        )
    )
    return tuple(parents), key, wrong


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(misspellings())
def test_misspelt_key_is_always_refused_by_name_and_place(misspelling):
    parents, key, wrong = misspelling
    siblings = FULL
    for parent in parents:
        siblings = siblings[parent]
    if wrong in siblings:  # `datasets` less its last letter is `dataset`, which is another key
        return
    renamed = {wrong if name == key else name: value for name, value in siblings.items()}
    config = changed(FULL, parents, renamed) if parents else renamed
    place = f"under '{'.'.join(parents)}'" if parents else "at the top level"
    assert f"Unknown key {wrong!r} {place}." in complaint(config)


def test_misspellings_are_tried_at_every_depth():
    assert {len(path) for path in CLOSED_KEYS} == {1, 2, 3, 4}
    assert len(CLOSED_KEYS) > 60


# --- asking the resolved configuration ------------------------------------------------------------


def test_training_settings_of_a_scheme_win_over_those_of_a_task_over_the_common_ones():
    config = changed(FULL, ("train", "epochs"), 1)
    config = changed(config, ("train", "batch_size"), 1)
    config = changed(config, ("train", "momentum"), 0.1)
    config = changed(config, ("tasks", "two_class", "train"), {"epochs": 2, "batch_size": 2})
    config = changed(config, ("schemes", "once", "train"), {"epochs": 3})
    resolved = resolve_configuration(config, SCHEMA)
    merged = train_settings(resolved, "two_class", "once")
    assert (merged["epochs"], merged["batch_size"], merged["momentum"]) == (3, 2, 0.1)
    assert train_settings(resolved, "two_class", "thrice")["epochs"] == 2
    assert list(merged) == sorted(merged)
    assert merged.keys() == resolved["train"].keys()
    merged["watch"].clear()
    assert resolved["train"]["watch"], "the configuration must not change with the answer"


def test_the_number_of_gpus_decides_a_result_only_where_it_changes_the_mathematics():
    def asked(**train):
        config = changed(FULL, ("schemes", "once", "train"), {"batch_size": 8, **train})
        return result_settings(resolve_configuration(config, SCHEMA), "two_class", "once")

    assert asked(gpus=2) == asked(gpus=4) == asked(sync_batch_norm=False) == asked()
    assert not {"gpus", "sync_batch_norm"} & asked().keys()
    assert asked(gpus=2, sync_batch_norm=False) != asked(gpus=4, sync_batch_norm=False) != asked()


def test_imbalance_and_augmentation_are_told_to_a_training_only_where_they_are_used():
    def asked(**train):
        config = changed(FULL, ("schemes", "once", "train"), {"batch_size": 8, **train})
        return result_settings(resolve_configuration(config, SCHEMA), "two_class", "once")

    without = asked()
    assert not {"augment", "class_weights", "sampling"} & without.keys()
    assert asked(augment={"rotation": 0}, class_weights="none", sampling="natural") == without
    assert asked(augment={"rotation": 5, "noise": 0}) == {**without, "augment": {"rotation": 5.0}}
    assert asked(sampling="balanced") == {**without, "sampling": "balanced"}
    weights = {"COVID": 3, "Normal": 1}
    assert asked(class_weights=weights) == {**without, "class_weights": weights}
    assert TrainSettings.from_mapping(without).augment == Augmentation()
    assert TrainSettings.from_mapping(asked(augment={"shift": 0.1})).augment.shift == 0.1


def test_the_augmentation_of_a_scheme_stands_for_all_of_it():
    config = changed(FULL, ("train", "augment"), {"rotation": 5})
    config = changed(config, ("schemes", "once", "train"), {"augment": {"shift": 0.1}})
    config = resolve_configuration(config, SCHEMA)
    assert result_settings(config, "two_class", "once")["augment"] == {"shift": 0.1}
    assert result_settings(config, "two_class", "thrice")["augment"] == {"rotation": 5.0}


@pytest.mark.parametrize(("task", "scheme"), [("two_clas", "once"), ("two_class", "onec")])
def test_settings_of_an_unknown_task_or_scheme_are_refused(task, scheme):
    with pytest.raises(ConfigurationError, match=r"Did you mean '(two_class|once)'"):
        train_settings(resolve_configuration(FULL, SCHEMA), task, scheme)


def test_predefined_division_is_one_fold_without_parameters():
    config = changed(SMALLEST, ("schemes", "given"), {"kind": "predefined"})
    design = resolve_configuration(config, SCHEMA)["schemes"]["given"]
    assert design.pop("system") is None
    assert design == {"kind": "predefined", "tasks": [], "seeds": [], "model": {}, "train": {}}
    assert fold_count(resolve_configuration(config, SCHEMA), "given") == 1


@pytest.mark.parametrize(("scheme", "folds"), [("once", 1), ("thrice", 4), ("folds", 5)])
def test_folds_are_counted_by_kind(scheme, folds):
    config = changed(FULL, ("schemes", "thrice", "repeats"), 4)
    config = changed(config, ("schemes", "folds", "folds"), 5)
    assert fold_count(resolve_configuration(config, SCHEMA), scheme) == folds


# --- schemes that build on others -----------------------------------------------------------------


def with_scheme(name, **settings):
    return changed(FULL, ("schemes", name), settings)


def test_same_splits_have_the_folds_of_the_other_scheme_and_settings_of_their_own():
    config = with_scheme(
        "again",
        kind="same_splits",
        of="thrice",
        train={"optimizer": "sgd"},
        model={"weights": "random", "decompose": 2},
    )
    resolved = resolve_configuration(config, SCHEMA)
    assert division(resolved, "again")[0] == "thrice"
    assert fold_count(resolved, "again") == fold_count(resolved, "thrice")
    assert train_settings(resolved, "two_class", "again")["optimizer"] == "sgd"
    assert model_settings(resolved, "again")["weights"] == "random"
    assert model_settings(resolved, "again")["decompose"] == 2
    # Said only where it is set, so that models of classes as they are stay what they were.
    assert "decompose" not in model_settings(resolved, "thrice")


def test_networks_see_whole_images_unless_their_scheme_says_otherwise():
    config = with_scheme("again", kind="same_splits", of="once")
    config["schemes"]["border"] = {"kind": "same_splits", "of": "once", "input": "border_only"}
    resolved = resolve_configuration(config, SCHEMA)
    parts = {scheme: input_part(resolved, scheme) for scheme in resolved["schemes"]}
    assert parts.pop("border") == "border_only"
    assert set(parts.values()) == {"whole"}
    # What is covered must have a network of whole images beside it, on the same divisions.
    with pytest.raises(ConfigurationError, match=r"schemes\.alone"):
        resolve_configuration(with_scheme("alone", kind="holdout", input="border_only"), SCHEMA)


def images_with_masks(**masks):
    return [
        SimpleNamespace(image_id=f"{label}/{number}", label=label, mask_path=path)
        for label, paths in masks.items()
        for number, path in enumerate(paths, start=1)
    ]


@pytest.mark.parametrize("part", ["lungs_out", "lungs_only"])
def test_networks_that_see_lungs_need_a_mask_of_every_image_of_their_classes(part):
    config = resolve_configuration(
        with_scheme("lungs", kind="same_splits", of="once", input=part), SCHEMA
    )
    check_masks(config, images_with_masks(Normal="mm", COVID="m", Other=["", ""]))
    with pytest.raises(ConfigurationError) as fault:
        check_masks(config, images_with_masks(Normal=["m", "m"], COVID=["m", ""]))
    message = f"schemes.lungs.input is {part}, but 1 of 4 images have no lung mask"
    assert message in str(fault.value)
    assert "'COVID/2'" in str(fault.value) and "border_only" in str(fault.value)
    without = resolve_configuration(
        with_scheme("edge", kind="same_splits", of="once", input="border_only"), SCHEMA
    )
    check_masks(without, images_with_masks(Normal=["", ""], COVID=[""]))


def test_a_resolved_configuration_can_be_resolved_again():
    config = changed(FULL, ("tasks", "gone"), None)
    resolved = resolve_configuration(config, SCHEMA)
    again = {**resolved, "tasks": {**resolved["tasks"], **removed_entries(config)["tasks"]}}
    assert "gone" in again["tasks"]
    assert resolve_configuration(again, SCHEMA) == resolved


def test_a_scheme_is_run_with_its_own_tasks_only():
    resolved = resolve_configuration(
        with_scheme("few", kind="holdout", tasks=["two_class"]), SCHEMA
    )
    assert ("two_class", "few") in experiments(resolved)
    assert [task for task, scheme in experiments(resolved) if scheme == "few"] == ["two_class"]
    assert {task for task, scheme in experiments(resolved) if scheme == "once"} == set(
        resolved["tasks"]
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kind": "same_splits", "of": "onec"}, ["schemes.new.of", "Did you mean 'once'"]),
        ({"kind": "same_splits", "of": "new"}, ["schemes.new.of is 'new'"]),
        (
            {"kind": "random_subsample", "shared_test_of": "folds"},
            ["shared_test_of", "kind holdout"],
        ),
        (
            {"kind": "holdout", "tasks": ["two_clas"]},
            ["schemes.new.tasks", "Did you mean 'two_class'"],
        ),
        (
            {"kind": "holdout", "train": {"keep": "best_validation"}},
            ["keep: best_validation", "schemes.new.validation_fraction"],
        ),
        ({"kind": "holdout", "train": {"patience": 3}}, ["patience: 3", "validation part"]),
        (
            {
                **{"kind": "holdout", "model": {"weights": "random"}},
                "train": {"freeze_until": "layer3"},
            },
            ["freeze_until: layer3", "model.weights: random", "never learnt"],
        ),
        (
            {
                "kind": "holdout",
                "model": {"weights": "imagenet"},
                "train": {"freeze_until": "layer3", "progressive": [0.5, 1]},
            },
            ["freeze_until: layer3", "progressive: [0.5, 1.0]", "exclude each other"],
        ),
        (
            {
                **{"kind": "holdout", "model": {"weights": "imagenet"}},
                "train": {"freeze_until": "layer3", "augment": {"shift": 0.1, "noise": 0}},
            },
            ["freeze_until: layer3", "augment: {shift: 0.1} for", "exclude each other"],
        ),
        (
            {"kind": "holdout", "train": {"class_weights": {"Normal": 1, "Covid": 2}}},
            ["class_weights for two_class/new names 'Covid'", "Did you mean 'COVID'?"],
        ),
        (
            {"kind": "holdout", "train": {"class_weights": {"Normal": 1}}},
            ["class_weights for two_class/new has no weight of COVID: give one"],
        ),
        (
            {"kind": "holdout", "train": {"class_weights": "balanced", "sampling": "balanced"}},
            ["class_weights: 'balanced' and sampling: balanced", "train.sampling to natural"],
        ),
        (
            {"kind": "holdout", "train": {"progressive": [0.5, 0.75]}},
            ["progressive: [0.5, 0.75]", "append 1"],
        ),
        (
            {"kind": "holdout", "model": {"architecture": "inception_v3", "map_stride": 8}},
            ["model.map_stride is 8, but inception_v3", "32 only: choose that"],
        ),
        (
            {"kind": "holdout", "model": {"architecture": "squeezenet1_1", "last_stage": 4}},
            ["squeezenet1_1 can end behind the stages 1, 2, 3 only"],
        ),
        (
            {"kind": "holdout", "train": {"batch_size": 6, "gpus": 4}},
            ["batch_size: 6", "gpus: 4", "train.batch_size to a multiple of 4"],
        ),
        (
            {
                "kind": "holdout",
                "validation_fraction": 0.1,
                "train": {"patience": 3, "watch": ["test"]},
            },
            ["train.watch"],
        ),
    ],
)
def test_a_scheme_that_leads_nowhere_is_refused(settings, words):
    with pytest.raises(ConfigurationError) as caught:
        resolve_configuration(with_scheme("new", **settings), SCHEMA)
    assert all(word in str(caught.value) for word in words), str(caught.value)


# --- against the images ---------------------------------------------------------------------------


def against(images, **schemes):
    config = changed(SMALLEST, ("schemes",), schemes or SMALLEST["schemes"])
    check_against_images(resolve_configuration(config, SCHEMA), images, "data/x")


@pytest.mark.parametrize(
    ("images", "scheme", "words"),
    [
        (
            {"Normal": 50, "Covid": 50},
            {"kind": "holdout"},
            ["tasks.two_class.classes names 'COVID'", "data/x", "mean 'Covid'?", "Normal (50)"],
        ),
        ({}, {"kind": "holdout"}, ["names 'Normal'", "names 'COVID'", "Classes found: none"]),
        (
            {f"A|{number}": number for number in range(1, 41)},  # lists of findings
            {"kind": "holdout"},
            ["Classes found: A|40 (40), A|39 (39)", "A|21 (21) and 20 more. Correct"],
        ),
        ({"Normal": 50, "COVID": 0}, {"kind": "holdout"}, ["'COVID'", "without any image"]),
        (
            {"Normal": 500, "COVID": 299},
            {"kind": "random_subsample"},
            ["images_per_class is 300", "'COVID' has 299 images in data/x", "at most 299"],
        ),
        (
            {"Normal": 500, "COVID": 4},
            {"kind": "stratified_kfold", "folds": 5},
            ["schemes.s.folds is 5", "4 images", "at most 4"],
        ),
        (
            {"Normal": 500, "COVID": 4},
            {"kind": "holdout"},
            ["schemes.s.test_fraction is 0.1", "test part without", "0.125 or more"],
        ),
        (
            {"Normal": 500, "COVID": 500},
            {"kind": "random_subsample", "images_per_class": 4},
            ["schemes.s.test_fraction is 0.1", "schemes.s.images_per_class is 4", "0.125"],
        ),
        (
            {"Normal": 500, "COVID": 20},
            {"kind": "holdout", "validation_fraction": 0.02},
            ["schemes.s.validation_fraction is 0.02", "validation part without", "0.025 or more"],
        ),
        (
            {"Normal": 9, "COVID": 3},
            {"kind": "stratified_kfold", "validation_fraction": 0.1},
            ["schemes.s.validation_fraction is 0.1", "0.167 or more"],
        ),
        (
            {"Normal": 9, "COVID": 2},
            {"kind": "stratified_kfold", "folds": 2, "validation_fraction": 0.3},
            ["schemes.s needs an image", "(training, validation, test)", "add images"],
        ),
        (
            {"Normal": 9, "COVID": 1},
            {"kind": "holdout", "test_fraction": 0.3},
            ["schemes.s needs an image", "(training, test)", "'COVID' has 1 image in"],
        ),
        (
            {"Normal": 9, "COVID": 3},
            {"kind": "holdout", "test_fraction": 0.5, "validation_fraction": 0.3},
            ["schemes.s leaves no image", "to train on"],
        ),
    ],
)
def test_images_that_do_not_suffice_are_refused_with_a_way_out(images, scheme, words):
    with pytest.raises(ConfigurationError) as caught:
        against(images, s=scheme)
    for expected in [*words, "null"]:
        assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("images", "scheme"),
    [
        ({"Normal": 5, "COVID": 5}, {"kind": "holdout"}),
        ({"Normal": 300, "COVID": 300}, {"kind": "random_subsample"}),
        ({"Normal": 3, "COVID": 3, "other": 0}, {"kind": "stratified_kfold"}),
        ({"Normal": 9, "COVID": 9}, {"kind": "holdout", "validation_fraction": 0.1}),
        ({"Normal": 1, "COVID": 1}, {"kind": "predefined"}),
    ],
)
def test_images_that_just_suffice_are_accepted(images, scheme):
    against(images, s=scheme)


def test_parts_are_counted_as_the_splits_count_them():
    from workflow_scripts.cxrcam.data import splits

    for n in range(1, 60):
        for percent in range(0, 100, 5):
            assert part_size(n, percent / 100) == splits.part_size(n, percent / 100)


def test_each_task_and_scheme_at_fault_is_named():
    config = changed(SMALLEST, ("tasks", "rare"), {"classes": ["Normal", "Tuberculosis"]})
    config = changed(config, ("schemes", "sub"), {"kind": "random_subsample"})
    with pytest.raises(ConfigurationError) as caught:
        check_against_images(
            resolve_configuration(config, SCHEMA), {"Normal": 99, "COVID": 99}, "x"
        )
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert "schemes.sub" in lines[0]
    assert "tasks.rare" in lines[1]


# --- files ----------------------------------------------------------------------------------------


def test_repeated_keys_are_refused_at_every_depth_with_their_lines(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(
        "train:\n  epochs: 1\n  'epochs': 2\n"
        "list:\n  - {a: 1, b: 2, a: 3}\n"
        "tasks: {x: &x {p: 1, p: 2}, y: *x}\n"
        "train: {}\ntrain: {}\n"
    )
    with pytest.raises(ConfigurationError) as caught:
        refuse_unclear_yaml(path)
    assert str(caught.value).splitlines() == [
        f"{path} sets {fault}: keep one."
        for fault in (
            "train.epochs twice (line 3, first on line 2)",
            "list[0].a twice (line 5, first on line 5)",
            "tasks.x.p twice (line 6, first on line 6)",
            "train twice (line 7, first on line 1)",
            "train twice (line 8, first on line 1)",
        )
    ]


@pytest.mark.parametrize(
    "content",
    ["# nothing\n", "a: {k: 1}\nb: {k: 1}\n1: x\n'1': y\nc: {<<: &m {k: 1}, <<: *m}\n"],
    ids=["empty file", "equal keys in different mappings"],
)
def test_what_is_no_repetition_is_accepted(tmp_path, content):
    path = tmp_path / "config.yaml"
    path.write_text(content)
    refuse_unclear_yaml(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: 1\nb: [1\n", ["not valid YAML in line"]),
        (b"a:\n\tb: 1\n", ["not valid YAML in line 2", "tabs"]),
        (b"a: \xff\n", ["UTF-8", "byte 3"]),
        (None, ["cannot be read", "No such file"]),
    ],
)
@pytest.mark.parametrize("read", [load_schema, refuse_unclear_yaml])
def test_unreadable_file_is_refused_by_name_and_place(tmp_path, content, words, read):
    path = tmp_path / "broken.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        read(path)
    for expected in ["broken.yaml", *words]:
        assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seeds: [010]", ["010 on line 1", "reads as 8", "write 8", "'010' in quotes"]),
        ("\nseeds:\n- 1:30", ["1:30 on line 3", "reads as 90"]),
        ("datasets: {a: {n: 0_7}}", ["0_7 on line 1", "reads as 7"]),
    ],
)
def test_numbers_that_are_not_read_as_written_are_refused(tmp_path, text, words):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        refuse_unclear_yaml(file)
    for expected in (str(file), *words):
        assert expected in str(caught.value)


@pytest.mark.parametrize("text", ["seeds: [0, 10, -1]", "a: 0.1", "a: '010'", "a: 12:x", "a: 0x1f"])
def test_plain_numbers_and_text_are_accepted(tmp_path, text):
    (tmp_path / "mine.yaml").write_text(text)
    refuse_unclear_yaml(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("model", "train", "refused"),
    [
        ({"architecture": "resnet18", "last_stage": None}, {"batch_size": 1}, True),
        ({"architecture": "resnet18", "last_stage": None}, {"batch_size": 2}, False),
        ({"architecture": "resnet18", "last_stage": 3}, {"batch_size": 1}, False),
        ({"architecture": "vgg19", "last_stage": None}, {"batch_size": 1}, False),
    ],
)
def test_one_image_a_step_needs_a_map_of_several_cells(model, train, refused):
    config = copy.deepcopy(FULL)
    config["image"] = {**config["image"], "size": 32}
    config["model"] = {**config["model"], "weights": "random", "input_size": None, **model}
    config["train"] = {**config["train"], "progressive": [], "epochs": 1, **train}
    config["schemes"]["once"]["train"] = {}
    if not refused:
        resolve_configuration(config, SCHEMA)
        return
    with pytest.raises(ConfigurationError, match=r"batch_size: 1 for two_class/.* has one cell"):
        resolve_configuration(config, SCHEMA)


def test_schema_that_is_no_mapping_is_refused(tmp_path):
    (tmp_path / "schema.yaml").write_text("- 1\n")
    with pytest.raises(ConfigurationError, match="not a mapping"):
        load_schema(tmp_path / "schema.yaml")


def test_faults_of_the_configuration_are_told_like_all_faults_of_the_input():
    assert issubclass(ConfigurationError, InputError)


def test_parsing_the_workflow_imports_nothing_heavy():
    code = (
        "import sys; import workflow_scripts.cxrcam.configuration.resolution; "
        "print(sorted({'numpy', 'pandas', 'torch', 'pyarrow', 'snakemake'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stderr


# --- external data sets ---------------------------------------------------------------------------


def test_an_external_data_set_that_was_removed_is_told():
    config = changed(FULL, ("external",), ["mine"])
    config["datasets"]["mine"] = None
    assert "external names 'mine', but its entry under `datasets` is null" in complaint(config)


def test_nothing_is_external_unless_it_is_named():
    assert resolve_configuration(SMALLEST, SCHEMA)["external"] == []
    config = changed(FULL, ("external",), ["mine", "folders"])
    assert resolve_configuration(config, SCHEMA)["external"] == ["mine", "folders"]


def test_a_task_can_be_tested_where_all_its_classes_have_images():
    config = resolve_configuration(
        changed(FULL, ("tasks", "three"), {"classes": ["Normal", "COVID", "Viral Pneumonia"]}),
        SCHEMA,
    )
    found = {"Normal": 5, "COVID": 3, "Viral Pneumonia": 0}
    assert missing_classes(config, "two_class", found) == []
    assert missing_classes(config, "three", found) == ["Viral Pneumonia"]
    check_external_images(config, "mine", found, "x.csv")  # one task is enough
    with pytest.raises(ConfigurationError) as caught:
        check_external_images(config, "mine", {"Normal": 5, "Covid": 3}, "x.csv")
    for words in (
        "external names 'mine', on which no task can be tested",
        "two_class needs 'COVID'; three needs 'COVID', 'Viral Pneumonia', of which x.csv has no",
        "Did you mean 'Covid'?",
        "Classes found: Normal (5), Covid (3)",
        "take it out of `external`",
    ):
        assert words in str(caught.value)
