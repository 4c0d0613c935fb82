"""The page of suspect labels: each image beside the three that are most like it, with labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from PIL import Image

from workflow_scripts.cxrcam.arrays import UInt8Array
from workflow_scripts.cxrcam.audit.suspect_labels import FEWEST_COUNTED
from workflow_scripts.cxrcam.duplicates.likeness import nearest
from workflow_scripts.cxrcam.report.templating import Embedded, embedded, notice, page_environment

#: Images that are drawn, of all tasks together. All stand in audit/suspect_labels.csv.
MOST_PICTURES: Final = 60

NEIGHBOURS: Final = 3


@dataclass(frozen=True)
class Judged:
    """Of a task: images whose labels were judged, and labels that are counted as wrong."""

    task: str
    n: int
    n_counted: int


@dataclass(frozen=True)
class Neighbour:
    """An image that looks alike; `likeness` is a correlation."""

    image_id: str
    label: str
    likeness: float


@dataclass(frozen=True)
class _Card:
    """What the page shows of an image; pictures are data URIs."""

    row: Mapping[str, object]
    picture: Embedded
    neighbours: list[tuple[Neighbour, Embedded]]


def drawn_suspects(suspects: pd.DataFrame) -> pd.DataFrame:
    """Rows that the page draws: the first of each task, as many of each."""
    n_tasks = max(1, suspects["task"].nunique())
    return suspects.groupby("task", sort=False).head(max(1, MOST_PICTURES // n_tasks))


def neighbours_of(
    shown: pd.DataFrame,
    images: pd.DataFrame,
    thumbnails: UInt8Array,
    labels: Mapping[str, Mapping[str, str]],
) -> list[list[Neighbour]]:
    """Images of the same task, of other groups, that are most like each one shown.

    Parameters
    ----------
    shown : DataFrame
        As from `drawn_suspects`.
    images : DataFrame of n rows
        `image_id` and `group` of those that may be neighbours, and of those shown.
    thumbnails : uint8 array, shape (n, side, side)
    labels : mapping of str to mapping
        By task and image; others are not asked for.

    Returns
    -------
    list of list of Neighbour
        At most `NEIGHBOURS`, in the order of `shown`.
    """
    names, groups = images["image_id"].to_numpy(), images["group"].to_numpy()
    place = {name: k for k, name in enumerate(names)}
    found: dict[tuple[str, str], list[Neighbour]] = {}
    for task, rows in shown.groupby("task", sort=False):
        of_task = labels[str(task)]
        others = np.flatnonzero([name in of_task for name in names])
        own = [place[name] for name in rows["image_id"]]
        pictures, beside = thumbnails[own], thumbnails[others]
        alike = nearest(pictures, beside, list(groups[own]), list(groups[others]), NEIGHBOURS)
        for name, those in zip(rows["image_id"], alike, strict=True):
            found[str(task), name] = [
                Neighbour(str(names[others[k]]), of_task[names[others[k]]], likeness)
                for k, likeness in those
            ]
    return [found[key] for key in zip(shown["task"], shown["image_id"], strict=True)]


def render_labels(
    suspects: pd.DataFrame,
    shown: pd.DataFrame,
    neighbours: Sequence[Sequence[Neighbour]],
    pixels: Mapping[str, UInt8Array],
    judged: Sequence[Judged],
    *,
    dataset: str,
    is_drawn: bool = False,
) -> str:
    """Write the page.

    Parameters
    ----------
    suspects : DataFrame
        All rows of audit/suspect_labels.csv.
    shown : DataFrame
        Those that are drawn.
    neighbours : sequence
        As from `neighbours_of`.
    pixels : mapping of str to uint8 array, shape (size, size)
        Cached pixels of all that is drawn.
    judged : sequence of Judged
        One a task.
    dataset : str
    is_drawn : bool
        Whether the images are phantoms.

    Returns
    -------
    str
        HTML with all pictures within it.
    """
    cards: dict[str, list[_Card]] = {of.task: [] for of in judged}
    for row, those in zip(shown.to_dict("records"), neighbours, strict=True):
        beside = [(one, _embedded(pixels[one.image_id])) for one in those]
        picture = _embedded(pixels[row["image_id"]])
        cards[row["task"]].append(_Card({str(k): v for k, v in row.items()}, picture, beside))
    return (
        page_environment()
        .get_template("labels.html")
        .render(
            dataset=dataset,
            tasks=[(of, int((suspects["task"] == of.task).sum()), cards[of.task]) for of in judged],
            fewest=FEWEST_COUNTED,
            notice=notice(is_drawn),
        )
    )


def _embedded(pixels: UInt8Array) -> Embedded:
    return embedded(Image.fromarray(np.ascontiguousarray(pixels)))
