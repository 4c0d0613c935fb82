"""What Snakemake says of its jobs in the terminal, without walls of file names and settings."""

import ast
import logging
import re
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any, Final

FILES_NAMED: Final = 3  # of a list; a job that gathers results has a hundred and more
CHANGES_NAMED: Final = 6
VALUE_CHARACTERS: Final = 60

# As Snakemake 9 words them (`Reason` in its jobs.py, `ParamsChange` in its persistence); with other
# words, nothing would be shortened.
FILE_LISTS: Final = re.compile(
    r"((?:Missing output|Incomplete output|Updated input) files|Input files updated by another job)"
    r": ([^;]*)"
)
PARAMS: Final = re.compile(
    r"(Params have changed since last execution): "
    r"Union of exclusive params before and now across all output: "
    r"before: (.*) now: (.*?) (?=$|; Software environment definition has changed)",
    re.DOTALL,
)
NOTHING: Final = "<nothing exclusive>"

#: How `code` in rules/common.smk begins its fingerprints, and what all fingerprints are.
CODE: Final = re.compile(r"(code of \S+): [0-9a-f]{16}")
FINGERPRINT: Final = re.compile(r"[0-9a-f]{16}")

ABSENT: Final = object()


def shortened_reason(reason: str) -> str:
    """Why a job runs, with the first files of each list and the settings that differ.

    Parameters
    ----------
    reason : str
        As Snakemake words it.

    Returns
    -------
    str
        All else stays, and so do params that cannot be understood.
    """

    def files(found: re.Match[str]) -> str:
        named = found[2].split(", ")
        return f"{found[1]}: {_first(named, FILES_NAMED)}"

    def params(found: re.Match[str]) -> str:
        try:
            changes = changed_params(_values(found[2]), _values(found[3]))
        except (ValueError, SyntaxError, RecursionError, MemoryError):  # no literals of Python
            return found[0]
        return f"{found[1]}: {_first(changes, CHANGES_NAMED)}"

    return PARAMS.sub(params, FILE_LISTS.sub(files, reason))


def changed_params(old: list[Any], new: list[Any]) -> list[str]:
    """What differs between the params of a job, of which Snakemake keeps no names.

    Parameters
    ----------
    old, new : list
        The values that were there only before, and those that are there only now.

    Returns
    -------
    list of str
        ``epochs: 6 → 7`` for each entry of mappings that differs, and what else there is.
    """
    changes: list[str] = []
    old, new = list(old), list(new)
    for value in [value for value in new if isinstance(value, Mapping)]:
        partners = [other for other in old if isinstance(other, Mapping)]
        partner = max(partners, key=lambda other: len(other.keys() & value.keys()), default=None)
        if partner is not None:
            old.remove(partner)
            new.remove(value)
            changes += _differing_entries(partner, value)
    for pattern, said in ((CODE, r"\1 or a library's version"), (FINGERPRINT, "files behind it")):
        before, now = ([v for v in values if _is(pattern, v)] for values in (old, new))
        changes += dict.fromkeys(pattern.sub(said, value) for value in now or before)
        old, new = ([v for v in values if not _is(pattern, v)] for values in (old, new))
    pairs = zip_longest(old, new, fillvalue=ABSENT)
    return changes + [f"{_brief(before)} → {_brief(now)}" for before, now in pairs]


def _is(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _differing_entries(old: Mapping[Any, Any], new: Mapping[Any, Any]) -> list[str]:
    """Entries that differ, at any depth, as ``train.epochs: 6 → 7``."""
    before, now = _flat(old), _flat(new)
    changes = []
    for name in [*now, *(name for name in before if name not in now)]:
        values = [entries.get(name, ABSENT) for entries in (before, now)]
        if values[0] != values[1]:
            code = next((CODE.sub(r"\1", v) for v in values if _is(CODE, v)), None)
            changes.append(code or f"{name}: {_brief(values[0])} → {_brief(values[1])}")
    return changes


def _flat(value: Mapping[Any, Any], above: str = "") -> dict[str, Any]:
    """Entries of a mapping and of those in it, by their way from the top."""
    entries: dict[str, Any] = {}
    for key, below in value.items():
        if isinstance(below, Mapping) and below:
            entries |= _flat(below, f"{above}{key}.")
        else:
            entries[f"{above}{key}"] = below
    return entries


def _values(text: str) -> list[Any]:
    """Params as Snakemake lists them."""
    values: list[Any] = [] if text == NOTHING else ast.literal_eval(f"[{text}]")
    return values


def _brief(value: object) -> str:
    """A value in few characters."""
    if value is ABSENT:
        return "nothing"
    text = repr(value)
    return text if len(text) <= VALUE_CHARACTERS else f"{text[: VALUE_CHARACTERS - 3]}..."


def _first(items: list[str], n: int) -> str:
    """The first n, and how many more there are."""
    more = len(items) - n
    return f"{', '.join(items[:n])}{f' and {more} more' * (more > 0)}"


def shorten_reasons(record: logging.LogRecord) -> bool:
    """Shorten the reason that a record about a job holds; a filter that lets everything pass."""
    reason = getattr(record, "reason", None)
    if isinstance(reason, str):
        record.reason = shortened_reason(reason)
    return True
