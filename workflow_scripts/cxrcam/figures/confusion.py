"""The confusion matrix as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from workflow_scripts.cxrcam.arrays import Float64Array, Int64Array
from workflow_scripts.cxrcam.drawing.style import BLACK, BLUE, GREY, LIGHT_GREY, styled, wrapped

# From white to the Okabe-Ito blue: one hue, ordered by lightness.
_SHARES = LinearSegmentedColormap.from_list("share", ["#FFFFFF", BLUE])

# Above this share a cell is dark enough to need white letters (contrast 4.5 : 1).
_WHITE_LETTERS_FROM: Final = 0.62


@styled
def confusion_figure(
    matrix: npt.ArrayLike, classes: Sequence[str], *, title: str = "Confusion matrix"
) -> Figure:
    """Draw a confusion matrix: share of each true class, with counts.

    Parameters
    ----------
    matrix : array-like of int, shape (k, k)
        Counts; rows are the truth. Matrices of several folds can be added before.
    classes : sequence of str, length k
        Class names in the order of the matrix.
    title : str
        Title.

    Returns
    -------
    Figure
        Cells are shaded by the share of their row; a true class without images shows "–".

    Raises
    ------
    ValueError
        If the matrix is not (k, k).
    """
    counts = np.asarray(matrix, dtype=np.int64)
    k = len(classes)
    if counts.shape != (k, k):
        raise ValueError(f"confusion matrix has shape {counts.shape} for {k} classes")
    row_sums = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, row_sums, out=np.zeros((k, k)), where=row_sums > 0)

    cell = max(0.47, min(0.85, 2.3 / k))
    # Rows of many classes are too low for three lines of a name; two longer ones stand beside.
    room, lines = (1.3, 2) if k > 4 else (0.95 if k > 3 else cell, 3)
    names = [wrapped(name, room, 7.0, lines) for name in classes]
    width = cell * k + room + 0.85
    figure = Figure(
        figsize=(width, cell * k + (1.1 + room if k > 3 else 1.45)), layout="constrained"
    )
    axes = figure.add_subplot()
    axes.imshow(shares, cmap=_SHARES, vmin=0.0, vmax=1.0)
    axes.grid(False)
    _write_cells(axes, counts, shares)
    axes.set_xticks(range(k), names, rotation=0 if k <= 3 else 90)
    axes.set_yticks(range(k), [f"{name}\n(n = {row_sums[i, 0]})" for i, name in enumerate(names)])
    # Thin white lines between the cells instead of a frame.
    axes.set_xticks(np.arange(1, k) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, k) - 0.5, minor=True)
    axes.grid(True, which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    for side in axes.spines.values():
        side.set_visible(True)
        side.set_color(LIGHT_GREY)
    figure.suptitle(wrapped(title, width - 0.2, 9.0, 2, bold=True))
    axes.set_title("share of the true class, number of images", fontsize=7.0, fontweight="normal")
    return figure


def _write_cells(axes: Axes, counts: Int64Array, shares: Float64Array) -> None:
    """Write share and count into each cell, those of the diagonal in bold letters."""
    for (row, column), count in np.ndenumerate(counts):
        share = shares[row, column]
        if counts[row].sum() == 0:
            text = "–"
        elif count == 0:
            # A bare 0: percentages of nothing would bury the confusions that do occur.
            text = "0"
        else:
            text = f"{100 * share:.0f} %\n{count}"
        ink = GREY if count == 0 else BLACK
        axes.text(
            column,
            row,
            text,
            ha="center",
            va="center",
            fontsize=7.0 if len(counts) > 4 else 8.0,
            fontweight="bold" if row == column else "normal",
            color="white" if share > _WHITE_LETTERS_FROM else ink,
        )
