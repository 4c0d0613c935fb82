"""Problems of a configuration: how they are collected, and how keys and values are spoken of."""

import difflib
import math
from collections.abc import Iterable, Mapping

from workflow_scripts.cxrcam.errors import InputError

# More would scroll the first one, often the cause of the others, off the screen.
MOST_PROBLEMS_SHOWN = 10
# A longer value would hide the sentence that it stands in.
MOST_CHARACTERS_SHOWN = 80
MOST_NAMES_SHOWN = 20  # lists of findings have hundreds of combinations

KeyPath = tuple[str | int, ...]


class ConfigurationError(InputError):
    """The configuration cannot be used; one sentence a problem, each on a line of its own."""


class Problems:
    """Problems by the key that they are about: the first one of a key is the telling one."""

    def __init__(self) -> None:
        self._messages: dict[KeyPath, str] = {}

    def add(self, path: KeyPath, message: str) -> None:
        """Note a problem, unless its key has one already."""
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


def dotted(path: Iterable[str | int]) -> str:
    """Path of a key as it is spoken of: ``tasks.two_class.classes[0]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            shown = part if part.isprintable() else repr(part)
            text += f".{shown}" if text else shown
    return text


def under(path: KeyPath) -> str:
    """Where a key stands, given the path of the mapping that it stands in."""
    return f" under {dotted(path)!r}" if path else " at the top level"


def show(value: object) -> str:
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
        text = "{" + ", ".join(f"{key}: {show(item)}" for key, item in value.items()) + "}"
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(show(item) for item in value) + "]"
    else:
        text = str(value)
    if len(text) > MOST_CHARACTERS_SHOWN:
        text = text[: MOST_CHARACTERS_SHOWN - 3] + "..."
    return text


def closest(word: str, choices: Iterable[str]) -> str:
    """Find the choice that a misspelt word most likely means; empty if none is near."""
    by_lower = {str(choice).lower(): str(choice) for choice in choices}
    matches = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[matches[0]] if matches else ""


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Question to append to a sentence, with a blank before it; empty if no choice is near."""
    match = closest(word, choices)
    return f" Did you mean {match!r}?" if match else ""


def show_counts(counts: Mapping[str, int]) -> str:
    """Names with their numbers; of very many, the commonest."""
    names = list(counts)
    if len(names) > MOST_NAMES_SHOWN:
        names = sorted(names, key=lambda name: -counts[name])[:MOST_NAMES_SHOWN]
    told = ", ".join(f"{name} ({counts[name]})" for name in names) or "none"
    more = len(counts) - len(names)
    return f"{told} and {more} more" if more else told
