"""The gallery of the report: small X-rays, and evidence and outlines as layers of their own."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from PIL import Image

from workflow_scripts.cxrcam.arrays import Float64Array
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.images.covering import CENTRE_SIDE, border_mask
from workflow_scripts.cxrcam.map_tests.scores import energy_share
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
from workflow_scripts.cxrcam.seeds import generator

PICTURE_SIDE: Final = 224
LARGEST_SIDE: Final = 1024
"""Of a picture that was clicked, in pixels: an X-ray's own longer side, up to this one."""
LARGEST_LAYER: Final = 512
"""Of what lies on it: lines are one and two pixels thin, and must be seen on a screen."""
LARGE: Final = "large"
"""Folder of the large pictures, beside the small ones and under the same names."""
_JPEG_QUALITY: Final = 85

OUTSIDE_AREA: Final = 1.0 - CENTRE_SIDE**2
"""Share of the image outside the central square that the audit covers."""
MOST_OUTSIDE: Final = 6
_MAP_SIDE: Final = 60  # pixels; the ring's width is a whole number of them
_MAPS_AT_A_TIME: Final = 512

#: How sure the network is: name, and the probability of the class that it named from which on.
_SURENESS: Final = (("very sure", 0.95), ("sure", 0.75), ("unsure", 0.0))


@dataclass(frozen=True)
class Card:
    """One image of the gallery; the files are relative to the page, `large` is the large X-ray.

    `is_drawn` says whether the image is of the random sample, `is_outside` whether it is one of
    those with the most evidence outside the central square, and `outside` how much of it, in [0, 1]
    (None without evidence).
    """

    image_id: str
    label: str
    predicted: str
    probability: float
    fold: int
    xray: str
    large: str
    evidence: str
    is_drawn: bool
    is_outside: bool = False
    outside: float | None = None
    outline: str | None = None
    against: str | None = None

    @property
    def has_evidence(self) -> bool:
        """Whether the network found any for the class that it named."""
        return self.outside is not None

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
    """The images that are shown, the random sample first, and of how many they are."""

    cards: list[Card]
    total: int
    mistakes: int
    log_odds: float
    """At full colour."""
    has_lesions: bool
    n_outside: int
    """Of all images, those with more evidence outside the central square than by chance."""

    @property
    def outside_cards(self) -> list[Card]:
        """Those of `most_outside`: mistakes first, then the largest share."""
        chosen = [card for card in self.cards if card.is_outside]
        return sorted(chosen, key=lambda card: (not card.is_mistake, -(card.outside or 0.0)))


def outside_shares(run: RunPictures) -> Float64Array:
    """Share of the evidence outside the central square, of each image of a run.

    Returns
    -------
    ndarray of float64, shape (n,)
        In [0, 1]; NaN where there is no evidence for the class that was named.
    """
    shares = np.full(len(run.records), np.nan)
    ring = border_mask(_MAP_SIDE, (1.0 - CENTRE_SIDE) / 2.0)
    for start in range(0, len(shares), _MAPS_AT_A_TIME):
        part = slice(start, start + _MAPS_AT_A_TIME)
        placed = run.maps.place(run.maps.values[part, 0], _MAP_SIDE)
        score = energy_share(placed, np.broadcast_to(ring, placed.shape))
        shares[part] = np.where(score.without_energy, np.nan, score.values)
    return shares


def most_outside(records: pd.DataFrame, most: int = MOST_OUTSIDE) -> pd.DataFrame:
    """Images whose evidence lies outside the central square, more than if it lay anywhere.

    Parameters
    ----------
    records : DataFrame
        One row an image: `correct`, and `outside` as from `outside_shares`.
    most : int
        Images at most; a third of them may be mistakes, which come first.

    Returns
    -------
    DataFrame
        Rows of `records`, among mistakes and others those with the largest share first.
    """
    far = records[records["outside"] > OUTSIDE_AREA]
    far = far.sort_values("outside", ascending=False, kind="stable")
    mistakes = far[~far["correct"]].head(most // 3)
    return pd.concat([mistakes, far[far["correct"]].head(most - len(mistakes))])


def sureness_in_words() -> list[tuple[str, str]]:
    """Each word of `Card.sureness`, and with which probabilities."""
    most = [1.0, *(least for _, least in _SURENESS)]
    return [
        (word, f"{word} (probability {least:g} to {below:g})")
        for (word, least), below in zip(_SURENESS, most, strict=False)
    ]


def choose_images(records: pd.DataFrame, most: int) -> pd.DataFrame:
    """Draw a random sample, and add mistakes that are not in it, the surest first.

    Parameters
    ----------
    records : DataFrame
        One row an image: `correct`, and `probability` of the class that was named.
    most : int
        Images to choose at most; mistakes take no more than half of them.

    Returns
    -------
    DataFrame
        Rows of `records` in the order of the draw, with `is_drawn`; the added ones at the end.
    """
    order = generator(0, "gallery of the report").permutation(len(records))
    n_drawn = most - min(int((~records["correct"]).sum()), most // 2)
    rest = records.iloc[order[n_drawn:]]
    added = rest[~rest["correct"]].sort_values("probability", ascending=False, kind="stable")
    drawn = records.iloc[order[:n_drawn]].assign(is_drawn=True)
    return pd.concat([drawn, added.head(most - n_drawn).assign(is_drawn=False)])


def choose_cards(records: pd.DataFrame, most: int) -> pd.DataFrame:
    """`choose_images`, and behind them those of `most_outside`, with `is_outside`."""
    chosen, outside = choose_images(records, most), most_outside(records)
    added = outside.drop(chosen.index, errors="ignore").assign(is_drawn=False)
    cards = pd.concat([chosen, added])
    return cards.assign(is_outside=cards.index.isin(outside.index))


def write_gallery(
    runs: Mapping[int, RunPictures],
    n_classes: int,
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
    n_classes : int
    folder : Path
        Where to; its parent is the folder of the page.
    opacity : float
        Of full colour, in [0, 1].
    most : int
        Images, see `choose_images`; those of `most_outside` come on top.
    against : bool, default False
        Whether to write evidence against the class too.

    Returns
    -------
    Gallery
        All on one scale: the mean of those of the runs.
    """
    scale = float(np.mean([run.scale for run in runs.values()]))
    on_scale = {fold: replace(run, scale=scale) for fold, run in runs.items()}
    tables = (run.records.assign(fold=f, outside=outside_shares(run)) for f, run in runs.items())
    records = pd.concat(tables, ignore_index=True)
    cards = []
    has_lesions = False
    # Numbered: an image id may hold anything, and would have to be escaped.
    for number, row in enumerate(choose_cards(records, most).to_dict("records"), start=1):
        run, image_id = on_scale[row["fold"]], row["image_id"]
        own_side = int(run.index.loc[image_id, ["width", "height"]].max())
        side, name = max(PICTURE_SIDE, min(own_side, LARGEST_SIDE)), f"{number:02d}"
        xray = _write_xray(run.picture(image_id, side), folder / LARGE, name)
        large = run.picture(image_id, min(side, LARGEST_LAYER))
        _write_layers(large, folder / LARGE, name, opacity, against)
        picture = run.picture(image_id, PICTURE_SIDE)
        names = {"xray": _write_xray(picture, folder, name)}
        names |= _write_layers(picture, folder, name, opacity, against)
        files: dict[str, Any] = {kind: f"{folder.name}/{name}" for kind, name in names.items()}
        files["large"] = f"{folder.name}/{LARGE}/{xray}"
        lesion = picture["lesion_mask"]
        has_lesions |= lesion is not None and bool(lesion.any())
        facts = ("image_id", "label", "predicted", "probability", "fold", "is_drawn", "is_outside")
        outside = None if np.isnan(row["outside"]) else row["outside"]
        cards.append(Card(**{key: row[key] for key in facts}, **files, outside=outside))
    save_png(colour_bar(160, 20, opacity), folder / "evidence-scale.png")
    mistakes, n_outside = ((~records["correct"]).sum(), (records["outside"] > OUTSIDE_AREA).sum())
    counts = {"total": len(records), "mistakes": int(mistakes), "n_outside": int(n_outside)}
    return Gallery(cards, **counts, log_odds=log_odds(scale, n_classes), has_lesions=has_lesions)


def _write_xray(picture: Picture, folder: Path, number: str) -> str:
    """Write an X-ray, and give the name of the file."""
    name = f"{number}-xray.jpg"
    with atomic_path(folder / name) as temporary:
        Image.fromarray(picture["grey"]).save(temporary, quality=_JPEG_QUALITY)
    return name


def _write_layers(
    picture: Picture, folder: Path, number: str, opacity: float, against: bool
) -> dict[str, str]:
    """Write what lies on an X-ray, and give the name of each file by its kind."""
    layers = {
        "evidence": evidence_layer(picture["evidence"], opacity),
        "outline": outline_layer(picture["lung_mask"], picture["lesion_mask"]),
        "against": against_layer(picture["evidence"]) if against else None,
    }
    names = {}
    for kind, layer in layers.items():
        if layer is not None:
            names[kind] = f"{number}-{kind}.png"
            save_png(layer, folder / names[kind])
    return names
