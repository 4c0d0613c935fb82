"""Sample images: one a class, augmented, and with the map that explains them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from matplotlib.figure import Figure

from workflow_scripts.cxrcam.arrays import Float32Array, UInt8Array
from workflow_scripts.cxrcam.drawing.style import fitted, styled
from workflow_scripts.cxrcam.figures.picture_grid import MARGIN, PictureGrid
from workflow_scripts.cxrcam.maps.overlays import OPACITY, overlay

# Lengths in inches.
_ROW_TITLE: Final = 0.2
"""Width of the turned titles of rows."""
_LINE: Final = 0.13
_MAP_FOOT: Final = 0.88
"""Two lines below the maps, and the colour bar."""

_SMALL: Final = 7.0


@styled
def sample_figure(images: UInt8Array, labels: Sequence[str]) -> Figure:
    """Draw one sample image of each class, uint8 (k, s, s), below the name of its class."""
    grid = PictureGrid.make(1, len(images), left=MARGIN, labels=labels, foot=MARGIN)
    for column, picture in enumerate(images):
        grid.show(picture, 0, column)
    return grid.figure


def sample_caption(labels: Sequence[str], sizes: Sequence[tuple[int, int]], source: str) -> str:
    """Caption of `sample_figure` that stands alone.

    Parameters
    ----------
    labels : sequence of str
        Classes of the images.
    sizes : sequence of (int, int)
        Width and height of their files, in pixels.
    source : str
        Data set of the images.
    """
    return (
        f"One chest X-ray of each of {len(labels)} classes ({', '.join(labels)}; n = {len(labels)}"
        f" images) from {source}, before resizing: {_size_text(sizes)}, 8-bit grey."
    )


@styled
def augmentation_figure(original: UInt8Array, flipped: UInt8Array, labels: Sequence[str]) -> Figure:
    """Draw one image of each class, uint8 (k, s, s), above its flipped version."""
    grid = PictureGrid.make(2, len(labels), left=MARGIN + _ROW_TITLE, labels=labels, foot=MARGIN)
    for row, (name, pictures) in enumerate((("original", original), ("flipped", flipped))):
        grid.name_row(row, name)
        for column, picture in enumerate(pictures):
            grid.show(picture, row, column)
    return grid.figure


def augmentation_caption(
    labels: Sequence[str], sizes: Sequence[tuple[int, int]], source: str
) -> str:
    """Caption of `augmentation_figure` that stands alone; parameters as of `sample_caption`."""
    return (
        f"Augmentation: one chest X-ray of each of {len(labels)} classes"
        f" ({', '.join(labels)}) above its horizontally flipped version. Images of all classes are"
        " flipped alike, so that the flip tells nothing about the class. Images:"
        f" {source}, {_size_text(sizes)}, 8-bit grey."
    )


@styled
def map_figure(
    images: UInt8Array,
    activation: Float32Array,
    labels: Sequence[str],
    predicted: Sequence[str],
    probabilities: Sequence[float],
    scale_max: float,
) -> Figure:
    """Draw images above their class activation maps, a column a class.

    Parameters
    ----------
    images : uint8 array, shape (k, s, s)
        One image a class.
    activation : float array, shape (k, s, s)
        Class activation of the predicted class, placed, in units of `scale_max`; see
        `placement.normalise_map`.
    labels, predicted : sequence of str
        True and predicted classes.
    probabilities : sequence of float
        Of the predicted class, in [0, 1].
    scale_max : float
        Class activation (logits) at full colour.

    Returns
    -------
    Figure
        Below each pair a sign and a word for right or wrong, and the predicted probability.
    """
    left = MARGIN + _ROW_TITLE
    grid = PictureGrid.make(2, len(labels), left=left, labels=labels, foot=_MAP_FOOT)
    grid.name_row(0, "original")
    grid.name_row(1, "class activation")
    for column, picture in enumerate(images):
        grid.show(picture, 0, column)
        grid.show(overlay(picture, activation[column], OPACITY), 1, column)
        wrong = predicted[column] if predicted[column] != labels[column] else None
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
    labels: Sequence[str], scale_max: float, *, model: str, source: str, decomposed: bool = False
) -> str:
    """Caption of `map_figure` that stands alone.

    Parameters
    ----------
    labels, scale_max
        As there.
    model : str
        What made the maps.
    source : str
        Images that are shown, and how they were chosen.
    decomposed : bool
        Whether the network learnt each class as sub-classes.
    """
    beside = "a number of the image, the same at all places," if decomposed else "the bias"
    return (
        f"Class activation maps of {model}: one test image of each of {len(labels)} classes"
        f" ({', '.join(labels)}) above the same image with the map of the predicted class on it."
        f" Images: {source}. The mean of a map plus {beside} is the logit of the class. Lines"
        " enclose the smallest regions that hold half (thin) and a quarter (thick) of what is"
        f" positive; colour grows from 0 (clear) to {scale_max:.3g} logits or more, one scale for"
        " all images, and lines are dashed where it stays below a quarter of that. Below: whether"
        " the prediction is right, and the predicted probability. A map shows what the network"
        " used, not where a disease is."
    )


def _size_text(sizes: Sequence[tuple[int, int]]) -> str:
    """Each size once: "256 × 256 pixels", or "256 × 256, 299 × 300 pixels"."""
    return f"{', '.join(f'{width} × {height}' for width, height in dict.fromkeys(sizes))} pixels"
