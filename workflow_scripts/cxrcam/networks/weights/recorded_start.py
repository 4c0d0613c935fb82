"""What a file of initial weights says of itself, read without PyTorch: it takes no time."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

METADATA_KEY: Final = "cxrcam"  # one key: safetensors keeps several in no fixed order
KINDS: Final = ("random", "imagenet")
LONGEST_HEADER: Final = 100_000_000  # bytes; safetensors itself reads no longer one


def recorded_start(path: Path) -> Mapping[str, Any]:
    """Choice that `initial_weights.choose_imagenet` recorded in a file.

    Returns
    -------
    mapping
        ``kind`` (random or imagenet) and ``origin``; ``found`` for ImageNet weights, ``reason`` for
        random ones in their place, ``note`` where there are none to look for. Empty if the file is
        missing or records no choice, as any other file of weights does.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > LONGEST_HEADER:  # no safetensors file
                return {}
            header = json.loads(file.read(length))
        recorded = json.loads(header["__metadata__"][METADATA_KEY])
        texts = all(isinstance(value, str) for value in recorded.values())
        if texts and recorded["kind"] in KINDS and "origin" in recorded:
            return dict(recorded)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    return {}
