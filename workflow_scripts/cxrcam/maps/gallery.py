"""The gallery: test images of one class with their class activation maps, mistakes first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from workflow_scripts.cxrcam.figures.style import BLACK, GREY, PAGE_WIDTH, fitted, styled
from workflow_scripts.cxrcam.figures.tables import require_columns
from workflow_scripts.cxrcam.maps.overlays import (
    LESION_COLOUR,
    LUNG_COLOUR,
    OPACITY,
    colour_bar,
    overlay_with_contours,
)

# Everything is placed by hand, in inches from the top left corner.
_MARGIN: Final = 0.12
_COLUMN_GAP: Final = 0.08
_PANEL_GAP: Final = 0.03
"""Between an image and its map below."""
_LARGEST_PANEL: Final = 1.7
_CAPTION: Final = 0.47
"""Three lines of text below each pair."""
_HEAD: Final = 0.5
_FOOT: Final = 0.62
"""Strip with the colour bar."""
_BAR_WIDTH: Final = 2.0


@dataclass(frozen=True)
class _Page:
    """A figure that is laid out in inches from its top left corner."""

    figure: Figure
    width: float
    height: float

    def axes(self, left: float, top: float, wide: float, high: float) -> Axes:
        """Make a panel without ticks and frame."""
        axes = self.figure.add_axes(
            (
                left / self.width,
                1 - (top + high) / self.height,
                wide / self.width,
                high / self.height,
            )
        )
        axes.set_axis_off()
        return axes

    def text(self, left: float, top: float, text: str, **look: Any) -> None:  # noqa: ANN401
        """Write a text below a height, in 7 pt unless told otherwise."""
        self.figure.text(
            left / self.width, 1 - top / self.height, text, va="top", **({"fontsize": 7.0} | look)
        )


@styled
def gallery(
    images: npt.ArrayLike,
    heats: npt.ArrayLike,
    records: pd.DataFrame,
    *,
    class_name: str,
    scale_max: float,
    map_class: str | None = None,
    columns: int = 5,
    most: int = 10,
    opacity: float = OPACITY,
    lung_masks: Sequence[npt.ArrayLike | None] | None = None,
    lesion_masks: Sequence[npt.ArrayLike | None] | None = None,
    total: int | None = None,
    wrong: int | None = None,
    title: str | None = None,
) -> Figure:
    """Draw test images of one class with their maps below, mistakes first.

    Parameters
    ----------
    images : array-like of uint8, shape (n, s, s)
        X-rays.
    heats : array-like of float, shape (n, s, s)
        Heat in [0, 1] on the scale of the run.
    records : DataFrame of n rows
        `image_id`, `label`, `predicted`, `probability` (of the predicted class), in the order of
        the images. Rows of another label are left out.
    class_name : str
        True class of the images that are shown.
    scale_max : float
        Raw class activation at the hot end of the shared colour bar.
    map_class : str, optional
        Class that all maps explain; default: each explains the predicted class of its image.
    columns : int, default 5
        Images in a row.
    most : int, default 10
        Most images; up to half of them are mistakes if there are enough correct ones.
    opacity : float
        As in `overlays.overlay`.
    lung_masks, lesion_masks : sequence of (s, s) array-like or None, optional
        Outlines to draw over the maps.
    total, wrong : int, optional
        Test images of the class, and mistakes among them, for the heading. Without them the
        heading makes no claim about images that are not shown.
    title : str, optional
        First line of the heading; default: the class and the number of images.

    Returns
    -------
    Figure
        Pairs of original (above) and map (below), each with a sign and a word for right or wrong.

    Raises
    ------
    ValueError
        If numbers of rows differ, a column is missing, or no image is of the class.
    """
    require_columns(
        records, ["image_id", "label", "predicted", "probability"], "the gallery's table"
    )
    pictures, heat = np.asarray(images), np.asarray(heats)
    if not len(pictures) == len(heat) == len(records):
        raise ValueError(
            f"{len(pictures)} images, {len(heat)} maps and {len(records)} records;"
            " the gallery needs one map and one record an image"
        )
    # Numbered, so that a row names its image, map and masks.
    table = records.reset_index(drop=True)
    table = table[table["label"] == class_name]
    if table.empty:
        raise ValueError(f"no image of the gallery is of class {class_name!r}")
    shown = choose_images(table, most)
    columns = max(1, min(columns, len(shown)))
    rows = math.ceil(len(shown) / columns)
    panel = (PAGE_WIDTH - 2 * _MARGIN - (columns - 1) * _COLUMN_GAP) / columns
    panel = min(_LARGEST_PANEL, panel)
    row_height = 2 * panel + _PANEL_GAP + _CAPTION
    height = _HEAD + rows * row_height + _FOOT
    page = _Page(Figure(figsize=(PAGE_WIDTH, height)), PAGE_WIDTH, height)

    outlined = set()
    for place, (index, record) in enumerate(shown.iterrows()):
        number = int(str(index))
        lung_mask = None if lung_masks is None else lung_masks[number]
        lesion_mask = None if lesion_masks is None else lesion_masks[number]
        if lung_mask is not None:
            outlined.add("lung outline")
        if lesion_mask is not None:
            outlined.add("lesion outline")
        mapped = overlay_with_contours(
            pictures[number], heat[number], opacity, lung_mask=lung_mask, lesion_mask=lesion_mask
        )
        row, column = divmod(place, columns)
        left = _MARGIN + column * (panel + _COLUMN_GAP)
        top = _HEAD + row * row_height
        image_axes = page.axes(left, top, panel, panel)
        image_axes.imshow(pictures[number], cmap="gray", vmin=0, vmax=255)
        page.axes(left, top + panel + _PANEL_GAP, panel, panel).imshow(mapped)
        _write_caption(page, left, top + 2 * panel + _PANEL_GAP, panel, record)

    of_total = "" if total is None else f" of {total} test"
    if title is None:
        title = f"True class {class_name}: {len(shown)}{of_total} images"
    heading = fitted(title, PAGE_WIDTH - 2 * _MARGIN, 9.0, bold=True)
    page.text(_MARGIN, 0.1, heading, fontsize=9.0, fontweight="bold", color=BLACK)
    page.text(_MARGIN, 0.29, _order_in_words(shown, total, wrong), color=GREY)
    _draw_foot(page, scale_max, opacity, map_class, outlined)
    return page.figure


def choose_images(records: pd.DataFrame, most: int) -> pd.DataFrame:
    """Choose and sort: mistakes first, each part by falling confidence.

    Where both kinds exist, neither takes more than half while the other still has images:
    a gallery of mistakes only would pass for the whole.

    Parameters
    ----------
    records : DataFrame
        `label`, `predicted` and `probability` of the predicted class, one row an image.
    most : int
        Most images to choose.

    Returns
    -------
    DataFrame
        Rows of `records`.
    """
    wrong = records[records["predicted"] != records["label"]]
    right = records[records["predicted"] == records["label"]]
    wrong = wrong.sort_values("probability", ascending=False, kind="stable")
    right = right.sort_values("probability", ascending=False, kind="stable")
    n_wrong = min(len(wrong), max(most // 2, most - len(right)))
    return pd.concat([wrong.head(n_wrong), right.head(most - n_wrong)])


def choose_of_classes(records: pd.DataFrame, classes: Sequence[str], most: int) -> pd.DataFrame:
    """Choose as many images of each class as `most` allows, and sort them: mistakes first.

    Parameters
    ----------
    records : DataFrame
        As for `choose_images`, and `image_id` and `correct`.
    classes : sequence of str
        The first ones get an image more where `most` cannot be divided evenly.
    most : int
        Most images to choose.

    Returns
    -------
    DataFrame
        Rows of `records`.
    """
    each, rest = divmod(most, len(classes))
    chosen = [
        choose_images(records[records["label"] == name], each + (k < rest))
        for k, name in enumerate(classes)
    ]
    return pd.concat(chosen).sort_values(
        ["correct", "probability", "image_id"], ascending=[True, False, True]
    )


def _write_caption(page: _Page, left: float, top: float, panel: float, record: pd.Series) -> None:
    """Write image id, right or wrong, and probability below a pair of panels."""
    page.text(left, top + 0.03, fitted(record["image_id"], panel - 0.02, 7.0))
    if record["predicted"] == record["label"]:
        page.text(left, top + 0.15, "✓ correct")
    else:
        called = fitted(record["predicted"], panel - 0.56, 7.0, bold=True)
        page.text(left, top + 0.15, f"✗ called {called}", fontweight="bold")
    page.text(left, top + 0.27, f"probability {record['probability']:.3f}")


def _order_in_words(shown: pd.DataFrame, total: int | None, wrong: int | None) -> str:
    """Second line of the heading: in which order the images stand, and what is left out."""
    n_mistakes = int((shown["predicted"] != shown["label"]).sum())
    if 0 < n_mistakes < len(shown):
        mistakes = "1 mistake" if n_mistakes == 1 else f"{n_mistakes} mistakes"
        order = f"{mistakes} first, then correct ones, each by falling probability"
    else:
        order = f"{'Mistakes' if n_mistakes else 'Correct ones'} only, by falling probability"
    if total is None or len(shown) < total:
        order += "; chosen, not a random sample"
    if total is not None and wrong is not None:
        order += f" ({wrong} of all {total} are mistakes)"
    return order + "."


def _draw_foot(
    page: _Page, scale_max: float, opacity: float, map_class: str | None, outlined: set[str]
) -> None:
    """Draw the colour bar, and say what the colours and the outlines mean."""
    top = page.height - _FOOT + 0.12
    bar = page.axes(_MARGIN, top, _BAR_WIDTH, 0.13)
    bar.imshow(colour_bar(256, 1, opacity), aspect="auto", extent=(0, 1, 0, 1))
    page.text(_MARGIN, top + 0.16, "≤ 0", ha="left")
    page.text(_MARGIN + _BAR_WIDTH, top + 0.16, f"≥ {scale_max:.3g}", ha="right")
    explained = "the predicted class" if map_class is None else fitted(map_class, 1.2, 7.0)
    note = f"class activation for {explained}, one scale for the whole run"
    page.text(_MARGIN + _BAR_WIDTH + 0.1, top, note)
    page.text(page.width - _MARGIN, top, "research use only", ha="right", color=GREY)
    colours = {"lung outline": LUNG_COLOUR, "lesion outline": LESION_COLOUR}
    names = [name for name in colours if name in outlined]
    if names:
        page.figure.legend(
            handles=[
                Patch(facecolor="none", edgecolor="#" + bytes(colours[name]).hex())
                for name in names
            ],
            labels=names,
            loc="upper left",
            bbox_to_anchor=(
                (_MARGIN + _BAR_WIDTH + 0.05) / page.width,
                1 - (top + 0.12) / page.height,
            ),
            ncols=2,
            borderaxespad=0.0,
            handlelength=1.4,
            handleheight=0.6,
        )
