"""The gallery: test images of one class with the evidence on them, mistakes first."""

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

from workflow_scripts.cxrcam.drawing.captions import caption_font
from workflow_scripts.cxrcam.drawing.style import BLACK, GREY, PAGE_WIDTH, fitted, styled
from workflow_scripts.cxrcam.drawing.tables import require_columns
from workflow_scripts.cxrcam.maps.frames import NOTICE, LegendItem
from workflow_scripts.cxrcam.maps.overlays import OPACITY, legend_items, map_and_unit, overlay

# Everything is placed by hand, in inches from the top left corner.
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
_FOOT: Final = 0.66
"""Strip with the legend: a title and two rows of samples."""
_LEGEND_ROW: Final = 0.17
_LEGEND_PIXELS: Final = 100.0
"""Pixels of a sample an inch."""


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
    evidence: npt.ArrayLike,
    records: pd.DataFrame,
    *,
    class_name: str,
    scale_max: float,
    map_class: str | None = None,
    method: str | None = None,
    columns: int = 5,
    most: int = 10,
    opacity: float = OPACITY,
    against: bool = False,
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
    evidence : array-like of float, shape (n, s, s)
        Placed maps in units of the run's scale, as `overlays.evidence_layer` takes them.
    records : DataFrame of n rows
        `image_id`, `label`, `predicted`, `probability` (of the predicted class), in the order of
        the images. Rows of another label are left out.
    class_name : str
        True class of the images that are shown.
    scale_max : float
        Log-odds at full colour.
    map_class : str, optional
        Class that all maps explain; default: each explains the predicted class of its image.
    method : str, optional
        Name of another kind of map than evidence.
    columns : int, default 5
        Images in a row.
    most : int, default 10
        Most images; up to half of them are mistakes if there are enough correct ones.
    opacity, against
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
    pictures, maps = np.asarray(images), np.asarray(evidence)
    shown = choose_images(_records_of(records, class_name, len(pictures), len(maps)), most)
    lungs, lesions = (of or [None] * len(maps) for of in (lung_masks, lesion_masks))
    has_evidence = maps.reshape(len(maps), -1).max(axis=1) > 0.0
    layout = _Layout.of(len(shown), columns, bool(has_evidence[shown.index].all()))
    for place, (index, record) in enumerate(shown.iterrows()):
        n = int(str(index))
        mapped = overlay(
            *(pictures[n], maps[n], opacity),
            against=against,
            lung_mask=lungs[n],
            lesion_mask=lesions[n],
        )
        left, top = layout.corner(place)
        _show_pair(layout.page, left, top, layout.panel, pictures[n], mapped)
        below = top + 2 * layout.panel + _PANEL_GAP
        lacking = None if has_evidence[n] else map_class or record["predicted"]
        _write_caption(layout.page, left, below, layout.panel, record, lacking)

    _write_heading(layout.page, title, class_name, shown, total, wrong)
    outlined = {
        name: any(of[int(str(index))] is not None for index in shown.index)
        for name, of in (("has_lungs", lungs), ("has_lesions", lesions))
    }
    items = legend_items(scale_max, opacity, against=against, **outlined)
    _draw_legend(layout.page, map_class, method, items)
    return layout.page.figure


def _records_of(records: pd.DataFrame, class_name: str, images: int, maps: int) -> pd.DataFrame:
    """Records of a class, numbered so that each names its image, map and masks."""
    require_columns(
        records, ["image_id", "label", "predicted", "probability"], "the gallery's table"
    )
    if not images == maps == len(records):
        raise ValueError(
            f"{images} images, {maps} maps and {len(records)} records;"
            " the gallery needs one map and one record an image"
        )
    table = records.reset_index(drop=True)
    table = table[table["label"] == class_name]
    if table.empty:
        raise ValueError(f"no image of the gallery is of class {class_name!r}")
    return table


@dataclass(frozen=True)
class _Layout:
    """Where the pairs of a gallery stand, in inches."""

    page: _Page
    columns: int
    panel: float
    row_height: float

    @staticmethod
    def of(images: int, columns: int, all_have_evidence: bool) -> _Layout:
        """As many columns as asked for, or as there are images."""
        columns = max(1, min(columns, images))
        panel = (PAGE_WIDTH - 2 * _MARGIN - (columns - 1) * _COLUMN_GAP) / columns
        panel = min(_LARGEST_PANEL, panel)
        row_height = 2 * panel + _PANEL_GAP + _CAPTION
        row_height += 0.0 if all_have_evidence else _CAPTION_LINE
        height = _HEAD + math.ceil(images / columns) * row_height + _FOOT
        page = _Page(Figure(figsize=(PAGE_WIDTH, height)), PAGE_WIDTH, height)
        return _Layout(page, columns, panel, row_height)

    def corner(self, place: int) -> tuple[float, float]:
        """Left and top of a pair."""
        row, column = divmod(place, self.columns)
        return _MARGIN + column * (self.panel + _COLUMN_GAP), _HEAD + row * self.row_height


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
    page: _Page,
    title: str | None,
    class_name: str,
    shown: pd.DataFrame,
    total: int | None,
    wrong: int | None,
) -> None:
    """Write what is shown, and in which order."""
    of_total = "" if total is None else f" of {total} test"
    if title is None:
        title = f"True class {class_name}: {len(shown)}{of_total} images"
    heading = fitted(title, PAGE_WIDTH - 2 * _MARGIN, 9.0, bold=True)
    page.text(_MARGIN, 0.1, heading, fontsize=9.0, fontweight="bold", color=BLACK)
    page.text(_MARGIN, 0.29, _order_in_words(shown, total, wrong), color=GREY)


def _show_pair(
    page: _Page, left: float, top: float, panel: float, xray: npt.ArrayLike, mapped: npt.ArrayLike
) -> None:
    """Show an X-ray, and below it the evidence on it."""
    page.axes(left, top, panel, panel).imshow(np.asarray(xray), cmap="gray", vmin=0, vmax=255)
    page.axes(left, top + panel + _PANEL_GAP, panel, panel).imshow(np.asarray(mapped))


def _write_caption(
    page: _Page, left: float, top: float, panel: float, record: pd.Series, lacking: str | None
) -> None:
    """Write image id, right or wrong, probability, and for which class there is no evidence."""
    page.text(left, top + 0.03, fitted(record["image_id"], panel - 0.02, 7.0))
    if record["predicted"] == record["label"]:
        page.text(left, top + 0.15, "✓ correct")
    else:
        called = fitted(record["predicted"], panel - 0.56, 7.0, bold=True)
        page.text(left, top + 0.15, f"✗ called {called}", fontweight="bold")
    page.text(left, top + 0.27, f"probability {record['probability']:.3f}")
    if lacking is not None:
        words = fitted(f"no evidence for {lacking}", panel, 7.0)
        page.text(left, top + 0.27 + _CAPTION_LINE, words)


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


def _draw_legend(
    page: _Page, map_class: str | None, method: str | None, items: Sequence[LegendItem]
) -> None:
    """Say what colours and lines mean, as many samples a row as fit."""
    top = page.height - _FOOT + 0.1
    explained = "the predicted class" if map_class is None else fitted(map_class, 1.2, 7.0)
    note = f"{map_and_unit(f'for {explained}', method)}; one scale for the whole run"
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
