"""Figures of near-duplicates: their clusters, and pairs whose labels contradict each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from workflow_scripts.cxrcam.arrays import UInt8Array
from workflow_scripts.cxrcam.data.cache import read_pixels
from workflow_scripts.cxrcam.data.clusters import cluster_labels
from workflow_scripts.cxrcam.drawing.style import GREY, PAGE_WIDTH, fitted, styled, wrapped
from workflow_scripts.cxrcam.figures.picture_grid import MARGIN, PictureGrid

MOST_CLUSTERS: Final = 12
MOST_IMAGES: Final = 6
"""Images in a row, and most images of one cluster that are shown."""
MOST_CONFLICTS: Final = 12

# Lengths in inches.
_COLUMN_GAP: Final = 0.06
_TITLE: Final = 0.36
_GROUP_NAME: Final = 0.2
_LINE: Final = 0.125
_EMPTY_HEIGHT: Final = 0.62
_SIDE: Final = (PAGE_WIDTH - 2 * MARGIN - (MOST_IMAGES - 1) * _COLUMN_GAP) / MOST_IMAGES

_SMALL: Final = 7.0
_TITLE_SIZE: Final = 9.0


def largest_clusters(pairs: pd.DataFrame) -> list[list[str]]:
    """Images of the clusters that are shown: for these, thumbnails must be at hand.

    Parameters
    ----------
    pairs : DataFrame
        ``image_id_a``, ``image_id_b``, as from `duplicates.find_duplicates`.

    Returns
    -------
    list of list of str
        Largest cluster first, equal ones in the order of their first pair; within each, the
        images in the order in which they appear in the pairs.
    """
    clusters = sorted(_clusters(pairs), key=len, reverse=True)
    return [cluster[:MOST_IMAGES] for cluster in clusters[:MOST_CLUSTERS]]


@styled
def duplicate_clusters_figure(
    pairs: pd.DataFrame,
    image_ids: Sequence[str],
    labels: Sequence[str],
    thumbnails: UInt8Array,
    *,
    searched: int,
) -> Figure:
    """Draw clusters of near-duplicates, largest first.

    A cluster is what hangs together by pairs. Its images stand side by side; small clusters share
    a row.

    Parameters
    ----------
    pairs : DataFrame
        ``image_id_a``, ``image_id_b``, ``correlation``, ``kind``, as from
        `duplicates.find_duplicates`: all pairs, for the totals.
    image_ids, labels : sequence of str, length n
        At least the images that `largest_clusters` names, and their classes.
    thumbnails : uint8 array, shape (n, s, s)
        Their pictures, grey.
    searched : int
        Number of images among which duplicates were looked for.

    Returns
    -------
    Figure
        Below each image its label, its id, and the kind and correlation of its closest pair in
        the cluster. Without pairs, a figure that says so.
    """
    if pairs.empty:
        return _empty_figure(f"No near-duplicates among {searched:,} images")
    sizes = sorted((len(cluster) for cluster in _clusters(pairs)), reverse=True)
    shown = largest_clusters(pairs)
    known = dict(zip(image_ids, zip(labels, thumbnails, strict=True), strict=True))
    closest = _closest_pairs(pairs)
    places = _packed([len(cluster) for cluster in shown])
    grid = _grid(places[-1][0] + 1, 5, _clusters_title(sizes, searched, len(shown)))
    for number, (cluster, (row, first)) in enumerate(zip(shown, places, strict=True)):
        size = sizes[number]
        part = f", {len(cluster)} shown" if len(cluster) < size else ""
        _name_group(grid, row, first, len(cluster), f"Cluster {number + 1}: {size} images{part}")
        for column, image_id in enumerate(cluster, start=first):
            kind, correlation = closest[image_id]
            label, picture = known[image_id]
            grid.show(picture, row, column)
            _write_below(grid, row, column, label, image_id, [f"{kind} {correlation:.3f}"])
    return grid.figure


def duplicate_clusters_caption(pairs: pd.DataFrame, searched: int, source: str) -> str:
    """Caption of `duplicate_clusters_figure` that stands alone; `source`: data set of images."""
    if pairs.empty:
        return f"No exact or near-duplicates were found among the {searched:,} images of {source}."
    clusters = _clusters(pairs)
    images = sum(len(cluster) for cluster in clusters)
    counts = pairs["kind"].value_counts()
    kinds = ", ".join(f"{counts[kind]:,} {kind}" for kind in sorted(counts.index))
    return (
        f"Near-duplicates among the {searched:,} images of {source}:"
        f" {_counted(len(clusters), 'cluster')} with {_counted(images, 'image')}; pairs by kind:"
        f" {kinds}. The largest clusters are shown. Below each image: its class, its name, and how"
        " its closest copy in the cluster differs, with the correlation of the two after local"
        " contrast normalisation (1 = identical). Copies on both sides of a split let a network"
        " recognise a test image instead of its finding."
    )


@styled
def label_conflicts_figure(
    conflicts: pd.DataFrame,
    thumbnails_a: UInt8Array,
    thumbnails_b: UInt8Array,
    *,
    source: str,
) -> Figure:
    """Draw pairs of one picture under two labels, side by side.

    Parameters
    ----------
    conflicts : DataFrame of k rows
        ``image_id_a``, ``image_id_b``, ``label_a``, ``label_b``, ``correlation``, ``kind``,
        ``data_set_b``, as from `duplicates.conflicts.in_turn`; shown in this order.
    thumbnails_a, thumbnails_b : uint8 array, shape (k, s, s)
        Pictures of both images of each row, grey. Those of the first `MOST_CONFLICTS` rows are
        enough.
    source : str
        Data set of all left images; where the right one is of another, that is named.

    Returns
    -------
    Figure
        Above each pair its kind and correlation, and the data set of the right image where that
        is not `source`; below each image its label and its id. Without
        conflicts, a figure that says so.
    """
    if conflicts.empty:
        return _empty_figure("No picture bears two different labels")
    shown = conflicts.head(MOST_CONFLICTS).reset_index(drop=True)
    sides = (thumbnails_a, thumbnails_b)
    places = _packed([2] * len(shown))
    title = f"{_counted(len(conflicts), 'pair')} of one picture under two labels"
    if len(shown) < len(conflicts):
        title += f"; showing {len(shown)}"
    grid = _grid(places[-1][0] + 1, 4, title)
    for number, (row, first) in enumerate(places):
        pair = {str(name): value for name, value in shown.iloc[number].items()}
        name = f"{pair['kind']} {pair['correlation']:.3f}"
        if pair["data_set_b"] != source:
            name += f" in {pair['data_set_b']}"
        _name_group(grid, row, first, 2, name)
        for column, (side, pictures) in enumerate(zip("ab", sides, strict=True), start=first):
            grid.show(pictures[number], row, column)
            label, image_id = str(pair[f"label_{side}"]), str(pair[f"image_id_{side}"])
            _write_below(grid, row, column, label, image_id)
    return grid.figure


def label_conflicts_caption(conflicts: pd.DataFrame, source: str, external: Sequence[str]) -> str:
    """Caption of `label_conflicts_figure` that stands alone.

    Parameters
    ----------
    conflicts : DataFrame
        As there.
    source : str
        Data set of the left images, and of the right ones where nothing else is said.
    external : sequence of str
        Data sets that it was compared with besides.
    """
    where = f"within {source}"
    if external:
        where += f", or of {source} and {' or '.join(external)},"
    if conflicts.empty:
        return f"No two images {where} that show one picture bear different labels."
    return (
        f"Label conflicts: {_counted(len(conflicts), 'pair')} of images {where} that show one"
        " picture under two labels, closest matches first. Above each pair: how the copy differs,"
        " the correlation of the two after local contrast normalisation (1 = identical), and the"
        " data set of the right image where it is another one."
        " Below: label and name, as the data set spells them. At least one label of each pair is"
        " wrong, or the picture fits both classes."
    )


def _clusters(pairs: pd.DataFrame) -> list[list[str]]:
    """Images that hang together by pairs, in the order in which they appear."""
    ends = pairs[["image_id_a", "image_id_b"]].to_numpy(dtype=object)
    rows, names = pd.factorize(ends.ravel())
    labels = cluster_labels(len(names), rows.reshape(-1, 2))
    clusters: dict[int, list[str]] = {}
    for name, label in zip(names, labels.tolist(), strict=True):
        clusters.setdefault(label, []).append(str(name))
    return list(clusters.values())


def _closest_pairs(pairs: pd.DataFrame) -> dict[str, tuple[str, float]]:
    """Kind and correlation of each image's closest pair; identical images are closest."""
    order = pairs.assign(is_exact=pairs["kind"] == "exact").sort_values(
        ["is_exact", "correlation"], ascending=False, kind="stable"
    )
    columns = (order[name] for name in ("image_id_a", "image_id_b", "kind", "correlation"))
    closest: dict[str, tuple[str, float]] = {}
    for a, b, kind, correlation in zip(*columns, strict=True):
        for image_id in (a, b):
            closest.setdefault(image_id, (kind, correlation))
    return closest


def _packed(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Row and first column of groups of pictures, in their order, as many in a row as fit."""
    places = []
    row = column = 0
    for size in sizes:
        if column + size > MOST_IMAGES:
            row, column = row + 1, 0
        places.append((row, column))
        column += size
    return places


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
    ends = [left / grid.width, (left + room) / grid.width]
    height = 1 - (top - 0.04) / grid.height
    grid.figure.add_artist(Line2D(ends, [height, height], color=GREY, linewidth=0.7))


def _write_below(
    grid: PictureGrid,
    row: int,
    column: int,
    label: str,
    image_id: str,
    lines: Sequence[str] = (),
) -> None:
    """Write label, name (in up to two lines each) and further lines below a picture."""
    left, top = grid.corner(row, column)
    top += _SIDE + 0.03
    for text, bold in ((label, True), (image_id, False)):
        for line in wrapped(text, _SIDE, _SMALL, 2, bold=bold).split("\n"):
            grid.text(left, top, line, fontweight="bold" if bold else "normal")
            top += _LINE
    for line in lines:
        grid.text(left, top, fitted(line, _SIDE, _SMALL))
        top += _LINE


def _clusters_title(sizes: Sequence[int], searched: int, shown: int) -> str:
    title = (
        f"Near-duplicates among {searched:,} images: {_counted(len(sizes), 'cluster')},"
        f" {_counted(sum(sizes), 'image')}"
    )
    return title if shown == len(sizes) else f"{title}; showing {shown}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _empty_figure(text: str) -> Figure:
    """Figure that says that there is nothing to show."""
    figure = Figure(figsize=(PAGE_WIDTH, _EMPTY_HEIGHT))
    room = PAGE_WIDTH - 2 * MARGIN
    figure.text(0.5, 0.5, fitted(text, room, 8.0), ha="center", va="center", color=GREY, fontsize=8)
    return figure


def conflict_pictures(
    conflicts: pd.DataFrame, shards: Mapping[str, Sequence[Path]], size: int
) -> UInt8Array:
    """Right pictures of n label conflicts, uint8 (n, size, size), from their data sets' caches."""
    images = np.empty((len(conflicts), size, size), dtype=np.uint8)
    for data_set, rows in conflicts.groupby("data_set_b").indices.items():
        names = conflicts["image_id_b"].iloc[rows]
        # The same image may stand in several pairs, but is asked for once.
        unique, place = np.unique(names.to_numpy(dtype=object), return_inverse=True)
        images[rows] = read_pixels(shards[str(data_set)], unique.tolist(), size)[place]
    return images
