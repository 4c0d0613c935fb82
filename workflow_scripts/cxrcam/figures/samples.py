"""Sample images: one a class, augmented, and with the map that explains them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from workflow_scripts.cxrcam.drawing.style import fitted, styled
from workflow_scripts.cxrcam.figures.picture_grid import MARGIN, PictureGrid, checked_pictures
from workflow_scripts.cxrcam.maps.overlays import OPACITY, overlay

# Lengths in inches.
_ROW_TITLE: Final = 0.2
"""Width of the turned titles of rows."""
_LINE: Final = 0.13
_MAP_FOOT: Final = 0.88
"""Two lines below the maps, and the colour bar."""

_SMALL: Final = 7.0


@styled
def sample_figure(images: npt.ArrayLike, labels: Sequence[str]) -> Figure:
    """Draw one sample image of each class side by side.

    Parameters
    ----------
    images : array-like of uint8, shape (k, s, s)
        One image a class.
    labels : sequence of str
        Their classes.

    Returns
    -------
    Figure
        Class names above the images.

    Raises
    ------
    ValueError
        If there is no image, it is not uint8 (k, s, s), or numbers differ.
    """
    pictures = checked_pictures(images, len(labels), "labels")
    grid = PictureGrid.make(1, len(pictures), left=MARGIN, labels=labels, foot=MARGIN)
    for column, picture in enumerate(pictures):
        grid.show(picture, 0, column)
    return grid.figure


def sample_caption(labels: Sequence[str], images: npt.ArrayLike, source: str) -> str:
    """Caption of `sample_figure` that stands alone.

    Parameters
    ----------
    labels, images
        As there.
    source : str
        Data set that the images come from.

    Returns
    -------
    str
        One paragraph.
    """
    return (
        f"One chest X-ray of each of {len(labels)} classes ({', '.join(labels)}; n = {len(labels)}"
        f" images) from {source}, before resizing: {_size_text(images)}, 8-bit grey."
    )


@styled
def augmentation_figure(
    original: npt.ArrayLike, augmented: npt.ArrayLike, labels: Sequence[str]
) -> Figure:
    """Draw images above their augmented versions, a column a class.

    Parameters
    ----------
    original, augmented : array-like of uint8, shape (k, s, s)
        One image a class before and after augmentation.
    labels : sequence of str
        Their classes.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        As `sample_figure`.
    """
    rows = [
        checked_pictures(original, len(labels), "labels"),
        checked_pictures(augmented, len(labels), "labels"),
    ]
    grid = PictureGrid.make(2, len(labels), left=MARGIN + _ROW_TITLE, labels=labels, foot=MARGIN)
    for row, (pictures, name) in enumerate(zip(rows, ("original", "flipped"), strict=True)):
        grid.name_row(row, name)
        for column, picture in enumerate(pictures):
            grid.show(picture, row, column)
    return grid.figure


def augmentation_caption(labels: Sequence[str], images: npt.ArrayLike, source: str) -> str:
    """Caption of `augmentation_figure` that stands alone.

    Parameters
    ----------
    labels, images
        Classes, and the original images.
    source : str
        Data set that the images come from.

    Returns
    -------
    str
        One paragraph.
    """
    return (
        f"Augmentation: one training image of each of {len(labels)} classes"
        f" ({', '.join(labels)}) above its horizontally flipped version. Images of all classes are"
        " flipped alike, so that the flip tells nothing about the class. Images:"
        f" {source}, {_size_text(images)}, 8-bit grey."
    )


@styled
def map_figure(
    images: npt.ArrayLike,
    activation: npt.ArrayLike,
    labels: Sequence[str],
    probabilities: Sequence[float],
    scale_max: float,
    *,
    predicted: Sequence[str] | None = None,
) -> Figure:
    """Draw images above their class activation maps, a column a class.

    Parameters
    ----------
    images : array-like of uint8, shape (k, s, s)
        One image a class.
    activation : array-like of float, shape (k, s, s)
        Class activation of the predicted class, placed, in units of `scale_max`; see
        `placement.normalise_map`.
    labels : sequence of str
        True classes.
    probabilities : sequence of float
        Of the predicted class, in [0, 1].
    scale_max : float
        Class activation (logits) at full colour.
    predicted : sequence of str, optional
        Predicted classes; default: `labels`.

    Returns
    -------
    Figure
        Below each pair a sign and a word for right or wrong, and the predicted probability.

    Raises
    ------
    ValueError
        As `sample_figure`, if an activation is not finite, or if a probability is outside [0, 1].
    """
    pictures = checked_pictures(images, len(labels), "labels")
    called = list(labels if predicted is None else predicted)
    maps = np.asarray(activation)
    if not len(maps) == len(called) == len(probabilities) == len(pictures):
        raise ValueError(
            f"{len(pictures)} images, {len(maps)} maps, {len(called)} predicted classes and"
            f" {len(probabilities)} probabilities; each image needs one of each"
        )
    if any(not 0.0 <= probability <= 1.0 for probability in probabilities):
        raise ValueError(f"a probability is outside [0, 1]: {list(probabilities)}")
    left = MARGIN + _ROW_TITLE
    grid = PictureGrid.make(2, len(labels), left=left, labels=labels, foot=_MAP_FOOT)
    grid.name_row(0, "original")
    grid.name_row(1, "class activation")
    for column, picture in enumerate(pictures):
        grid.show(picture, 0, column)
        grid.show(overlay(picture, maps[column], OPACITY), 1, column)
        wrong = called[column] if called[column] != labels[column] else None
        _write_answer(grid, column, wrong, probabilities[column])
    grid.draw_bar(0.36, f"≥ {scale_max:.3g}", "class activation for the predicted class (logits)")
    return grid.figure


def _write_answer(grid: PictureGrid, column: int, wrong: str | None, probability: float) -> None:
    """Write below a column whether the network was right, or what it called the image."""
    left, top = grid.corner(1, column)
    top += grid.side + 0.03
    if wrong is None:
        grid.text(left, top, "✓ correct")
    else:
        name = fitted(wrong, grid.side - 0.55, _SMALL, bold=True)
        grid.text(left, top, f"✗ called {name}", fontweight="bold")
    grid.text(left, top + _LINE, f"probability {probability:.3f}")


def map_caption(
    labels: Sequence[str],
    scale_max: float,
    *,
    model: str,
    source: str,
) -> str:
    """Caption of `map_figure` that stands alone.

    Parameters
    ----------
    labels : sequence of str
        True classes.
    scale_max : float
        Class activation (logits) at full colour.
    model : str
        What made the maps.
    source : str
        Images that are shown, and how they were chosen.

    Returns
    -------
    str
        One paragraph.
    """
    return (
        f"Class activation maps of {model}: one test image of each of {len(labels)} classes"
        f" ({', '.join(labels)}) above the same image with the map of the predicted class on it."
        f" Images: {source}. The mean of a map plus the bias is the logit of the class. Lines"
        " enclose the smallest regions that hold half (thin) and a quarter (thick) of what is"
        f" positive; colour grows from 0 (clear) to {scale_max:.3g} logits or more, one scale for"
        " all images, and lines are dashed where it stays below a quarter of that. Below: whether"
        " the prediction is right, and the predicted probability. A map shows what the network"
        " used, not where a disease is."
    )


def _size_text(images: npt.ArrayLike) -> str:
    height, width = np.shape(images)[1:3]
    return f"{height} × {width} pixels"
