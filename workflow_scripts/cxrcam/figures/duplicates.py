"""Pairs of copies: both pictures, and one laid over the other, so that a reader sees it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from workflow_scripts.cxrcam.arrays import UInt8Array
from workflow_scripts.cxrcam.data.cache import cached_size, read_pixels_within
from workflow_scripts.cxrcam.drawing.style import GREY, PAGE_WIDTH, fitted, styled, wrapped
from workflow_scripts.cxrcam.duplicates.alignment import checkerboard
from workflow_scripts.cxrcam.duplicates.risk import has_two_labels
from workflow_scripts.cxrcam.figures.picture_grid import MARGIN, PictureGrid

MOST_CLUSTERS: Final = 12
#: Pixels of images beyond this many MB wait in a file without a name.
PIXEL_MEMORY_MB: Final = 400

# Lengths in inches.
_COLUMNS: Final = 6
_COLUMN_GAP: Final = 0.06
_TITLE: Final = 0.36
_GROUP_NAME: Final = 0.2
_LINE: Final = 0.125
_EMPTY_HEIGHT: Final = 0.62
_SIDE: Final = (PAGE_WIDTH - 2 * MARGIN - (_COLUMNS - 1) * _COLUMN_GAP) / _COLUMNS

_SMALL: Final = 7.0
_TITLE_SIZE: Final = 9.0


def pair_pictures(
    copies: pd.DataFrame, shards: Mapping[str, Sequence[str | Path]]
) -> Iterator[UInt8Array]:
    """Of each pair in turn: picture a, picture b, and a checkerboard of both.

    Parameters
    ----------
    copies : DataFrame
        Rows of `duplicates.risk.copies_by_risk`.
    shards : mapping of str to sequence of path
        Cache files of each data set; first the one that ``image_id_a`` is of.

    Yields
    ------
    uint8 array, shape (3, size, size)

    Raises
    ------
    CacheError
        As from `data.cache.read_pixels`.
    """
    own = next(iter(shards))
    wanted = [(own, image) for image in copies["image_id_a"]]
    wanted += zip(copies["data_set_b"], copies["image_id_b"], strict=True)
    found: dict[tuple[str, str], UInt8Array] = {}
    for data_set, files in shards.items():
        names = sorted({image for of, image in wanted if of == data_set})
        paths = [Path(file) for file in files]
        if names:
            pixels = read_pixels_within(paths, names, cached_size(paths), PIXEL_MEMORY_MB)
            found |= {(data_set, name): one for name, one in zip(names, pixels, strict=True)}
    for row in copies.to_dict("records"):
        a, b = found[own, row["image_id_a"]], found[row["data_set_b"], row["image_id_b"]]
        transform = [[row[f"transform_{line}{part}"] for part in "xy0"] for line in "xy"]
        inverted = row["kind"] == "inverted"
        yield np.stack([a, b, checkerboard(a, b, np.array(transform), inverted=inverted)])


def cluster_heads(copies: pd.DataFrame) -> pd.DataFrame:
    """Rows of `copies_by_risk` that the figure shows: of each of the first clusters, its first."""
    return copies.drop_duplicates("cluster").head(MOST_CLUSTERS)


@styled
def copies_figure(
    copies: pd.DataFrame, pictures: Sequence[UInt8Array], *, own: str, searched: int
) -> Figure:
    """Draw the riskiest pair of each of the riskiest clusters.

    Parameters
    ----------
    copies : DataFrame
        As from `duplicates.risk.copies_by_risk`: all pairs, for the totals.
    pictures : sequence of uint8 array, shape (3, size, size)
        As from `pair_pictures`, of the rows of `cluster_heads`.
    own : str
        Data set of all left images; where the right one is of another, that is named.
    searched : int
        Number of images among which copies were looked for.

    Returns
    -------
    Figure
        Below each image its label and its id, below the checkerboard of both how they differ and
        their correlation. Without pairs, a figure that says so.
    """
    if copies.empty:
        return _empty_figure(f"No near-duplicates among {searched:,} images")
    heads = cluster_heads(copies)
    sizes = images_of(copies, own).groupby("cluster").size()
    title = (
        f"Near-duplicates among {searched:,} images: {_counted(len(sizes), 'cluster')},"
        f" {_counted(int(sizes.sum()), 'image')}"
    )
    if len(heads) < len(sizes):
        title += f"; showing {len(heads)}"
    grid = _grid(-(-len(heads) // 2), 4, title)
    for number, (row, pair) in enumerate(zip(heads.to_dict("records"), pictures, strict=True)):
        line, first = number // 2, number % 2 * 3
        name = f"Cluster {row['cluster']}: {sizes[row['cluster']]} images"
        if has_two_labels(heads).iloc[number]:
            name += ", two labels"
        if row["data_set_b"] != own:
            name += f", right one in {row['data_set_b']}"
        _name_group(grid, line, first, 3, name)
        for column, picture in enumerate(pair, start=first):
            grid.show(picture, line, column)
        for column, side in enumerate("ab", start=first):
            _write_below(grid, line, column, row[f"label_{side}"], row[f"image_id_{side}"])
        _write_below(
            grid,
            line,
            first + 2,
            row["kind"].replace("_", " "),
            f"correlation {row['correlation']:.3f}",
        )
    return grid.figure


def copies_caption(copies: pd.DataFrame, own: str, external: Sequence[str], searched: int) -> str:
    """Caption of `copies_figure` that stands alone; `external` was compared with `own` as well."""
    where = f"the {searched:,} images of {own}"
    if external:
        where += f", and between these and {' or '.join(external)}"
    if copies.empty:
        return f"No exact or near-duplicates were found among {where}."
    kinds = ", ".join(
        f"{n:,} {kind}" for kind, n in copies["kind"].value_counts().sort_index().items()
    )
    images = images_of(copies, own)
    two = int(has_two_labels(copies).sum())
    return (
        f"Near-duplicates among {where}: {_counted(images['cluster'].nunique(), 'cluster')} with "
        f"{_counted(len(images), 'image')}; pairs by kind: {kinds}. "
        f"{_counted(two, 'pair')} of one picture under two labels. Of each cluster the pair that "
        "does most harm: two labels first, then two data sets, then the weakest correlation. The "
        "third picture is a checkerboard of the first and, laid over it, the second: in copies, "
        "lines go on across its squares. Correlation: of both after local contrast normalisation "
        "(1 = identical). Copies on both sides of a split let a network recognise a test image "
        "instead of its finding."
    )


def images_of(copies: pd.DataFrame, own: str) -> pd.DataFrame:
    """Each image of the pairs once: ``cluster``, ``data_set``, ``image_id``."""
    ends = [
        copies[["cluster"]].assign(data_set=of, image_id=copies[f"image_id_{side}"])
        for side, of in (("a", own), ("b", copies["data_set_b"]))
    ]
    return pd.concat(ends, ignore_index=True).drop_duplicates()


def _grid(rows: int, lines: int, title: str) -> PictureGrid:
    """Page for rows of pictures, each with room for a name above and lines of text below."""
    below = _GROUP_NAME + lines * _LINE + 0.1
    top = _TITLE + _GROUP_NAME
    height = top + rows * (_SIDE + below) - _GROUP_NAME + MARGIN
    figure = Figure(figsize=(PAGE_WIDTH, height))
    grid = PictureGrid(figure, PAGE_WIDTH, height, MARGIN, top, _SIDE, _SIDE + below)
    text = fitted(title, PAGE_WIDTH - 2 * MARGIN, _TITLE_SIZE, bold=True)
    grid.text(MARGIN, 0.08, text, fontsize=_TITLE_SIZE, fontweight="bold")
    return grid


def _name_group(grid: PictureGrid, row: int, first: int, count: int, name: str) -> None:
    """Write a name above neighbouring pictures, with a rule that spans them."""
    left, top = grid.corner(row, first)
    room = count * (_SIDE + _COLUMN_GAP) - _COLUMN_GAP
    text = fitted(name, room, _SMALL, bold=True)
    grid.text(left, top - _GROUP_NAME, text, fontweight="bold")
    ends = [left / grid.width, (left + room - _COLUMN_GAP) / grid.width]
    height = 1 - (top - 0.04) / grid.height
    grid.figure.add_artist(Line2D(ends, [height, height], color=GREY, linewidth=0.7))


def _write_below(grid: PictureGrid, row: int, column: int, name: str, text: str) -> None:
    """Write a name, in bold, and a text, in up to two lines each, below a picture."""
    left, top = grid.corner(row, column)
    top += _SIDE + 0.03
    for words, bold in ((name, True), (text, False)):
        for line in wrapped(words, _SIDE, _SMALL, 2, bold=bold).split("\n"):
            grid.text(left, top, line, fontweight="bold" if bold else "normal")
            top += _LINE


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _empty_figure(text: str) -> Figure:
    """Figure that says that there is nothing to show."""
    figure = Figure(figsize=(PAGE_WIDTH, _EMPTY_HEIGHT))
    room = PAGE_WIDTH - 2 * MARGIN
    figure.text(0.5, 0.5, fitted(text, room, 8.0), ha="center", va="center", color=GREY, fontsize=8)
    return figure
