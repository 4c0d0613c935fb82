"""The configuration: read, checked, completed with defaults, and asked.

Imported whenever Snakemake reads the workflow (in every cluster job again), so this module and
those that it imports use the standard library, PyYAML and jsonschema only. Types, bounds and
defaults stand in ``schemas/config.schema.yaml``, which `schema` reads; `checks` says what a schema
cannot say, and `schema_messages` words what a schema refuses.
"""

import copy
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from workflow_scripts.cxrcam.configuration.checks import (
    LUNG_INPUTS,
    NAMED_MAPS,
    check_against_images,
    check_classes,
    check_dataset,
    check_external,
    check_external_images,
    check_masks,
    check_names,
    check_parts,
    check_paths,
    check_schemes,
    entries,
    missing_classes,
)
from workflow_scripts.cxrcam.configuration.findings import (
    check_findings,
    classes_of,
    with_questions,
)
from workflow_scripts.cxrcam.configuration.predict_checks import check_predict
from workflow_scripts.cxrcam.configuration.problems import (
    ConfigurationError,
    KeyPath,
    Problems,
    did_you_mean,
    dotted,
    show,
    under,
)
from workflow_scripts.cxrcam.configuration.recipe_checks import check_recipes, check_validation
from workflow_scripts.cxrcam.configuration.schema import Schema, complete, expand
from workflow_scripts.cxrcam.configuration.schema_messages import explain
from workflow_scripts.cxrcam.configuration.several_sources import (
    check_union_images,
    check_unions,
    held_out_values,
)
from workflow_scripts.cxrcam.configuration.stages import STAGES
from workflow_scripts.cxrcam.configuration.subgroups import check_subgroups, unknown_traits
from workflow_scripts.cxrcam.terms import WHOLE

__all__ = [
    "LUNG_INPUTS",
    "WHOLE",
    "ConfigurationError",
    "check_against_images",
    "check_external_images",
    "check_masks",
    "check_parts",
    "check_subgroups",
    "check_union_images",
    "division",
    "experiments",
    "fold_count",
    "held_out_values",
    "input_part",
    "load_schema",
    "missing_classes",
    "model_settings",
    "networks_to_find",
    "read_yaml",
    "refuse_unclear_yaml",
    "removed_entries",
    "resolve_configuration",
    "result_settings",
    "train_settings",
    "unknown_traits",
]

# No configuration has more entries, aliases written out, or more levels. A few lines of aliases of
# aliases stand for billions of entries, and would take all memory when they are copied.
MOST_ENTRIES = 100_000
MOST_LEVELS = 50

# libyaml's loader where PyYAML was built with it: ten times as fast as the Python one.
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


# --- reading --------------------------------------------------------------------------------------


def load_schema(path: Path) -> dict[str, Any]:
    """Read the schema of the configuration, definitions put in the place of references.

    Raises
    ------
    ConfigurationError
        If the file is missing, no YAML, or no mapping.
    """
    schema = _parse(path, yaml.load)
    if not isinstance(schema, dict):
        raise ConfigurationError(f"The schema {str(path)!r} is not a mapping: restore the file.")
    return expand(schema)


def read_yaml(path: Path) -> Any:  # noqa: ANN401
    """Content of a configuration file; `ConfigurationError` if it cannot be read as YAML."""
    return _parse(path, yaml.load)


def refuse_unclear_yaml(path: Path) -> None:
    """Refuse a file that is not read as it is written: repeated keys, octal numbers.

    Of a key that stands twice in one mapping loaders silently keep the last.

    Raises
    ------
    ConfigurationError
        If a key is repeated or a number is read otherwise than written, with the lines; if the file
        cannot be read as YAML, contains itself or is too large.
    """
    problems = Problems()
    # The node tree, unlike the loaded mapping, still has every key and its line.
    try:
        root = _parse(path, yaml.compose)
        _check_extent(root, path, {})
    except RecursionError:
        raise ConfigurationError(
            f"{str(path)!r} has more than {MOST_LEVELS} levels: make it flatter."
        ) from None
    for key, first, line in _repeated_keys(root, (), set()):
        problems.add(
            (*key, line),
            f"{path} sets {dotted(key)} twice (line {line}, first on line {first}): keep one.",
        )
    for text, value, line in _odd_numbers(root):
        problems.add(
            (str(path), line),
            f"{path} has {text} on line {line}, which YAML reads as {value}: write {value}, or "
            f"'{text}' in quotes if it is a name.",
        )
    problems.raise_any()


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


def _check_extent(
    node: Any,  # noqa: ANN401
    path: Path,
    known: dict[int, tuple[int, int] | None],
) -> tuple[int, int]:
    """Entries and levels below a node, aliases written out; refuse a file with too many of either.

    `known` holds them for each node that is done, None for those that are being looked into.
    """
    if not isinstance(node, yaml.CollectionNode):
        return 1, 1
    line = node.start_mark.line + 1
    if id(node) in known:
        extent = known[id(node)]
        if extent is None:
            raise ConfigurationError(
                f"{str(path)!r} has an entry on line {line} that contains itself through an alias "
                "(*): write it out."
            )
        return extent
    known[id(node)] = None
    entries_below, levels = 1, 1
    for item in node.value:
        for part in item if isinstance(item, tuple) else (item,):
            size, depth = _check_extent(part, path, known)
            entries_below, levels = entries_below + size, max(levels, depth + 1)
    if entries_below > MOST_ENTRIES or levels > MOST_LEVELS:
        raise ConfigurationError(
            f"{str(path)!r} is too large from line {line} on: it may have {MOST_ENTRIES} entries, "
            f"where an alias (*) counts each time that it is used, and {MOST_LEVELS} levels."
        )
    known[id(node)] = entries_below, levels
    return entries_below, levels


def _repeated_keys(
    node: Any,  # noqa: ANN401
    path: KeyPath,
    visited: set[int],
) -> Iterator[tuple[KeyPath, int, int]]:
    """Path of each repeated key, and the lines on which it stands first and again."""
    if id(node) in visited:  # an alias: its anchor was looked at already
        return
    visited.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            yield from _repeated_keys(item, (*path, position), visited)
    elif isinstance(node, yaml.MappingNode):
        first_lines: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            line = key.start_mark.line + 1
            # `<<` merges another mapping in, which may be done more than once.
            if isinstance(key, yaml.ScalarNode) and name != "<<":
                if (key.tag, name) in first_lines:
                    yield (*path, name), first_lines[key.tag, name], line
                first_lines.setdefault((key.tag, name), line)
            yield from _repeated_keys(value, (*path, name), visited)


def _odd_numbers(root: Any) -> Iterator[tuple[str, int, int]]:  # noqa: ANN401
    """Whole numbers that YAML 1.1 reads otherwise than people: 010 (octal) and 1:30 (base 60)."""
    nodes, seen = [root], set[int]()
    while nodes:
        node = nodes.pop(0)
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.CollectionNode):
            for item in node.value:
                nodes += item if isinstance(item, tuple) else (item,)
        elif isinstance(node, yaml.ScalarNode) and re.fullmatch(
            r"[-+]?(0[\d_]+|.*:.*)", node.value
        ):
            if node.tag == "tag:yaml.org,2002:int":
                yield node.value, yaml.safe_load(node.value), node.start_mark.line + 1


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
            f"The configuration is {show(config)}, but must be a mapping such as config.yaml."
        )
    problems = Problems()
    plain = _plain(config, (), problems)
    _read_seeds(plain)
    check_dataset(plain, problems)
    check_external(plain, problems)
    for section in NAMED_MAPS:
        for name in [name for name, entry in entries(plain, section).items() if entry is None]:
            del plain[section][name]
    for error in Draft202012Validator(schema).iter_errors(plain):
        explain(error, plain, schema, problems)
    check_names(plain, problems)
    check_paths(plain, problems)
    problems.raise_any()
    resolved: dict[str, Any] = complete(plain, schema)
    check_findings(resolved, problems)
    check_unions(resolved, problems)
    check_classes(resolved, problems)
    check_schemes(resolved, problems)
    problems.raise_any()
    check_validation(resolved, problems)
    check_recipes(resolved, problems)
    check_predict(resolved, experiments(with_questions(resolved)), problems)
    problems.raise_any()
    settings = resolved["datasets"][resolved["dataset"]]
    if settings["kind"] == "phantom":
        # Known before the images exist, so the fault is reported before they are drawn.
        where = f"datasets.{resolved['dataset']}.images_per_class"
        check_against_images(resolved, settings["images_per_class"], where)
    return resolved


def _plain(value: Any, path: KeyPath, problems: Problems) -> Any:  # noqa: ANN401
    """Copy dicts, lists and scalars; report what jsonschema would stumble over."""
    if isinstance(value, Mapping):
        copied = {}
        for key, item in value.items():
            if not isinstance(key, str):
                problems.add(
                    (*path, str(key)),
                    f"The key {show(key)}{under(path)} is no text: YAML reads numbers, dates and "
                    "words such as Yes, No, On and Off as something else; put it in quotes.",
                )
            elif not key.isprintable():
                problems.add(
                    (*path, key),
                    f"The key {key!r}{under(path)} contains a line break or another control "
                    "character: remove it.",
                )
            else:
                copied[key] = _plain(item, (*path, key), problems)
        return copied
    if isinstance(value, list | tuple):
        return [_plain(item, (*path, n), problems) for n, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        problems.add(path, f"{dotted(path)} is {show(value)}, but must be a finite number.")
    if isinstance(value, int) and abs(value) > sys.float_info.max:
        problems.add(
            path, f"{dotted(path)} is a number with more than 300 digits: write a smaller one."
        )
        return 0
    if isinstance(value, str) and not value.isprintable():
        problems.add(
            path,
            f"{dotted(path)} is {show(value)}, which contains a line break or another control "
            "character: write it on one line (and without | or > before it).",
        )
    return value


def _read_seeds(config: dict[str, Any]) -> None:
    """Make numbers of the seeds in ``--config seeds=[0,1]``, which Snakemake passes on as text."""
    seeds = config.get("seeds")
    if isinstance(seeds, list):
        config["seeds"] = [
            int(seed) if isinstance(seed, str) and seed.isdecimal() else seed for seed in seeds
        ]


def removed_entries(config: Mapping[str, Any]) -> dict[str, dict[str, None]]:
    """Null entries of a configuration as given: what an overlay must name to remove it again."""
    return {
        section: {name: None for name, entry in entries(config, section).items() if entry is None}
        for section in NAMED_MAPS
    }


# --- asking the resolved configuration ------------------------------------------------------------


def train_settings(config: Mapping[str, Any], task: str, scheme: str) -> dict[str, Any]:
    """Settings of training for one task and scheme.

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
                f"{section} has no entry {show(name)}.{did_you_mean(name, config[section])} "
                f"Defined: {', '.join(config[section])}."
            )
        merged |= config[section][name]["train"]
    return copy.deepcopy(dict(sorted(merged.items())))


def result_settings(config: Mapping[str, Any], task: str, scheme: str) -> dict[str, Any]:
    """Settings of training that decide its result, for one task and scheme.

    These are `train_settings` without ``gpus`` and ``sync_batch_norm`` where the mathematics does
    not depend on them: as with ``compute.device``, a model that was trained on one GPU is still
    valid when there are two. ``class_weights``, ``sampling`` and ``augment`` are left out where
    they do nothing, and of ``augment`` each key that does: models trained without know nothing of
    them.
    """
    settings = train_settings(config, task, scheme)
    if settings["gpus"] == 1 or settings["sync_batch_norm"]:
        del settings["gpus"], settings["sync_batch_norm"]
    settings["augment"] = {key: value for key, value in settings["augment"].items() if value}
    for key, nothing in (("class_weights", "none"), ("sampling", "natural"), ("augment", {})):
        if settings[key] == nothing:
            del settings[key]
    return settings


def model_settings(config: Mapping[str, Any], scheme: str) -> dict[str, Any]:
    """Merge ``model`` with the scheme's own ``model``; sorted by key.

    ``decompose`` is left out where it is null: models of classes as they are do not know of it.
    """
    merged = dict(config["model"]) | config["schemes"][scheme]["model"]
    if merged["decompose"] is None:
        del merged["decompose"]
    return dict(sorted(merged.items()))


def networks_to_find(config: Mapping[str, Any]) -> list[str]:
    """Networks that `stages` does not describe, of a resolved configuration."""
    models = [model_settings(config, scheme) for scheme in config["schemes"]]
    return sorted({model["architecture"] for model in models} - STAGES.keys())


def input_part(config: Mapping[str, Any], scheme: str) -> str:
    """What the networks of a scheme see of each image; ``whole`` unless the scheme says so."""
    return str(config["schemes"][scheme].get("input", WHOLE))


def experiments(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Pairs of task and scheme that are run, in the order of the configuration.

    Of a task with findings nothing, unless `config` is that of `with_questions`.
    """
    return [
        (task, scheme)
        for task, asked in config["tasks"].items()
        for scheme, settings in config["schemes"].items()
        if classes_of(asked) and (not settings["tasks"] or task in settings["tasks"])
    ]


def division(config: Mapping[str, Any], scheme: str) -> tuple[str, dict[str, Any]]:
    """Scheme that decides which image is used for what, and its settings.

    That is the scheme itself, or the one that a scheme of the kind ``same_splits`` names.
    """
    settings = config["schemes"][scheme]
    name = settings["of"] if settings["kind"] == "same_splits" else scheme
    return name, config["schemes"][name]


def fold_count(config: Mapping[str, Any], scheme: str) -> int:
    """Count the folds of a scheme: its repeats or folds, or 1 where there is a single division.

    Those of the kind ``leave_one_out`` follow from the images: `study.Study.fold_count`.
    """
    _, settings = division(config, scheme)
    return int(settings.get("repeats", settings.get("folds", 1)))
