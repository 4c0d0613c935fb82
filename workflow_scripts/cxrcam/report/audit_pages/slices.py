"""The page of slices: groups of images that nobody named, with pictures, mistakes first."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from workflow_scripts.cxrcam.arrays import UInt8Array
from workflow_scripts.cxrcam.audit.slices import LEAST_ODDS, LEVEL
from workflow_scripts.cxrcam.report.templating import Embedded, embedded, notice, page_environment

_SIDE = 160  # pixels


def slices_in_words(table: pd.DataFrame | None) -> str:
    """What was found, in a sentence; `table` is audit/slices.csv, which findings do not have."""
    if table is None:
        return "Groups are searched among mistakes, and of findings nothing says what is one."
    n_found, n_tested = int(table["is_found"].sum()), int(table["n"].notna().sum())
    if not n_tested:
        return "No class has enough test images and mistakes to look for groups of mistakes."
    if not n_found:
        return (
            f"No group of images was found on which the network is surely worse, in {n_tested} of "
            f"{len(table)} classes and networks that have enough mistakes to look."
        )
    groups = "1 group" if n_found == 1 else f"{n_found} groups"
    return f"{groups} of images that lie together in the network's features, and are often wrong."


def render_slices(
    table: pd.DataFrame,
    members: Mapping[int, pd.DataFrame],
    pictures: Mapping[str, UInt8Array],
    *,
    dataset: str,
    is_drawn: bool,
    runs: Sequence[Mapping[str, Any]],
) -> str:
    """Write the page.

    Parameters
    ----------
    table : DataFrame
        As audit/slices.csv.
    members : mapping of int to DataFrame
        By the row of each slice found, the images to draw: `image_id`, `predicted`, `correct`.
    pictures : mapping of str to uint8 array, shape (size, size)
        Cached pixels of all images in `members`.
    dataset : str
    is_drawn : bool
        Whether the images are phantoms.
    runs : sequence of mapping
        Networks that were looked at: `task`, `scheme`, `fold`, `seed`.

    Returns
    -------
    str
        HTML with all pictures within it.
    """
    found = [
        (
            table.loc[number].to_dict(),
            [
                (image, _embedded(pictures[image["image_id"]]))
                for image in images.to_dict("records")
            ],
        )
        for number, images in members.items()
    ]
    return (
        page_environment()
        .get_template("slices.html")
        .render(
            dataset=dataset,
            sentence=slices_in_words(table),
            runs=runs,
            found=found,
            reasons=table[table["n"].isna()].to_dict("records"),
            level=LEVEL,
            odds=LEAST_ODDS,
            notice=notice(is_drawn),
        )
    )


def _embedded(pixels: UInt8Array) -> Embedded:
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return embedded(picture.resize((_SIDE, _SIDE), Image.Resampling.BOX))
