"""The gallery of the report: small X-rays, and evidence and outlines as layers of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from PIL import Image

from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.maps.gallery import choose_of_classes
from workflow_scripts.cxrcam.maps.overlays import (
    Picture,
    against_layer,
    colour_bar,
    evidence_layer,
    outline_layer,
    save_png,
)
from workflow_scripts.cxrcam.maps.placement import log_odds
from workflow_scripts.cxrcam.maps.run_pictures import RunPictures

PICTURE_SIDE: Final = 224
_JPEG_QUALITY: Final = 85

#: How sure the network is: name, and the probability of the class that it named from which on.
_SURENESS: Final = (("very sure", 0.95), ("sure", 0.75), ("unsure", 0.0))


@dataclass(frozen=True)
class Card:
    """One image of the gallery; the files are relative to the page."""

    image_id: str
    label: str
    predicted: str
    probability: float
    fold: int
    xray: str
    evidence: str
    outline: str | None = None
    against: str | None = None
    has_evidence: bool = True

    @property
    def is_mistake(self) -> bool:
        """Whether the network named another class."""
        return self.label != self.predicted

    @property
    def sureness(self) -> str:
        """How sure the network is, in words."""
        return next(word for word, least in _SURENESS if self.probability >= least)


@dataclass(frozen=True)
class Gallery:
    """The images that are shown, mistakes first, and of how many they are."""

    cards: list[Card]
    total: int
    mistakes: int
    log_odds: float
    """At full colour."""
    has_lesions: bool


def sureness_in_words() -> list[tuple[str, str]]:
    """Each word of `Card.sureness`, and with which probabilities."""
    most = [1.0, *(least for _, least in _SURENESS)]
    return [
        (word, f"{word} (probability {least:g} to {below:g})")
        for (word, least), below in zip(_SURENESS, most, strict=False)
    ]


def write_gallery(
    runs: Mapping[int, RunPictures],
    classes: Sequence[str],
    folder: Path,
    opacity: float,
    most: int,
    against: bool = False,
) -> Gallery:
    """Write the pictures of the gallery.

    Parameters
    ----------
    runs : mapping of int to RunPictures
        By fold, at least one.
    classes : sequence of str
        In the order of the task.
    folder : Path
        Where to; its parent is the folder of the page.
    opacity : float
        Of full colour, in [0, 1].
    most : int
        Images, shared evenly by the folds and in each by the classes.
    against : bool, default False
        Whether to write evidence against the class too.

    Returns
    -------
    Gallery
        All on one scale: the mean of those of the runs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scale = float(np.mean([run.scale for run in runs.values()]))
    on_scale = {fold: replace(run, scale=scale) for fold, run in runs.items()}
    chosen = pd.concat(
        choose_of_classes(run.records, classes, max(1, most // len(runs))).assign(fold=fold)
        for fold, run in runs.items()
    ).sort_values(
        ["correct", "probability", "fold", "image_id"], ascending=[True, False, True, True]
    )
    cards = []
    has_lesions = False
    # Numbered: an image id may hold anything, and would have to be escaped.
    for number, row in enumerate(chosen.to_dict("records"), start=1):
        picture = on_scale[row["fold"]].picture(row["image_id"], PICTURE_SIDE)
        files = _write_layers(picture, folder, f"{number:02d}", opacity, against)
        lesion = picture["lesion_mask"]
        has_lesions |= lesion is not None and bool(lesion.any())
        facts = {key: row[key] for key in ("image_id", "label", "predicted", "probability", "fold")}
        has_evidence = bool(picture["evidence"].max() > 0.0)
        cards.append(Card(**facts, **files, has_evidence=has_evidence))
    save_png(colour_bar(160, 12, opacity), folder / "evidence-scale.png")
    records = pd.concat(run.records for run in runs.values())
    mistakes = int((~records["correct"]).sum())
    return Gallery(cards, len(records), mistakes, log_odds(scale, len(classes)), has_lesions)


def _write_layers(
    picture: Picture, folder: Path, number: str, opacity: float, against: bool
) -> dict[str, Any]:
    """Write an X-ray and what lies on it, and give each file as seen from the page."""
    layers = {
        "evidence": evidence_layer(picture["evidence"], opacity),
        "outline": outline_layer(picture["lung_mask"], picture["lesion_mask"]),
        "against": against_layer(picture["evidence"]) if against else None,
    }
    with atomic_path(folder / f"{number}-xray.jpg") as temporary:
        Image.fromarray(picture["grey"]).save(temporary, quality=_JPEG_QUALITY)
    files = {"xray": f"{folder.name}/{number}-xray.jpg"}
    for kind, layer in layers.items():
        if layer is not None:
            save_png(layer, folder / f"{number}-{kind}.png")
            files[kind] = f"{folder.name}/{number}-{kind}.png"
    return files
