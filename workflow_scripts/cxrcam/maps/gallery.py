"""The gallery: test images of one class with the evidence on them, mistakes first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import pandas as pd
from matplotlib.figure import Figure

from workflow_scripts.cxrcam.drawing.captions import caption_font
from workflow_scripts.cxrcam.drawing.page import Page
from workflow_scripts.cxrcam.drawing.style import GREY, PAGE_WIDTH, fitted, styled
from workflow_scripts.cxrcam.maps.frames import NOTICE, LegendItem
from workflow_scripts.cxrcam.maps.overlays import Picture, legend_items, map_and_unit, overlay
from workflow_scripts.cxrcam.terms import DRAWN

# Everything is placed by hand, in inches from the top left corner.
_COLUMNS: Final = 4
_MARGIN: Final = 0.12
_COLUMN_GAP: Final = 0.08
_PANEL_GAP: Final = 0.03
"""Between an image and its map below."""
_LARGEST_PANEL: Final = 1.7
_CAPTION: Final = 0.47
"""Three lines of text below each pair."""
_CAPTION_LINE: Final = 0.12
"""A fourth one, where an image has no evidence."""
_HEAD: Final = 0.5
_DRAWN_ROOM: Final = 2.2
"""Right end of the title, where that says that images are drawn."""
_FOOT: Final = 0.66
"""Strip with the legend: a title and two rows of samples."""
_LEGEND_ROW: Final = 0.17
_LEGEND_PIXELS: Final = 100.0
"""Pixels of a sample an inch."""


@styled
def gallery(
    pictures: Sequence[Picture],
    records: pd.DataFrame,
    *,
    class_name: str,
    total: int,
    wrong: int,
    scale_max: float,
    method: str | None,
    opacity: float,
    against: bool,
) -> Figure:
    """Draw test images of one class with their maps below, mistakes first.

    Parameters
    ----------
    pictures : sequence of Picture, length n
        The X-rays and what is drawn on them, evidence for the predicted class.
    records : DataFrame of n rows
        `image_id`, `label`, `predicted`, `probability` (of the predicted class), `is_drawn` (the
        image is a phantom), as from `choose_images`.
    class_name : str
        Their true class.
    total, wrong : int
        Test images of the class, and mistakes among them, for the heading.
    scale_max : float
        Log-odds at full colour.
    method : str or None
        Name of another kind of map than evidence.
    opacity, against
        As in `overlays.overlay`.
    """
    has_evidence = [bool(picture["evidence"].max() > 0.0) for picture in pictures]
    columns = min(_COLUMNS, len(pictures))
    panel = (PAGE_WIDTH - 2 * _MARGIN - (columns - 1) * _COLUMN_GAP) / columns
    panel = min(_LARGEST_PANEL, panel)
    row_height = 2 * panel + _PANEL_GAP + _CAPTION + (not all(has_evidence)) * _CAPTION_LINE
    height = _HEAD + math.ceil(len(pictures) / columns) * row_height + _FOOT
    page = Page(Figure(figsize=(PAGE_WIDTH, height)), PAGE_WIDTH, height)
    for place, (picture, record) in enumerate(
        zip(pictures, records.to_dict("records"), strict=True)
    ):
        row, column = divmod(place, columns)
        left, top = _MARGIN + column * (panel + _COLUMN_GAP), _HEAD + row * row_height
        mapped = overlay(**picture, opacity=opacity, against=against)
        page.axes(left, top, panel, panel).imshow(picture["grey"], cmap="gray", vmin=0, vmax=255)
        page.axes(left, top + panel + _PANEL_GAP, panel, panel).imshow(mapped)
        _write_caption(page, left, top + 2 * panel + _PANEL_GAP, panel, record, has_evidence[place])
    _write_heading(page, class_name, records, total, wrong)
    items = legend_items(
        scale_max,
        opacity,
        against=against,
        has_lungs=any(picture["lung_mask"] is not None for picture in pictures),
        has_lesions=any(picture["lesion_mask"] is not None for picture in pictures),
    )
    _draw_legend(page, method, items)
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


def _write_heading(
    page: Page, class_name: str, shown: pd.DataFrame, total: int, wrong: int
) -> None:
    """Write what is shown, in which order, and what is left out."""
    title = f"True class {class_name}: {len(shown)} of {total} test images"
    n_drawn = int(shown["is_drawn"].sum())
    drawn = DRAWN if n_drawn == len(shown) else f"{n_drawn} of them drawn images" if n_drawn else ""
    room = PAGE_WIDTH - 2 * _MARGIN - (_DRAWN_ROOM if drawn else 0.0)
    page.text(_MARGIN, 0.1, fitted(title, room, 9.0, bold=True), fontsize=9.0, fontweight="bold")
    page.text(page.width - _MARGIN, 0.1, drawn, ha="right", color=GREY)
    n_mistakes = int((shown["predicted"] != shown["label"]).sum())
    if 0 < n_mistakes < len(shown):
        mistakes = "1 mistake" if n_mistakes == 1 else f"{n_mistakes} mistakes"
        order = f"{mistakes} first, then correct ones, each by falling probability"
    else:
        order = f"{'Mistakes' if n_mistakes else 'Correct ones'} only, by falling probability"
    if len(shown) < total:
        order += "; chosen, not a random sample"
    order += f" ({wrong} of all {total} are mistakes)."
    page.text(_MARGIN, 0.29, order, color=GREY)


def _write_caption(
    page: Page, left: float, top: float, panel: float, record: dict[Any, Any], has_evidence: bool
) -> None:
    """Write image id, right or wrong, probability, and where there is no evidence."""
    page.text(left, top + 0.03, fitted(record["image_id"], panel - 0.02, 7.0))
    if record["predicted"] == record["label"]:
        page.text(left, top + 0.15, "✓ correct")
    else:
        called = fitted(record["predicted"], panel - 0.56, 7.0, bold=True)
        page.text(left, top + 0.15, f"✗ called {called}", fontweight="bold")
    page.text(left, top + 0.27, f"probability {record['probability']:.3f}")
    if not has_evidence:
        words = fitted(f"no evidence for {record['predicted']}", panel, 7.0)
        page.text(left, top + 0.27 + _CAPTION_LINE, words)


def _draw_legend(page: Page, method: str | None, items: Sequence[LegendItem]) -> None:
    """Say what colours and lines mean, as many samples a row as fit."""
    top = page.height - _FOOT + 0.1
    note = f"{map_and_unit('the predicted class', method)}; one scale for the whole run"
    page.text(_MARGIN, top, note)
    page.text(page.width - _MARGIN, top, NOTICE, ha="right", color=GREY)
    font = caption_font(70)
    left, top = _MARGIN, top + _LEGEND_ROW
    for sample, words in items:
        high, wide = (pixels / _LEGEND_PIXELS for pixels in sample.shape[:2])
        needed = wide + 0.05 + font.getlength(words) / 720.0
        if left > _MARGIN and left + needed > page.width - _MARGIN:
            left, top = _MARGIN, top + _LEGEND_ROW
        page.axes(left, top, wide, high).imshow(sample, aspect="auto")
        page.text(left + wide + 0.05, top, words)
        left += needed + 0.15
