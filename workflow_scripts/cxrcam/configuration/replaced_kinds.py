"""Entries that a later configuration file makes of another kind.

Snakemake merges configuration files key by key. An overlay that says ``kind: class_folders`` of a
data set that ``config.yaml`` describes as a manifest would inherit its ``path``, which the user
never wrote.
"""

from collections.abc import Mapping, Sequence
from typing import Any

SECTIONS = ("datasets", "schemes")


def without_replaced_kinds(
    merged: Mapping[str, Any], layers: Sequence[Mapping[str, Any] | None]
) -> dict[str, Any]:
    """Leave out what entries of data sets and schemes inherit from an entry of another kind.

    Parameters
    ----------
    merged : mapping
        The configuration as Snakemake merged it; it stays as it is.
    layers : sequence of mapping or None
        What each file, and then the command line, says of it, in the order of merging.

    Returns
    -------
    dict
        `merged`, without keys that only layers before the last change of ``kind`` set.
    """
    result = dict(merged)
    for section in SECTIONS:
        entries = merged.get(section)
        if not isinstance(entries, Mapping):
            continue
        result[section] = {
            name: _of_last_kind(entry, [_entry(layer, section, name) for layer in layers])
            for name, entry in entries.items()
        }
    return result


def _entry(layer: Mapping[str, Any] | None, section: str, name: str) -> Mapping[str, Any]:
    """Entry of a layer; empty where it says nothing of it."""
    for key in (section, name):
        layer = layer.get(key) if isinstance(layer, Mapping) else None
    return layer if isinstance(layer, Mapping) else {}


def _of_last_kind(entry: Any, given: Sequence[Mapping[str, Any]]) -> Any:  # noqa: ANN401
    kind, inherited, own = None, set[str](), set[str]()
    for layer in given:
        if "kind" in layer and layer["kind"] != kind:
            if kind is not None:
                inherited, own = inherited | own, set()
            kind = layer["kind"]
        own |= set(layer)
    dropped = inherited - own
    if not isinstance(entry, Mapping) or not dropped:
        return entry
    return {key: value for key, value in entry.items() if key not in dropped}
