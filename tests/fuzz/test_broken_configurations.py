"""Configurations: read as meant, or refused in words; nothing runs, nothing hangs."""

import copy
import datetime
import itertools
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import corpus
from workflow_scripts.cxrcam.configuration.resolution import (
    ConfigurationError,
    load_schema,
    refuse_unclear_yaml,
    resolve_configuration,
)

ROOT = Path(__file__).parents[2]
SCHEMA = load_schema(ROOT / "schemas/config.schema.yaml")
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))


def assert_readable(message: str) -> None:
    """Lines of text for a person: nothing that a terminal would obey, no inner workings."""
    for line in message.split("\n"):
        assert line.isprintable(), repr(line)
        assert len(line) < 2_000, line
    for word in ("Traceback", "object at 0x", "jsonschema", "RecursionError", "OverflowError"):
        assert word not in message, message


def outcome(config: Any) -> dict[str, Any] | None:
    """What becomes of a configuration; None where it is refused."""
    try:
        return resolve_configuration(config, SCHEMA)
    except ConfigurationError as error:
        assert_readable(str(error))
        return None


def paths(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """Every place in a configuration, from the top down."""
    yield path
    below = enumerate(value) if isinstance(value, list) else getattr(value, "items", tuple)()
    for key, item in below:
        yield from paths(item, (*path, key))


def replaced(config: dict[str, Any], path: tuple, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(config)
    here: Any = changed
    for key in path[:-1]:
        here = here[key]
    here[path[-1]] = value
    return changed


FULL = resolve_configuration(CONFIG, SCHEMA)


def test_any_value_at_any_place_is_refused_or_means_what_it_says(tried, every) -> None:
    # The number of values and the step have no common divisor: each value comes at each depth.
    places = itertools.product(islice(paths(FULL), 1, None), corpus.VALUES)
    for path, value in islice(places, 0, None, every):
        resolved = outcome(replaced(FULL, path, value))
        tried("configuration: values at every place")
        if resolved is None:
            continue
        here: Any = resolved
        for key in path:
            here = here.get(key, "removed") if isinstance(here, dict) else here[key]
        # None removes an entry, {} is filled up with defaults.
        filled = isinstance(value, dict) and isinstance(here, dict)
        assert here == value or (value is None and here == "removed") or filled, (path, value)
        assert type(here) is not str or type(value) is str or value is None, (path, value)


def test_an_unknown_key_is_refused_at_every_level(tried) -> None:
    chosen = {
        "datasets",
        "tasks",
        "schemes",
        "images_per_class",
        "left_out",
    }  # the user names these keys
    for path in paths(FULL):
        here: Any = FULL
        for key in path:
            here = here[key]
        if not isinstance(here, dict) or (path and path[-1] in chosen):
            continue
        for key in ("unknown", "__class__", "Learning_Rate", "a b", "=1+1", "<b>"):
            with pytest.raises(
                ConfigurationError, match=r"Unknown key|cannot be used|class"
            ) as caught:
                resolve_configuration(replaced(FULL, (*path, key), 1), SCHEMA)
            assert_readable(str(caught.value))
            tried("configuration: unknown keys")


@pytest.mark.parametrize("name", corpus.NAMES)
@pytest.mark.parametrize("section", ["datasets", "tasks", "schemes"])
def test_names_that_become_folders_are_letters_digits_and_underscores(section, name, tried) -> None:
    tried("configuration: names")
    entry = copy.deepcopy(next(iter(FULL[section].values())))
    resolved = outcome(replaced(FULL, (section, name), entry))
    plain = bool(re.fullmatch("[A-Za-z][A-Za-z0-9_]{0,63}", name))
    assert (resolved is not None) == plain


def test_yaml_of_every_kind_is_read_or_refused(tmp_path, tried) -> None:
    file = tmp_path / "config.yaml"
    for name, text, words in corpus.yaml_texts():
        file.write_text(text, encoding="utf-8", newline="")
        tried("configuration: YAML")
        try:
            refuse_unclear_yaml(file)
        except ConfigurationError as error:
            assert_readable(str(error))
            assert words and words in str(error), f"{name}: {error}"
            continue
        assert not words, f"{name} was accepted"
        # Snakemake reads it like this.
        try:
            loaded = yaml.safe_load(text)
        except (yaml.YAMLError, RecursionError):
            continue
        outcome(loaded if isinstance(loaded, dict) else {"a": loaded})
    assert not Path("harmed").exists()


def test_files_that_are_no_text_are_refused(tmp_path, tried) -> None:
    text = (ROOT / "config.yaml").read_bytes()
    contents = [text.decode().encode("utf-16"), b"\xff\xfe\xfd", bytes(range(256)), b"\0" * 100]
    contents += [text[:n] for n in range(0, len(text), 100)]
    for content in contents:
        (tmp_path / "c.yaml").write_bytes(content)
        tried("configuration: YAML")
        try:
            refuse_unclear_yaml(tmp_path / "c.yaml")
        except ConfigurationError as error:
            assert_readable(str(error))
    for path in (tmp_path, tmp_path / "absent.yaml"):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            refuse_unclear_yaml(path)


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.dates(datetime.date(1, 1, 1))
    | st.binary(max_size=4)
)
keys = st.sampled_from([*FULL, *FULL["train"], *FULL["image"], "kind", "x"]) | st.text(max_size=5)
values = st.recursive(
    scalars,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(keys, below, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(keys, values, max_size=6))
def test_whatever_stands_in_a_configuration_it_is_refused_in_words(changes: dict) -> None:
    outcome(changes)
    outcome(FULL | changes)
