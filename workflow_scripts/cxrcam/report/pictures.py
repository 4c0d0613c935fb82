"""The gallery of the report: small X-rays, and their heat and outlines as layers of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from PIL import Image

from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.maps.gallery import choose_of_classes
from workflow_scripts.cxrcam.maps.overlays import (
    LESION_COLOUR,
    LUNG_COLOUR,
    heat_colours,
    heat_layer,
    mask_outline,
    save_png,
)
from workflow_scripts.cxrcam.maps.run_pictures import Picture, RunPictures

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
    heat: str
    outline: str | None

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
    scale: float
    opacity: float
    has_lesions: bool


def outline_layer(picture: Picture) -> Image.Image | None:
    """Outlines of lungs and lesions on clear ground; None where there is no mask."""
    if picture["lung_mask"] is None and picture["lesion_mask"] is None:
        return None
    levels = np.zeros(picture["grey"].shape, dtype=np.uint8)
    if picture["lung_mask"] is not None:
        levels[mask_outline(picture["lung_mask"], 1)] = 1
    if picture["lesion_mask"] is not None:
        levels[mask_outline(picture["lesion_mask"], 2)] = 2
    layer = Image.fromarray(levels).convert("P")
    layer.putpalette([0, 0, 0, *LUNG_COLOUR, *LESION_COLOUR])
    layer.info["transparency"] = 0
    return layer


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
        Of the hottest points when the page opens, in [0, 1].
    most : int
        Images, shared evenly by the folds and in each by the classes.

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
        names = {kind: f"{number:02d}-{kind}" for kind in ("xray", "heat", "outline")}
        with atomic_path(folder / f"{names['xray']}.jpg") as temporary:
            Image.fromarray(picture["grey"]).save(temporary, quality=_JPEG_QUALITY)
        save_png(heat_layer(picture["heat"]), folder / f"{names['heat']}.png")
        outline = outline_layer(picture)
        if outline is not None:
            save_png(outline, folder / f"{names['outline']}.png")
        lesion = picture["lesion_mask"]
        has_lesions |= lesion is not None and bool(lesion.any())
        cards.append(
            Card(
                row["image_id"],
                row["label"],
                row["predicted"],
                row["probability"],
                row["fold"],
                f"{folder.name}/{names['xray']}.jpg",
                f"{folder.name}/{names['heat']}.png",
                None if outline is None else f"{folder.name}/{names['outline']}.png",
            )
        )
    colours = np.broadcast_to(heat_colours(), (12, 256, 3))
    save_png(np.ascontiguousarray(colours), folder / "heat-scale.png")
    records = pd.concat(run.records for run in runs.values())
    mistakes = int((~records["correct"]).sum())
    return Gallery(cards, len(records), mistakes, scale, opacity, has_lesions)
