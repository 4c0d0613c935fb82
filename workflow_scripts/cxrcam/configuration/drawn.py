"""Which data sets consist of drawn images, so that whatever shows their results can say so."""

from collections.abc import Mapping
from typing import Any


def is_drawn(datasets: Mapping[str, Mapping[str, Any]], name: str) -> bool:
    """Whether a data set holds phantoms, or is a union of which one part does.

    Parameters
    ----------
    datasets : mapping
        `datasets` of the configuration.
    name : str
        One of its keys.
    """
    return bool(drawn_parts(datasets, name))


def drawn_parts(datasets: Mapping[str, Mapping[str, Any]], name: str) -> list[str]:
    """Names of the data sets of phantoms that a data set is, or, as a union, consists of."""
    parts = datasets[name].get("of", [name])
    return [part for part in parts if datasets[part]["kind"] == "phantom"]
