"""Whether a data set consists of drawn images, so that whatever shows its results can say so."""

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
    data_set = datasets[name]
    if data_set["kind"] == "union":
        return any(is_drawn(datasets, part) for part in data_set["of"])
    return bool(data_set["kind"] == "phantom")
