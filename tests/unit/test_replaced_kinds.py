"""An overlay that changes the kind of an entry replaces it; any other one adds to it."""

import pytest

from workflow_scripts.cxrcam.configuration.replaced_kinds import without_replaced_kinds

MANIFEST = {"datasets": {"mine": {"kind": "manifest", "path": "a.csv", "expected": {"images": 3}}}}
FOLDERS = {"datasets": {"mine": {"kind": "class_folders", "root": "data"}}}


def merged(*layers):
    """As Snakemake merges two levels of mappings."""
    entry: dict = {}
    for layer in layers:
        entry |= layer["datasets"]["mine"]
    return {"dataset": "mine", "datasets": {"mine": entry}}


def test_another_kind_drops_what_the_user_never_wrote():
    config = without_replaced_kinds(merged(MANIFEST, FOLDERS), [MANIFEST, FOLDERS])
    assert config == {"dataset": "mine", **FOLDERS}


def test_the_same_kind_adds_to_the_entry():
    more = {"datasets": {"mine": {"kind": "manifest", "path": "b.csv"}}}
    config = without_replaced_kinds(merged(MANIFEST, more), [MANIFEST, more])
    assert config["datasets"]["mine"] == {**MANIFEST["datasets"]["mine"], "path": "b.csv"}


def test_keys_set_after_the_change_stay_whoever_sets_them():
    late = {"datasets": {"mine": {"classes": ["A"]}}}
    layers = [MANIFEST, FOLDERS, late]
    config = without_replaced_kinds(merged(*layers), layers)
    assert config["datasets"]["mine"] == {
        "kind": "class_folders",
        "root": "data",
        "classes": ["A"],
    }


def test_there_and_back_keeps_only_what_the_last_file_says():
    again = {"datasets": {"mine": {"kind": "manifest", "path": "c.csv"}}}
    layers = [MANIFEST, FOLDERS, again]
    config = without_replaced_kinds(merged(*layers), layers)
    assert config["datasets"]["mine"] == {"kind": "manifest", "path": "c.csv"}


@pytest.mark.parametrize("layer", [None, {}, {"datasets": None}, {"datasets": {"mine": None}}])
def test_layers_that_say_nothing_of_an_entry_change_nothing(layer):
    config = merged(MANIFEST)
    assert without_replaced_kinds(config, [MANIFEST, layer]) == config


def test_what_is_no_mapping_is_left_to_the_schema():
    config = {"datasets": ["mine"], "schemes": {"holdout": 3}}
    assert without_replaced_kinds(config, [config]) == config
