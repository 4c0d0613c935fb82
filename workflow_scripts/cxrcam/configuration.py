"""The configuration: checked, completed with defaults, and its faults put into words.

Imported whenever Snakemake reads the workflow (in every cluster job again), so it uses the standard
library, PyYAML and jsonschema only. Types, bounds and defaults stand in
``schemas/config.schema.yaml``; here stands what a schema cannot say: what depends on two keys or on
the data, and how a fault reads to the person who made it.
"""

import copy
import difflib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

# Maps whose keys the user chooses; null removes an entry that an earlier file of the overlay made.
NAMED_MAPS = ("datasets", "tasks", "schemes")
# What stands in results/ beside the folders of the data sets.
RESERVED_DATASET_NAMES = frozenset({"logs", "benchmarks", "report", "weights"})
# Names that Windows keeps for devices: no folder can be called so there.
DEVICE_NAMES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
)
# More would scroll the first one, often the cause of the others, off the screen.
MOST_PROBLEMS_SHOWN = 10
# A longer value would hide the sentence that it stands in.
MOST_CHARACTERS_SHOWN = 80

KeyPath = tuple[str | int, ...]
Schema = Mapping[str, Any]

# libyaml's loader where PyYAML was built with it: ten times as fast as the Python one.
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ConfigurationError(ValueError):
    """The configuration cannot be used; one sentence a problem, each on a line of its own."""


class _Problems:
    """Problems by the key that they are about: the first one of a key is the telling one."""

    def __init__(self) -> None:
        self._messages: dict[KeyPath, str] = {}

    def add(self, path: KeyPath, message: str) -> None:
        self._messages.setdefault(path, message)

    def __contains__(self, path: KeyPath) -> bool:
        """Whether this key, or one above it, has a problem already."""
        return any(path[:depth] in self._messages for depth in range(1, len(path) + 1))

    def raise_any(self) -> None:
        """Raise a `ConfigurationError` if there is any problem."""
        messages = list(dict.fromkeys(self._messages.values()))
        if not messages:
            return
        shown = messages[:MOST_PROBLEMS_SHOWN]
        if len(messages) > len(shown):
            shown.append(f"({len(messages) - len(shown)} more; mend these first.)")
        raise ConfigurationError("\n".join(shown))


# --- reading --------------------------------------------------------------------------------------


def load_schema(path: Path) -> dict[str, Any]:
    """Read the schema of the configuration.

    Parameters
    ----------
    path : Path
        ``schemas/config.schema.yaml``.

    Raises
    ------
    ConfigurationError
        If the file is missing, no YAML, or no mapping.
    """
    schema = _parse(Path(path), yaml.load)
    if not isinstance(schema, dict):
        raise ConfigurationError(f"The schema {str(path)!r} is not a mapping: restore the file.")
    return schema


def duplicate_keys(path: Path) -> list[str]:
    """Keys that stand twice in one mapping of a YAML file, of which loaders keep the last silently.

    Parameters
    ----------
    path : Path
        A configuration file.

    Returns
    -------
    list of str
        For example ``train.epochs (line 12, first on line 9)``, in the order of the file; empty if
        there is none.

    Raises
    ------
    ConfigurationError
        If the file cannot be read as YAML.
    """
    # The node tree, unlike the loaded mapping, still has every key and its line.
    root = _parse(Path(path), yaml.compose)
    return [] if root is None else list(_repeated_keys(root, (), set()))


def _parse(path: Path, parse: Callable[..., Any]) -> Any:  # noqa: ANN401 (PyYAML has no types)
    """Apply one of PyYAML's functions to a file; None if it is empty."""
    try:
        return parse(path.read_text(encoding="utf-8-sig"), Loader=_SafeLoader)
    except OSError as error:
        raise ConfigurationError(f"{str(path)!r} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{str(path)!r} is not text in UTF-8 (byte {error.start}): save it in that encoding."
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigurationError(
            f"{str(path)!r} is not valid YAML{place}: {getattr(error, 'problem', None) or error}. "
            "Check indentation (blanks, never tabs), quotes and brackets there."
        ) from error


def _repeated_keys(node: Any, path: KeyPath, visited: set[int]) -> Iterator[str]:  # noqa: ANN401
    if id(node) in visited:  # an alias: its anchor was looked at already
        return
    visited.add(id(node))
    if isinstance(node, yaml.MappingNode):
        first_lines: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            line = key.start_mark.line + 1
            # `<<` merges another mapping in, which may be done more than once.
            if isinstance(key, yaml.ScalarNode) and name != "<<":
                if (key.tag, name) in first_lines:
                    first = first_lines[key.tag, name]
                    yield f"{_dotted((*path, name))} (line {line}, first on line {first})"
                else:
                    first_lines[key.tag, name] = line
            yield from _repeated_keys(value, (*path, name), visited)
    elif isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            yield from _repeated_keys(item, (*path, position), visited)


# --- resolving ------------------------------------------------------------------------------------


def resolve_configuration(config: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """Check a configuration and fill in the defaults.

    Parameters
    ----------
    config : mapping
        As Snakemake merged it from files and command line; it stays as it is.
    schema : mapping
        From `load_schema`.

    Returns
    -------
    dict
        Deep copy in the order of the schema, without the null entries of `datasets`, `tasks` and
        `schemes`, every default filled in except in the ``train`` of tasks and schemes, whole
        numbers as int and other numbers as float.

    Raises
    ------
    ConfigurationError
        With every problem found, the first ten in words.
    """
    if not isinstance(config, Mapping):
        raise ConfigurationError(
            f"The configuration is {_show(config)}, but must be a mapping such as config.yaml."
        )
    problems = _Problems()
    plain = _plain(config, (), problems)
    removed = _remove_null_entries(plain)
    _check_dataset(plain, removed, problems)
    for error in Draft202012Validator(schema).iter_errors(plain):
        _explain(error, plain, schema, problems)
    _check_names(plain, problems)
    problems.raise_any()
    resolved: dict[str, Any] = _complete(plain, schema, schema, fill=True)
    _check_classes(resolved, problems)
    _check_fractions(resolved, problems)
    problems.raise_any()
    settings = resolved["datasets"][resolved["dataset"]]
    if settings["kind"] == "phantom":
        # Known before the images exist, so the fault is reported before they are drawn.
        where = f"datasets.{resolved['dataset']}.images_per_class"
        check_against_images(resolved, settings["images_per_class"], where)
    return resolved


def _plain(value: Any, path: KeyPath, problems: _Problems) -> Any:  # noqa: ANN401
    """Copy dicts, lists and scalars; report what jsonschema would stumble over."""
    if isinstance(value, Mapping):
        copied = {}
        for key, item in value.items():
            if not isinstance(key, str):
                problems.add(
                    (*path, str(key)),
                    f"The key {_show(key)}{_under(path)} is no text: YAML reads numbers, dates and "
                    "words such as Yes, No, On and Off as something else; put it in quotes.",
                )
            elif not key.isprintable():
                problems.add(
                    (*path, key),
                    f"The key {key!r}{_under(path)} contains a line break or another control "
                    "character: remove it.",
                )
            else:
                copied[key] = _plain(item, (*path, key), problems)
        return copied
    if isinstance(value, list | tuple):
        return [_plain(item, (*path, n), problems) for n, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        problems.add(path, f"{_dotted(path)} is {_show(value)}, but must be a finite number.")
    if isinstance(value, str) and not value.isprintable():
        problems.add(
            path,
            f"{_dotted(path)} is {_show(value)}, which contains a line break or another control "
            "character: write it on one line (and without | or > before it).",
        )
    return value


def _remove_null_entries(config: dict[str, Any]) -> dict[str, list[str]]:
    """Take the null entries out of the named maps; their names by map."""
    removed = {}
    for section in NAMED_MAPS:
        entries = config.get(section)
        if isinstance(entries, dict):
            removed[section] = [name for name, entry in entries.items() if entry is None]
            for name in removed[section]:
                del entries[name]
    return removed


def _effective(node: Schema, value: Any, root: Schema) -> dict[str, Any]:  # noqa: ANN401
    """Follow references and merge in the branch of the value's `kind`."""
    merged: dict[str, Any] = {}
    if "$ref" in node:
        merged = _effective(_definition(node["$ref"], root), value, root)
    merged = {**merged, **{key: item for key, item in node.items() if key != "$ref"}}
    for rule in merged.get("allOf", []):
        kind = rule["if"]["properties"]["kind"]["const"]
        if isinstance(value, Mapping) and value.get("kind") == kind:
            branch = _effective(rule["then"], value, root)
            properties = {**merged.get("properties", {}), **branch.get("properties", {})}
            merged = {**merged, **branch, "properties": properties}
    return merged


def _definition(reference: str, root: Schema) -> Schema:
    node: Any = root
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    found: Schema = node
    return found


def _complete(value: Any, node: Schema, root: Schema, *, fill: bool) -> Any:  # noqa: ANN401
    """Fill in defaults; make numbers int or float as the schema says, so that 1 and 1.0 are one."""
    schema = _effective(node, value, root)
    if isinstance(value, dict):
        fill = fill and not schema.get("x-partial", False)
        properties = schema.get("properties", {})
        completed = {}
        for key, child in properties.items():
            effective = _effective(child, value.get(key), root)
            if key in value:
                completed[key] = _complete(value[key], child, root, fill=fill)
            elif fill and "default" in effective:
                completed[key] = _complete(effective["default"], child, root, fill=fill)
        for key in value:
            if key not in properties:
                others = schema.get("additionalProperties", {})
                completed[key] = _complete(value[key], others, root, fill=fill)
        return completed
    if isinstance(value, list):
        return [_complete(item, schema.get("items", {}), root, fill=fill) for item in value]
    types = _types(schema)
    if isinstance(value, float) and "integer" in types:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and "number" in types:
        return float(value)
    return value


def _types(schema: Schema) -> list[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else list(types)


# --- faults that the schema finds, in words -------------------------------------------------------


def _explain(error: Any, config: dict[str, Any], root: Schema, problems: _Problems) -> None:  # noqa: ANN401
    """Add what one error of jsonschema means to a reader who has never seen a schema."""
    path: KeyPath = tuple(error.absolute_path)
    if path in problems:
        return
    if "propertyNames" in error.relative_schema_path:
        _explain_name(path, error.instance, config, root, problems)
    elif error.validator == "additionalProperties":
        _explain_unknown_keys(path, config, root, problems)
    elif error.validator == "required":
        _explain_missing_keys(path, config, root, problems)
    else:
        value, schema = _at(path, config, root)
        problems.add(path, _explain_value(path, value, schema, root))


def _at(path: KeyPath, config: Any, root: Schema) -> tuple[Any, dict[str, Any]]:  # noqa: ANN401
    """Value at a path and the schema that holds there."""
    value, schema = config, _effective(root, config, root)
    partial = False
    for key in path:
        value = value[key]
        partial = partial or schema.get("x-partial", False)
        if isinstance(key, int):
            child = schema.get("items", {})
        else:
            child = schema.get("properties", {}).get(key, schema.get("additionalProperties", {}))
        schema = _effective(child, value, root)
    if partial:  # what is left out there comes from elsewhere
        schema.pop("default", None)
    return value, schema


def _explain_name(
    path: KeyPath, name: str, config: dict[str, Any], root: Schema, problems: _Problems
) -> None:
    """Refuse a key that the user may choose, but not like this."""
    _, schema = _at(path, config, root)
    rule = _effective(schema["propertyNames"], name, root)
    if "enum" in rule:
        problems.add((*path, name), _unknown_key(path, name, rule["enum"]))
        return
    better = re.sub(r"^[^A-Za-z]+", "", re.sub(r"[^A-Za-z0-9]+", "_", name)).strip("_")[:64]
    problems.add(
        (*path, name),
        f"The name {_show(name)}{_under(path)} cannot be used: it becomes a folder of results/, so "
        f"it must be {_allowed(rule, root)}." + (f" For example: {better}." if better else ""),
    )


def _explain_unknown_keys(
    path: KeyPath, config: dict[str, Any], root: Schema, problems: _Problems
) -> None:
    value, schema = _at(path, config, root)
    allowed = list(schema["properties"])
    for key in value:
        if key not in allowed:
            hint = _home_of_key(path, key, value, root)
            problems.add((*path, key), _unknown_key(path, key, allowed, hint))


def _unknown_key(path: KeyPath, key: str, allowed: Sequence[str], hint: str = "") -> str:
    guess = "" if hint else _did_you_mean(key, allowed)
    return (
        f"Unknown key {_show(key)}{_under(path)}.{hint or guess} "
        f"Allowed {'here' if path else 'at the top level'}: {', '.join(allowed)}."
    )


def _home_of_key(path: KeyPath, key: str, value: Mapping[str, Any], root: Schema) -> str:
    """Say where a key belongs that is known, but not here; empty if it is known nowhere."""
    if len(path) == 2 and path[0] in NAMED_MAPS:
        entry = _effective(root["properties"][path[0]]["additionalProperties"], None, root)
        branches = _branches(entry, root)
        kinds = [kind for kind, branch in branches.items() if key in branch["properties"]]
        if kinds and "kind" in value:
            return f" It belongs to the kind {' or '.join(kinds)}; this one is {value['kind']}."
    last = key.rsplit(".", 1)[-1]
    homes = [
        section
        for section, node in root["properties"].items()
        if last in _effective(node, None, root).get("properties", {})
    ]
    if not homes:
        return ""
    if path:
        own = homes == ["train"] and path[0] in {"tasks", "schemes"}
        return f" It belongs under {_quoted([_dotted((*path, 'train'))] if own else homes)}."
    # --config sets top-level keys only: the usual reason why a key stands too high.
    return (
        f" It belongs under {_quoted(homes)}: write {homes[0]}: {{{last}: ...}} in a YAML file "
        "and pass that with --configfile."
    )


def _branches(entry: Schema, root: Schema) -> dict[str, dict[str, Any]]:
    """Schemas of the kinds of an entry."""
    return {
        rule["if"]["properties"]["kind"]["const"]: _effective(rule["then"], None, root)
        for rule in entry.get("allOf", [])
    }


def _explain_missing_keys(
    path: KeyPath, config: dict[str, Any], root: Schema, problems: _Problems
) -> None:
    value, schema = _at(path, config, root)
    branches = _branches(schema, root)
    missing = [key for key in schema["required"] if key not in value]
    if branches and "kind" not in value:
        # Without a kind, only the keys that no kind has are known to be wrong.
        known = list(dict.fromkeys(key for b in branches.values() for key in b["properties"]))
        for key in value:
            if key not in known:
                problems.add((*path, key), _unknown_key(path, key, known))
        allowed = f"one of {', '.join(branches)}"
        missing = ["kind"]
    for key in missing:
        if not any(_closest(other, [key]) for other in value if other not in schema["properties"]):
            child = _effective(schema["properties"][key], None, root)
            meaning = allowed if branches and key == "kind" else _allowed(child, root)
            about = f" ({child['description'].rstrip('.')})" if "description" in child else ""
            problems.add(
                (*path, key),
                f"The mandatory key {_show(key)} is missing{_under(path)}{about}: "
                f"add {_dotted((*path, key))}, {meaning}.",
            )


def _explain_value(path: KeyPath, value: Any, schema: Schema, root: Schema) -> str:  # noqa: ANN401
    """Sentence about a value that is not allowed."""
    name, types = _dotted(path), _types(schema)
    must_be = f"but must be {_allowed(schema, root)}"
    if "default" in schema and schema["default"] not in ({}, []):
        must_be += f" (default {_show(schema['default'])})"
    if value is None:
        return f"{name} is empty (null), {must_be}."
    if isinstance(value, str):
        return _explain_text(name, value, schema, must_be)
    if isinstance(value, list) and "array" in types:
        repeated = [item for n, item in enumerate(value) if item in value[:n]]
        if repeated and schema.get("uniqueItems"):
            return f"{name} lists {_show(repeated[0])} more than once: keep one."
        return f"{name} is {_show(value)} ({_count(len(value), 'entry')}), {must_be}."
    if value == {} and "object" in types:
        return f"{name} has no entry left, {must_be}: define at least one."
    fault = f"{name} is {_show(value)}"
    if isinstance(value, list | dict):
        return f"{fault}, {must_be}."
    if "array" in types and "string" not in types:
        return f"{fault}, {must_be}: write [{_show(value)}]."
    if isinstance(value, bool) and "string" in types:
        return (
            f"{fault}, {must_be}: YAML reads words such as Yes, No, On and Off as true and false; "
            "put the word in quotes."
        )
    if isinstance(value, bool):
        return f"{fault}, which is no number, {must_be}."
    if types == ["string"] and "enum" not in schema:
        return f"{fault}, {must_be}: put it in quotes if it is meant as text."
    return f"{fault}, {must_be}."


def _explain_text(name: str, value: str, schema: Schema, must_be: str) -> str:
    """Sentence about a text that is not allowed, most often a number that YAML took for a text."""
    types, word = set(_types(schema)), value.strip().lower()
    fault = f"{name} is the text {_show(value)}, {must_be}"
    number = _as_number(value)
    if number is not None and types & {"integer", "number"}:
        if not re.fullmatch(r"[-+]?[0-9]+(\.[0-9]*)?", word):
            return f"{fault}: YAML reads numbers like this as text; write {_spellings(number)}."
        return (
            f"{fault}: write {word} without quotes. (After --config, what stands inside a list or "
            "a mapping is always text: put it into a YAML file and pass that with --configfile.)"
        )
    if types == {"boolean"} and word in {"true", "false", "yes", "no", "on", "off"}:
        meant = "true" if word in {"true", "yes", "on"} else "false"
        return (
            f"{fault}: {_show(value)} is text; write {meant.title()} after --config, {meant} "
            "without quotes in a file."
        )
    if types == {"array"}:
        return f"{fault}: write [{value}{', ...' if schema.get('minItems', 0) > 1 else ''}]."
    if "string" in types:
        choices = [*schema.get("enum", []), *schema.get("examples", [])]
        return f"{name} is {_show(value)}, {must_be}.{_did_you_mean(value, choices)}"
    return f"{fault}."


def _as_number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _spellings(number: float) -> str:
    """Ways to write a number that YAML 1.1 reads as one."""
    if number == int(number) and abs(number) < 1e15:
        return str(int(number))
    mantissa, exponent = f"{number:.15e}".split("e")
    mantissa = mantissa.rstrip("0")
    scientific = f"{mantissa}{'0' if mantissa.endswith('.') else ''}e{int(exponent):+d}"
    digits = max(0, len(mantissa.split(".")[1]) - int(exponent))
    decimal = f"{number:.{digits}f}"
    return f"{decimal} or {scientific}" if len(decimal) < 20 else scientific


def _allowed(schema: Schema, root: Schema) -> str:
    """Say what a schema allows."""
    types = [name for name in _types(schema) if name != "null"]
    if "x-allowed" in schema:
        return str(schema["x-allowed"])
    if "enum" in schema:
        choices = [str(choice) for choice in schema["enum"]]
        return choices[0] if len(choices) == 1 else f"one of {', '.join(choices)}"
    if types == ["boolean"]:
        return "true or false"
    if types and types[0] in {"integer", "number"}:
        return ("a whole number" if types[0] == "integer" else "a number") + _range(schema)
    if types == ["array"]:
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        size = f" of {least}" if least == most else f" of at least {least}" if least else ""
        different = " different" if schema.get("uniqueItems") and least != 1 else ""
        items = _allowed(_effective(schema.get("items", {}), None, root), root)
        entries = "" if not size else " entry" if least == 1 else f"{different} entries"
        return f"a list{size}{entries}, each {items}"
    if "allOf" in schema:
        return f"a mapping with the key kind (one of {', '.join(_branches(schema, root))}) and more"
    if types == ["object"]:
        keys = list(schema.get("properties", {}))
        keys = keys or _effective(schema.get("propertyNames", {}), None, root).get("enum", [])
        return (
            f"a mapping with the keys {', '.join(keys)}"
            if keys
            else "a mapping from names to settings"
        )
    return "non-empty text" if schema.get("minLength") else "text"


def _range(schema: Schema) -> str:
    lower, upper = schema.get("minimum"), schema.get("maximum")
    if lower is not None and upper is not None:
        return f" from {lower} to {upper}"
    bounds = [
        f"{words} {schema[key]}"
        for key, words in (
            ("minimum", "of at least"),
            ("exclusiveMinimum", "greater than"),
            ("maximum", "at most"),
            ("exclusiveMaximum", "less than"),
        )
        if key in schema
    ]
    return f" {' and '.join(bounds)}" if bounds else ""


# --- faults between keys --------------------------------------------------------------------------


def _entries(config: Mapping[str, Any], section: str) -> dict[str, Any]:
    entries = config.get(section)
    return entries if isinstance(entries, dict) else {}


def _check_names(config: Mapping[str, Any], problems: _Problems) -> None:
    """Names that the schema allows but the file system or the results folder does not."""
    for section in NAMED_MAPS:
        spellings: dict[str, str] = {}
        for name in _entries(config, section):
            lower = name.lower()
            taken = lower in DEVICE_NAMES or (
                section == "datasets" and lower in RESERVED_DATASET_NAMES
            )
            if taken:
                problems.add(
                    (section, name),
                    f"The name {name!r} under {section!r} is reserved: choose another one, such as "
                    f"my_{lower}.",
                )
            elif lower in spellings:
                problems.add(
                    (section, name),
                    f"The names {spellings[lower]!r} and {name!r} under {section!r} differ by case "
                    "only and would be one folder on many computers: rename one.",
                )
            spellings.setdefault(lower, name)


def _check_dataset(
    config: Mapping[str, Any], removed: Mapping[str, list[str]], problems: _Problems
) -> None:
    """`dataset` must be one of `datasets`."""
    wanted, known = config.get("dataset"), list(_entries(config, "datasets"))
    if "dataset" not in config or not known or wanted in known:
        return
    why = "must be the name of an entry of `datasets`"
    if wanted in removed.get("datasets", []):
        why = "its entry under `datasets` is null, which removes it"
    problems.add(
        ("dataset",),
        f"dataset is {_show(wanted)}, but {why}."
        f"{_did_you_mean(str(wanted), known)} Defined: {', '.join(known)}.",
    )


def _check_classes(config: Mapping[str, Any], problems: _Problems) -> None:
    """Compare the tasks' classes with those to which the data set is restricted."""
    name = config["dataset"]
    listed = config["datasets"][name].get("classes")
    for task, settings in config["tasks"].items():
        for wanted in settings["classes"] if listed else []:
            if wanted not in listed:
                problems.add(
                    ("tasks", task, "classes"),
                    f"tasks.{task}.classes names {_show(wanted)}, which datasets.{name}.classes "
                    f"leaves out.{_did_you_mean(wanted, listed)} Add it there, or set tasks.{task} "
                    "to null to leave this task out.",
                )


def _check_fractions(config: Mapping[str, Any], problems: _Problems) -> None:
    """Test and validation part must leave something to train on."""
    for name, scheme in config["schemes"].items():
        validation = scheme["validation_fraction"]
        if scheme["kind"] == "stratified_kfold":
            test, key = 1 / scheme["folds"], "folds"
            words = f"1/{scheme['folds']} of the images for the test part"
        else:
            test, key = scheme["test_fraction"], "test_fraction"
            words = f"test_fraction {test}"
        if test + validation > 1 - 1e-9:  # 0.7 + 0.3 may come out a hair below 1
            problems.add(
                ("schemes", name, "validation_fraction"),
                f"schemes.{name}.validation_fraction is {validation}, which with {words} leaves "
                f"nothing to train on: lower it, or change schemes.{name}.{key}.",
            )


# --- asking the resolved configuration ------------------------------------------------------------


def train_settings(config: Mapping[str, Any], task: str, scheme: str) -> dict[str, Any]:
    """Merge the settings of training for one task and scheme.

    Parameters
    ----------
    config : mapping
        From `resolve_configuration`.
    task, scheme : str
        Keys of ``tasks`` and ``schemes``.

    Returns
    -------
    dict
        ``train``, overridden by the task's and then by the scheme's own ``train``; sorted by key,
        so that equal settings have equal text.

    Raises
    ------
    ConfigurationError
        If there is no such task or scheme.
    """
    merged = dict(config["train"])
    for section, name in (("tasks", task), ("schemes", scheme)):
        if name not in config[section]:
            raise ConfigurationError(
                f"{section} has no entry {_show(name)}.{_did_you_mean(name, config[section])} "
                f"Defined: {', '.join(config[section])}."
            )
        merged.update(config[section][name].get("train") or {})
    return copy.deepcopy(dict(sorted(merged.items())))


def fold_count(scheme_settings: Mapping[str, Any]) -> int:
    """Count the folds of a scheme: 1 for a holdout, else its repeats or folds.

    Parameters
    ----------
    scheme_settings : mapping
        Entry of ``schemes`` in the resolved configuration.

    Raises
    ------
    ConfigurationError
        If its kind is unknown.
    """
    kind = scheme_settings["kind"]
    if kind == "holdout":
        return 1
    if kind == "random_subsample":
        return int(scheme_settings["repeats"])
    if kind == "stratified_kfold":
        return int(scheme_settings["folds"])
    raise ConfigurationError(
        f"The kind of a scheme is {_show(kind)}, but must be one of holdout, random_subsample, "
        "stratified_kfold."
    )


def check_against_images(
    config: Mapping[str, Any], images_per_class: Mapping[str, int], where: str
) -> None:
    """Refuse tasks and schemes for which the data set has no or too few images.

    Grouping is not known yet: `splits` may still refuse a division that groups make impossible.

    Parameters
    ----------
    config : mapping
        From `resolve_configuration`.
    images_per_class : mapping of str to int
        Images found, by class.
    where : str
        Folder or file in which the images were looked for, for the messages.

    Raises
    ------
    ConfigurationError
        With every problem found, the first ten in words.
    """
    problems = _Problems()
    found = ", ".join(f"{name} ({n})" for name, n in images_per_class.items()) or "none"
    for task, settings in config["tasks"].items():
        way_out = f"or set tasks.{task} to null to leave this task out."
        complete = True
        for wanted in settings["classes"]:
            name = f"tasks.{task}.classes names {_show(wanted)}"
            if wanted not in images_per_class:
                guess = _did_you_mean(wanted, images_per_class)
                message = (
                    f"{name}, a class that {where} does not have.{guess} Classes found: {found}. "
                    f"Correct the name, {way_out}"
                )
            elif images_per_class[wanted] < 1:
                message = f"{name}, a class without any image in {where}. Add images, {way_out}"
            else:
                continue
            complete = False
            problems.add(("tasks", task, wanted), message)
        if complete:
            counts = {name: images_per_class[name] for name in settings["classes"]}
            for scheme, design in config["schemes"].items():
                message = _too_few_images(f"schemes.{scheme}", design, counts, where)
                if message:
                    problems.add(
                        ("schemes", scheme, message),
                        f"{message}, or set schemes.{scheme} or tasks.{task} to null.",
                    )
    problems.raise_any()


def _too_few_images(
    scheme: str, design: Mapping[str, Any], counts: Mapping[str, int], where: str
) -> str:
    """Why a scheme cannot divide these images, without the full stop; empty if it can."""
    smallest = min(counts, key=lambda name: counts[name])
    n = counts[smallest]
    have = f"the class {_show(smallest)} has {_count(n, 'image')} in {where}"
    validation = part_size(n, design["validation_fraction"])
    if design["kind"] == "stratified_kfold":
        folds = design["folds"]
        if folds > n:
            return f"{scheme}.folds is {folds}, but {have}: lower it to at most {n}, add images"
        test = math.ceil(n / folds)
    else:
        if design["kind"] == "random_subsample":
            wanted = design["images_per_class"]
            if wanted > n:
                return (
                    f"{scheme}.images_per_class is {wanted}, but {have}: lower it to at most {n}, "
                    "add images"
                )
            n = wanted
            have = f"{scheme}.images_per_class is {n}"
            validation = part_size(n, design["validation_fraction"])
        test = part_size(n, design["test_fraction"])
        if test < 1:
            return _empty_part(scheme, "test", design["test_fraction"], n, have)
    if design["validation_fraction"] and validation < 1:
        return _empty_part(scheme, "validation", design["validation_fraction"], n, have)
    if n - test - validation < 1:
        return (
            f"{scheme} leaves no image of a class to train on ({test} for the test part, "
            f"{validation} for validation), as {have}: make these parts smaller, add images"
        )
    return ""


def _empty_part(scheme: str, part: str, fraction: float, n: int, have: str) -> str:
    enough = math.ceil(0.5 / n * 1000) / 1000
    return (
        f"{scheme}.{part}_fraction is {fraction}, which gives a {part} part without any image of a "
        f"class, as {have}: raise it to {enough:g} or more, add images"
    )


def part_size(n_images: int, fraction: float) -> int:
    """Count the images of a class in a part: the fraction, rounded half up as in `splits`."""
    return math.floor(n_images * fraction + 0.5)


# --- words ----------------------------------------------------------------------------------------


def _dotted(path: Iterable[str | int]) -> str:
    """Path of a key as it is spoken of: ``tasks.two_class.classes[0]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            shown = part if part.isprintable() else repr(part)
            text += f".{shown}" if text else shown
    return text


def _under(path: KeyPath) -> str:
    return f" under {_dotted(path)!r}" if path else " at the top level"


def _show(value: object) -> str:
    """Value as YAML writes it, on one line and not too long."""
    if value is None:
        text = "null"
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, float) and not math.isfinite(value):
        text = ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    elif isinstance(value, str):
        text = repr(value)
    elif isinstance(value, Mapping):
        text = "{" + ", ".join(f"{key}: {_show(item)}" for key, item in value.items()) + "}"
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(_show(item) for item in value) + "]"
    else:
        text = str(value)
    if len(text) > MOST_CHARACTERS_SHOWN:
        text = text[: MOST_CHARACTERS_SHOWN - 3] + "..."
    return text


def _count(n: int, noun: str) -> str:
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{n or 'no'} {noun if n == 1 else plural}"


def _quoted(names: Iterable[str]) -> str:
    return " or ".join(repr(name) for name in names)


def _closest(word: str, choices: Iterable[str]) -> str:
    """Find the choice that a misspelt word most likely means; empty if none is near."""
    by_lower = {str(choice).lower(): str(choice) for choice in choices}
    matches = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[matches[0]] if matches else ""


def _did_you_mean(word: str, choices: Iterable[str]) -> str:
    match = _closest(word, choices)
    return f" Did you mean {match!r}?" if match else ""
