"""The schema of the configuration: what it promises its readers, and how it is read."""

from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

from workflow_scripts.cxrcam.configuration.resolution import load_schema
from workflow_scripts.cxrcam.configuration.schema import at, complete, expand

FILE = Path(__file__).parents[2] / "schemas" / "config.schema.yaml"
RAW = yaml.safe_load(FILE.read_text(encoding="utf-8"))


def walk_schema(node, path="schema"):
    """Every schema in the schema, with the path to it."""
    yield path, node
    for key in ("properties", "$defs"):
        for name, child in node.get(key, {}).items():
            yield from walk_schema(child, f"{path}.{key}.{name}")
    for key in ("items", "additionalProperties", "propertyNames", "then"):
        if isinstance(node.get(key), dict):
            yield from walk_schema(node[key], f"{path}.{key}")
    for position, child in enumerate(node.get("allOf", [])):
        yield from walk_schema(child, f"{path}.allOf[{position}]")


def definition(node):
    """A schema with its reference followed."""
    if "$ref" not in node:
        return node
    target = RAW["$defs"][node["$ref"].removeprefix("#/$defs/")]
    return {**definition(target), **node}


def test_schema_is_a_valid_json_schema():
    Draft202012Validator.check_schema(RAW)


def test_schema_is_closed_at_every_level():
    levels = 0
    for path, node in walk_schema(RAW):
        if "allOf" in node:
            # Chooses by `kind`: each branch has to be closed, and each kind to have a branch.
            kinds = [rule["if"]["properties"]["kind"]["const"] for rule in node["allOf"]]
            assert kinds == node["properties"]["kind"]["enum"], path
            assert "kind" in node["required"], path
            for rule in node["allOf"]:
                assert definition(rule["then"])["additionalProperties"] is False, path
        elif "properties" in node:
            levels += 1
            assert node["additionalProperties"] is False, f"{path} takes unknown keys"
        elif node.get("type") == "object":
            levels += 1
            assert "propertyNames" in node, f"{path} takes any name"
            assert isinstance(node["additionalProperties"], dict), path
    assert levels > 10


ONE_OF_BOTH = {"schema.$defs.task_entry.classes", "schema.$defs.task_entry.findings"}
"""Keys of which a task must have one, which a schema without oneOf cannot say."""


def test_every_key_is_described_and_has_a_default_unless_it_is_required():
    keys = 0
    for path, node in walk_schema(RAW):
        if "allOf" in node:
            continue  # its `kind` is described in the branches
        for name, child in node.get("properties", {}).items():
            keys += 1
            whole = definition(child)
            assert len(whole.get("description", "")) > 20, f"{path}.{name} has no description"
            required = name in node.get("required", []) or f"{path}.{name}" in ONE_OF_BOTH
            assert required or "default" in whole, f"{path}.{name} has no default"
    assert keys > 50


def test_every_default_is_itself_allowed():
    defaults = 0
    for path, node in walk_schema(RAW):
        if "default" in node:
            defaults += 1
            rules = {"$defs": RAW["$defs"], **node}
            assert not list(Draft202012Validator(rules).iter_errors(node["default"])), path
    assert defaults > 40


def test_schema_speaks_no_oneof_whose_errors_name_no_key():
    for path, node in walk_schema(RAW):
        assert not {"oneOf", "anyOf", "not"} & set(node), path


# --- reading it -----------------------------------------------------------------------------------


def test_loaded_schema_has_no_references_left_and_is_itself_valid():
    loaded = load_schema(FILE)
    assert "$ref" not in str(loaded)
    assert "$defs" not in loaded
    Draft202012Validator.check_schema(loaded)


def test_keys_beside_a_reference_win_over_those_of_the_definition():
    schema = {
        "properties": {"a": {"$ref": "#/$defs/b", "default": 2}},
        "$defs": {"b": {"$ref": "#/$defs/c", "default": 1}, "c": {"type": "integer"}},
    }
    assert expand(schema) == {"properties": {"a": {"type": "integer", "default": 2}}}


def test_partial_settings_lose_their_defaults_and_leave_those_of_the_definition():
    schema = {
        "properties": {
            "some": {"$ref": "#/$defs/settings", "x-partial": True},
            "all": {"$ref": "#/$defs/settings"},
        },
        "$defs": {"settings": {"properties": {"n": {"type": "integer", "default": 1}}}},
    }
    expanded = expand(schema)
    assert complete({"some": {}, "all": {}}, expanded) == {"some": {}, "all": {"n": 1}}


def test_schema_at_a_path_is_that_of_the_kind_that_stands_there():
    config = {"schemes": {"s": {"kind": "stratified_kfold", "folds": 5}}}
    value, schema = at(("schemes", "s", "folds"), config, load_schema(FILE))
    assert value == 5
    assert schema["minimum"] == 2
