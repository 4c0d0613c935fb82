"""The sets of `planted_truth`: phantoms with one thing planted, listed in a manifest.

Every set has the columns view, age and source. Unless they are what is planted, view tells how the
phantom was drawn, and age and source have nothing to do with the image or its class.

View, size of the body and look of a source are planted by picking: phantoms are those that the
seed gives anyway, but each class takes mostly the ones of its own kind. Nothing else is changed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from workflow_scripts.cxrcam.phantom.dataset import (
    PNG_COMPRESS_LEVEL,
    Phantom,
    draw_phantom,
    phantom_rng,
)
from workflow_scripts.cxrcam.phantom.traits import (
    CONFOUNDED_SHARE,
    PhantomSettings,
    PhantomTraits,
    sample_traits,
)

CLEAN = "clean"
CLASSES = ("Normal", "COVID")
_OTHER = dict(zip(CLASSES, reversed(CLASSES), strict=True))
MANIFEST = "manifest.csv"
DIFFICULTY = 0.2

FLIPPED_SHARE = 0.05
SLICE_SHARE = 0.1
"""Share of the images of each class that show an effusion, too; half of them are of the other
class. Were all of them, a network could learn that an effusion means Normal, and be wrong on none.
"""

TWINS = 10
"""Images of each class of which a copy is listed under the other one."""


class Drawn(NamedTuple):
    """A phantom: the class that it is listed under, what it shows, its number among these."""

    label: str
    finding: str
    number: int
    group: str = ""  # of its tie


@dataclass(frozen=True)
class Tie:
    """Which phantoms a class takes.

    Attributes
    ----------
    group : callable
        Group of a phantom by its traits; None: it is not taken at all.
    of_class : dict of str to str
        Group that a class mostly takes.
    share : float
        Share of the images of a class that are of it; the others are of any group.
    """

    group: Callable[[PhantomTraits], str | None]
    of_class: dict[str, str]
    share: float = CONFOUNDED_SHARE


def _size(traits: PhantomTraits) -> str | None:
    """Children fill less of the detector than adults; sizes in between are left out."""
    return "child" if traits.zoom < 1.0 else "adult" if traits.zoom > 1.08 else None


def _look(traits: PhantomTraits) -> str | None:
    """One source shows lungs dark and smooth, the other one bright and sharpened."""
    is_dark, is_sharpened = traits.lung_grey < 0.33, traits.sharpening > 0
    return {(True, False): "A", (False, True): "B"}.get((is_dark, is_sharpened))


_BY_SIZE = Tie(_size, {"Normal": "adult", "COVID": "child"})
TIES = {
    "view": Tie(lambda traits: traits.view, {"Normal": "PA", "COVID": "AP"}),
    "age": _BY_SIZE,
    "size": _BY_SIZE,
    "source": Tie(_look, {"Normal": "A", "COVID": "B"}, share=0.85),
}
"""By what is planted."""

CONFOUNDERS = ("marker", "exposure", "resampling")
"""What the phantoms' own settings plant."""


def picked(kind: str, label: str, seed: int, n: int) -> list[tuple[int, str]]:
    """Numbers of the phantoms that a class takes, and the group of each ("": there are none)."""
    tie = TIES.get(kind)
    if tie is None:
        return [(number, "") for number in range(1, n + 1)]
    rng = np.random.default_rng([seed, CLASSES.index(label)])
    chosen: list[tuple[int, str]] = []
    follows = rng.random() < tie.share
    for number in count(1):
        traits = sample_traits(label, phantom_rng(seed, label, number), PhantomSettings())
        group = tie.group(traits)
        if group is None or (follows and group != tie.of_class[label]):
            continue
        chosen.append((number, group))
        follows = rng.random() < tie.share
        if len(chosen) == n:
            break
    return chosen


def _save(folder: Path, name: str, phantom: Phantom) -> None:
    masks = folder / "masks"
    masks.mkdir(parents=True, exist_ok=True)
    Image.fromarray(phantom.image).save(folder / name, compress_level=PNG_COMPRESS_LEVEL)
    mask = phantom.lung_mask.astype(np.uint8) * np.uint8(255)
    Image.fromarray(mask).save(masks / name, compress_level=PNG_COMPRESS_LEVEL)


def _rows(folder: Path, kind: str, seed: int, drawn: list[Drawn]) -> pd.DataFrame:
    """Draw images, and what the manifest says of them."""
    confounders = (kind,) if kind in CONFOUNDERS else ()
    settings = PhantomSettings(difficulty=DIFFICULTY, confounders=confounders)
    rng = np.random.default_rng([seed, 1])
    rows = []
    for label, finding, number, group in drawn:
        phantom = draw_phantom(finding, phantom_rng(seed, finding, number), settings)
        name = f"{finding.replace('|', '-')}-{number}.png"
        _save(folder, name, phantom)
        is_child = kind == "age" and group == "child"
        rows.append(
            {
                **{"path": name, "label": label, "mask_path": f"masks/{name}"},
                "view": phantom.traits["view"],
                "age": int(rng.integers(1, 18) if is_child else rng.integers(18, 90)),
                "source": group if kind == "source" else str(rng.choice(["A", "B"])),
            }
        )
    return pd.DataFrame(rows)


def _with_slice(drawn: list[Drawn], n: int) -> list[Drawn]:
    """Exchange the last images of each class for ones with an effusion."""
    rare = round(SLICE_SHARE * n)
    kept = [one for one in drawn if one.number <= n - rare]
    findings = dict(zip(CLASSES, ("Effusion", "COVID|Effusion"), strict=True))
    return kept + [
        Drawn(label, findings[label if number % 2 else _OTHER[label]], number)
        for label, first in zip(CLASSES, (1, rare + 1), strict=True)
        for number in range(first, first + rare)
    ]


def _twins(folder: Path, table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Copies of some images, saved as JPEG, under the other class."""
    of_class = [table[table["label"] == name] for name in CLASSES]
    copied = pd.concat([rows.iloc[rng.choice(len(rows), TWINS, False)] for rows in of_class])
    names = ["twin-" + Path(path).with_suffix(".jpg").name for path in copied["path"]]
    for path, name in zip(copied["path"], names, strict=True):
        Image.open(folder / path).save(folder / name, quality=80)
    return copied.assign(path=names, label=copied["label"].map(_OTHER))


def write_set(folder: Path, kind: str, seed: int, n: int) -> set[str]:
    """Draw a set of `n` images a class into a folder, with its manifest.

    Returns
    -------
    set of str
        Images, by ``image_id``, that bear a wrong label; copies of others are left out.
    """
    drawn = [Drawn(label, label, *one) for label in CLASSES for one in picked(kind, label, seed, n)]
    if kind == "slice":
        drawn = _with_slice(drawn, n)
    table = _rows(folder, kind, seed, drawn)
    rng = np.random.default_rng([seed, 2])
    is_wrong = np.array(["COVID" in one.finding for one in drawn]) != (table["label"] == "COVID")
    if kind == "flipped":
        is_wrong.iloc[rng.choice(len(table), round(FLIPPED_SHARE * len(table)), False)] = True
        table.loc[is_wrong, "label"] = table.loc[is_wrong, "label"].map(_OTHER)
    wrong = {Path(path).stem for path in table["path"][is_wrong]}
    if kind == "twins":
        table = pd.concat([table, _twins(folder, table, rng)], ignore_index=True)
    if kind == "size":
        table = table.drop(columns="age")
    table.to_csv(folder / MANIFEST, index=False)
    return wrong
