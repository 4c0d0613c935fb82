"""Reading the configuration's schema: which part of it holds where, and the defaults in it.

The schema uses few of JSON Schema's means: references into ``$defs``, and entries whose keys depend
on their ``kind`` (one ``if``/``then`` for each kind, under ``allOf``).
"""

from collections.abc import Mapping
from typing import Any

from workflow_scripts.cxrcam.configuration.map_methods import METHODS
from workflow_scripts.cxrcam.configuration.problems import KeyPath

Schema = Mapping[str, Any]

# Values that the code knows: ``x-values`` in the schema adds them to ``enum``.
VALUES = {"map methods": [*METHODS]}


def expand(schema: Schema) -> dict[str, Any]:
    """Put every definition in the place of the references to it.

    ``x-values`` become an ``enum``. Keys beside a reference win over those of the definition. Under
    ``x-partial`` no key has a default any more: what is left out there comes from elsewhere. No
    definition may contain itself.
    """
    definitions = schema.get("$defs", {})

    def expanded(node: Any) -> Any:  # noqa: ANN401 (any value of a YAML file)
        if isinstance(node, list):
            return [expanded(item) for item in node]
        if not isinstance(node, Mapping):
            return node
        result = {key: expanded(child) for key, child in node.items()}
        if "$ref" in result:
            name = result.pop("$ref").removeprefix("#/$defs/")
            result = {**expanded(definitions[name]), **result}
        if "x-values" in result:
            result["enum"] = [*result.get("enum", []), *VALUES[result.pop("x-values")]]
        if result.get("x-partial"):
            for child in result["properties"].values():
                child.pop("default", None)
        return result

    whole: dict[str, Any] = expanded({k: v for k, v in schema.items() if k != "$defs"})
    return whole


def types(schema: Schema) -> list[str]:
    """Types that a schema allows; empty where it does not say."""
    allowed = schema.get("type", [])
    return [allowed] if isinstance(allowed, str) else list(allowed)


def kinds(schema: Schema) -> dict[str, Schema]:
    """Schema of each kind of an entry; empty where there are no kinds."""
    branches = [rule["then"] for rule in schema.get("allOf", [])]
    return {branch["properties"]["kind"]["const"]: branch for branch in branches}


def of_kind(schema: Schema, value: object) -> Schema:
    """Schema of the kind that a value says it is; the given one where it says none."""
    kind = value.get("kind") if isinstance(value, Mapping) else None
    return kinds(schema).get(kind, schema) if isinstance(kind, str) else schema


def at(path: KeyPath, config: Any, schema: Schema) -> tuple[Any, Schema]:  # noqa: ANN401
    """Value at a path of the configuration, and the schema that holds there."""
    value = config
    for key in path:
        value = value[key]
        if isinstance(key, int):
            schema = schema["items"]
        else:
            named = schema.get("properties", {})
            schema = named[key] if key in named else schema["additionalProperties"]
        schema = of_kind(schema, value)
    return value, schema


def complete(value: Any, schema: Schema) -> Any:  # noqa: ANN401
    """Copy a valid value, in the order of the schema and with every default filled in.

    Numbers become int or float as the schema says, so that 1 and 1.0 are one and the same setting.
    """
    schema = of_kind(schema, value)
    if isinstance(value, Mapping):
        named = schema.get("properties", {})
        given = {
            key: value[key] if key in value else child["default"]
            for key, child in named.items()
            if key in value or "default" in child
        }
        given |= {key: item for key, item in value.items() if key not in named}
        others = schema.get("additionalProperties")
        return {key: complete(item, named.get(key, others)) for key, item in given.items()}
    if isinstance(value, list):
        return [complete(item, schema["items"]) for item in value]
    if isinstance(value, float) and "integer" in types(schema):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and "number" in types(schema):
        return float(value)
    return value
