"""What networks start from, in a sentence that stands wherever their results are shown.

Where `model.weights` is auto, it depends on the machine whether it is ImageNet's weights or random
ones: nobody must have to guess. No PyTorch: pages that only show results need none.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from safetensors import safe_open

from workflow_scripts.cxrcam.networks.weights.recorded_start import METADATA_KEY, recorded_start

RANDOM: Final = "random"

Start = Mapping[str, str]
"""`kind` (random, imagenet or file), `origin`, and what else `recorded_start` tells."""


def planned_starts(weights: Mapping[str, str], files: Iterable[str]) -> dict[str, Start]:
    """What the networks of each scheme are to start from, by scheme.

    `weights` are ``model.weights`` by scheme, `files` those of the schemes whose weights are not
    random, in the same order.
    """
    remaining = iter(files)
    starts: dict[str, Start] = {}
    for scheme, chosen in weights.items():
        if chosen == RANDOM:
            starts[scheme] = {"kind": RANDOM, "origin": RANDOM}
            continue
        path = Path(next(remaining))
        starts[scheme] = recorded_start(path) or {"kind": "file", "origin": path.name}
    return starts


def start_of_model(model: Path, planned: Start) -> Start:
    """What a trained network (``model.safetensors`` of a run) did start from, by its own card.

    The words of what was `planned` are kept where the card says the same.
    """
    with safe_open(model, framework="numpy") as file:
        origin = str(json.loads(file.metadata()[METADATA_KEY])["weights_origin"])
    if origin == planned["origin"]:
        return planned
    return {"kind": RANDOM if origin == RANDOM else "file", "origin": origin}


def start_sentence(start: Start, of: str = "") -> str:
    """Say what networks start from, and, where that was not chosen, why and how to change it.

    `of` tells whose networks; it is empty for those of the whole study.
    """
    who = f"Networks of {of} start" if of else "Networks start"
    name = start["origin"].partition(" sha256:")[0]
    if start["kind"] == "imagenet":
        found = start.get("found", "")
        where = found if found.startswith("fetched") or not found else f"found {found}"
        return f"{who} from ImageNet weights ({', '.join(filter(None, (name, where)))})."
    if start["kind"] != RANDOM:
        return f"{who} from the weights of {name}."
    if not start.get("reason"):
        return f"{who} from random weights. {start.get('note', '')}".rstrip()
    return (
        f"{who} from RANDOM weights. {start['reason']} To start from ImageNet's, put that file "
        "into results/weights, or let this machine reach the network, and run snakemake with "
        "--forcerun weights; or set model.weights to a local file."
    )


def starts_in_words(starts: Mapping[str, Start]) -> list[str]:
    """One sentence for each way to start, with the schemes where there are several ways."""
    schemes: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for scheme, start in starts.items():
        schemes.setdefault(tuple(sorted(start.items())), []).append(scheme)
    alone = len(schemes) == 1
    return [
        start_sentence(dict(start), "" if alone else ", ".join(named))
        for start, named in schemes.items()
    ]
