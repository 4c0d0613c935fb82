"""What the schema refuses, in the words of someone who has never seen a schema.

jsonschema finds the faults; here each becomes a sentence that names key and value, says what is
allowed, and guesses what was meant.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from workflow_scripts.cxrcam.configuration.problems import (
    MOST_CHARACTERS_SHOWN,
    KeyPath,
    Problems,
    closest,
    did_you_mean,
    dotted,
    show,
    under,
)
from workflow_scripts.cxrcam.configuration.schema import Schema, at, kinds, types


def explain(error: Any, config: Mapping[str, Any], schema: Schema, problems: Problems) -> None:  # noqa: ANN401
    """Note what an error of jsonschema means, given for the whole configuration and schema.

    Errors about keys that have a problem already are passed over.
    """
    path: KeyPath = tuple(error.absolute_path)
    if path in problems:
        return
    value, here = at(path, config, schema)
    if "propertyNames" in error.relative_schema_path:
        problems.add((*path, error.instance), _wrong_name(path, error.instance, here))
    elif error.validator in {"additionalProperties", "required"}:
        _explain_keys(path, value, here, schema, problems)
    else:
        problems.add(path, _wrong_value(dotted(path), value, here))


# --- keys -----------------------------------------------------------------------------------------


def _wrong_name(path: KeyPath, name: str, schema: Schema) -> str:
    """Sentence about a key that the user may choose, but not like this."""
    rule = schema["propertyNames"]
    if "enum" in rule:
        return _unknown_key(path, name, rule["enum"])
    better = re.sub(r"^[^A-Za-z]+", "", re.sub(r"[^A-Za-z0-9]+", "_", name)).strip("_")[:64]
    return (
        f"The name {show(name)}{under(path)} cannot be used: it becomes a folder of results/, so "
        f"it must be {_allowed(rule)}." + (f" For example: {better}." if better else "")
    )


def _explain_keys(
    path: KeyPath, value: Mapping[str, Any], here: Schema, schema: Schema, problems: Problems
) -> None:
    """Note unknown and missing keys of one mapping."""
    named = here["properties"]
    # Of an entry without a kind, only the keys that no kind has are known to be wrong.
    known = {key: None for kind in kinds(here).values() for key in kind["properties"]} or named
    unknown = [key for key in value if key not in known]
    for key in unknown:
        problems.add((*path, key), _unknown_key(path, key, known, _home(path, key, value, schema)))
    for key in here.get("required", []):
        # A misspelt key was told of already, and is not missing.
        if key not in value and not any(closest(other, [key]) for other in unknown):
            about = named[key].get("description", "").rstrip(".")
            problems.add(
                (*path, key),
                f"The mandatory key {show(key)} is missing{under(path)}"
                f"{f' ({about})' if about else ''}: "
                f"add {dotted((*path, key))}, {_allowed(named[key])}.",
            )


def _unknown_key(path: KeyPath, key: str, allowed: Iterable[str], home: str = "") -> str:
    return (
        f"Unknown key {show(key)}{under(path)}.{home or did_you_mean(key, allowed)} "
        f"Allowed {'here' if path else 'at the top level'}: {', '.join(allowed)}."
    )


def _home(path: KeyPath, key: str, value: Mapping[str, Any], schema: Schema) -> str:
    """Say where a key belongs that is known, but not here; empty if it is known nowhere."""
    if len(path) == 2 and "kind" in value:  # an entry of `datasets` or `schemes`
        entry = schema["properties"][path[0]]["additionalProperties"]
        others = [name for name, kind in kinds(entry).items() if key in kind["properties"]]
        if others:
            return f" It belongs to the kind {' or '.join(others)}; this one is {value['kind']}."
    last = key.rsplit(".", 1)[-1]
    homes = [s for s, node in schema["properties"].items() if last in node.get("properties", {})]
    if not homes:
        return ""
    if homes == ["train"] and path and path[0] in {"tasks", "schemes"}:
        homes = [dotted((*path, "train"))]
    home = f" It belongs under {' or '.join(map(repr, homes))}"
    if path:
        return f"{home}."
    # --config sets top-level keys only: the usual reason why a key stands too high.
    return (
        f"{home}: write {homes[0]}: {{{last}: ...}} in a YAML file and pass that with --configfile."
    )


# --- values ---------------------------------------------------------------------------------------


def _wrong_value(name: str, value: object, schema: Schema) -> str:
    """Sentence about a value that is not allowed."""
    fault, wanted = f"{name} is {show(value)}", types(schema)
    must_be = f"but must be {_allowed(schema)}"
    if schema.get("default", {}) not in ({}, []):
        must_be += f" (default {show(schema['default'])})"
    if value is None:
        return f"{name} is empty (null), {must_be}."
    if isinstance(value, str):
        return _wrong_text(name, value, schema, must_be)
    if isinstance(value, list) and "array" in wanted:
        repeated = [item for n, item in enumerate(value) if item in value[:n]]
        if repeated and schema.get("uniqueItems"):
            return f"{name} lists {show(repeated[0])} more than once: keep one."
        return f"{fault} ({len(value)} {'entry' if len(value) == 1 else 'entries'}), {must_be}."
    if value == {} and "object" in wanted:
        return f"{name} has no entry left, {must_be}: define at least one."
    if isinstance(value, list | dict):
        return f"{fault}, {must_be}."
    if wanted == ["array"]:
        return f"{fault}, {must_be}: write [{show(value)}]."
    if isinstance(value, bool) and {"integer", "number"} & set(wanted):
        return f"{fault}, which is no number, {must_be}."
    if isinstance(value, bool) and "string" in wanted:
        return (
            f"{fault}, {must_be}: YAML reads words such as Yes, No, On and Off as true and false; "
            "put the word in quotes."
        )
    if wanted == ["string"] and "enum" not in schema:
        return f"{fault}, {must_be}: put it in quotes if it is meant as text."
    return f"{fault}, {must_be}."


def _wrong_text(name: str, value: str, schema: Schema, must_be: str) -> str:
    """Sentence about a text that is not allowed, most often a number that YAML took for a text."""
    wanted, word = types(schema), value.strip().lower()
    fault = f"{name} is the text {show(value)}, {must_be}"
    number = _as_number(word)
    if number is not None and {"integer", "number"} & set(wanted):
        if not re.fullmatch(r"[-+]?[0-9]+(\.[0-9]*)?", word):
            return f"{fault}: YAML reads numbers like this as text; write {_spellings(number)}."
        return (
            f"{fault}: write {word} without quotes. (After --config, what stands inside a list or "
            "a mapping is always text: put it into a YAML file and pass that with --configfile.)"
        )
    if wanted == ["boolean"] and word in {"true", "false", "yes", "no", "on", "off"}:
        meant = "true" if word in {"true", "yes", "on"} else "false"
        return (
            f"{fault}: {show(value)} is text; write {meant.title()} after --config, {meant} "
            "without quotes in a file."
        )
    if wanted == ["array"]:
        if "string" not in types(schema["items"]) and number is None:
            return f"{fault}."
        item = value if len(value) <= MOST_CHARACTERS_SHOWN else "..."
        return f"{fault}: write [{item}{', ...' if schema.get('minItems', 0) > 1 else ''}]."
    if "string" in wanted:
        choices = [*schema.get("enum", []), *schema.get("examples", [])]
        return f"{name} is {show(value)}, {must_be}.{did_you_mean(value, choices)}"
    return f"{fault}."


def _as_number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _spellings(number: Decimal) -> str:
    """Ways to write a number that YAML 1.1 reads as one: it wants a point and a signed exponent."""
    digits = len(number.as_tuple().digits)
    scientific = f"{number:.{max(1, digits - 1)}e}"
    if abs(number.adjusted()) > 15:  # rows of zeros, which nobody counts
        return scientific
    return f"{number:f}" if number == int(number) else f"{number:f} or {scientific}"


# --- what is allowed ------------------------------------------------------------------------------


def _allowed(schema: Schema) -> str:
    """Say what a schema allows."""
    wanted = [name for name in types(schema) if name != "null"]
    if "x-allowed" in schema:
        return str(schema["x-allowed"])
    if "enum" in schema:
        choices = [str(choice) for choice in schema["enum"]]
        return choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    if kinds(schema):
        return f"a mapping with the key kind ({_allowed(schema['properties']['kind'])}) and more"
    if wanted == ["boolean"]:
        return "true or false"
    if wanted == ["integer"]:
        return f"a whole number{_range(schema)}"
    if wanted == ["number"]:
        return f"a number{_range(schema)}"
    if wanted == ["array"]:
        return f"a list{_size(schema)}, each {_allowed(schema['items'])}"
    if wanted == ["object"]:
        keys = list(schema.get("properties") or schema["propertyNames"].get("enum", []))
        if keys:
            return f"a mapping with the keys {', '.join(keys)}"
        return "a mapping from names to settings"
    return "non-empty text" if schema.get("minLength") else "text"


def _size(schema: Schema) -> str:
    """How many items a list has to have; empty where any number will do."""
    least, most = schema.get("minItems", 0), schema.get("maxItems")
    if least == most and most is not None:
        return f" of {least} entries"
    if most is not None:
        return f" of {least} to {most} entries"
    if not least:
        return ""
    if least == 1:
        return " of at least 1 entry"
    return f" of at least {least}{' different' if schema.get('uniqueItems') else ''} entries"


def _range(schema: Schema) -> str:
    """Bounds of a number; empty where there are none."""
    if "minimum" in schema and "maximum" in schema:
        return f" from {schema['minimum']} to {schema['maximum']}"
    words = {
        "minimum": "of at least",
        "exclusiveMinimum": "greater than",
        "maximum": "at most",
        "exclusiveMaximum": "less than",
    }
    bounds = [f"{word} {schema[key]}" for key, word in words.items() if key in schema]
    return f" {' and '.join(bounds)}" if bounds else ""
