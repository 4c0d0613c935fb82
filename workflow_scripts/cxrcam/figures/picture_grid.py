"""Square pictures in rows and columns, with names, placed by hand in inches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from workflow_scripts.cxrcam.drawing.page import Page
from workflow_scripts.cxrcam.drawing.style import COLUMN_WIDTH, PAGE_WIDTH, fitted, wrapped
from workflow_scripts.cxrcam.maps.overlays import OPACITY, colour_bar

# All lengths in inches.
MARGIN: Final = 0.08
_GAP: Final = 0.06
"""Between two pictures."""
_HEAD: Final = 0.26
_HEAD_LINE: Final = 0.13
_LARGEST_PICTURE: Final = 2.2
_BAR: Final = 2.0
"""Length of the colour bar."""

_POINTS: Final = 8.0


@dataclass(frozen=True)
class PictureGrid(Page):
    """Square pictures in rows and columns, placed in inches from the top left corner.

    Attributes
    ----------
    left, top : float
        Corner of the first picture.
    side : float
        Of a picture.
    row_height : float
        From the top of a row to the top of the next one.
    """

    left: float
    top: float
    side: float
    row_height: float

    @staticmethod
    def make(
        rows: int,
        columns: int,
        *,
        left: float,
        labels: Sequence[str],
        foot: float,
        below: float = 0.0,
        largest: float = _LARGEST_PICTURE,
    ) -> PictureGrid:
        """Make a figure with named columns: a column wide for up to two pictures, else a page.

        Parameters
        ----------
        rows, columns : int
            Of pictures.
        left, foot : float
            Room left of and below all of them.
        labels : sequence of str
            Names of the columns, written above the first row in up to two lines.
        below : float
            Room for text below each row.
        largest : float
            Largest side of a picture.
        """
        width = COLUMN_WIDTH if columns <= 2 else PAGE_WIDTH
        room = width - left - MARGIN - (columns - 1) * _GAP
        side = min(largest, room / columns)
        # As wide as the pictures need: no empty right margin.
        width = max(COLUMN_WIDTH, left + columns * (side + _GAP) - _GAP + MARGIN)
        row_height = side + below + _GAP
        lines = max(wrapped(name, side, _POINTS, 2, bold=True).count("\n") for name in labels)
        head = _HEAD + lines * _HEAD_LINE
        height = head + rows * row_height - _GAP + foot
        figure = Figure(figsize=(width, height))
        grid = PictureGrid(figure, width, height, left, head, side, row_height)
        for column, name in enumerate(labels):
            grid._name_column(column, name)
        return grid

    def corner(self, row: int, column: int) -> tuple[float, float]:
        """Left end and top of a picture."""
        return self.left + column * (self.side + _GAP), self.top + row * self.row_height

    def show(self, picture: npt.ArrayLike, row: int, column: int) -> None:
        """Show a grey or RGB picture of 8 bits in its place."""
        axes = self.axes(*self.corner(row, column), self.side, self.side)
        axes.imshow(np.asarray(picture), cmap="gray", vmin=0, vmax=255)

    def _name_column(self, column: int, name: str) -> None:
        left, top = self.corner(0, column)
        self.text(
            left + self.side / 2,
            top - 0.04,
            wrapped(name, self.side, _POINTS, 2, bold=True),
            fontsize=_POINTS,
            fontweight="bold",
            ha="center",
            va="bottom",
        )

    def name_row(self, row: int, name: str) -> None:
        """Write a turned title left of a row."""
        left, top = self.corner(row, 0)
        self.text(
            left - 0.05,
            top + self.side / 2,
            fitted(name, self.side, _POINTS),
            fontsize=_POINTS,
            ha="right",
            va="center",
            rotation=90,
        )

    def name_class(self, row: int, name: str) -> None:
        """Write the name of a class left of its row, turned, in up to two lines."""
        left, top = self.corner(row, 0)
        self.text(
            left - 0.06,
            top + self.side / 2,
            wrapped(name, self.side, _POINTS, 2, bold=True),
            fontsize=_POINTS,
            fontweight="bold",
            ha="right",
            va="center",
            rotation=90,
            multialignment="center",
        )

    def draw_bar(self, bottom: float, high_end: str, meaning: str) -> None:
        """Draw the colour bar of the maps, with its ends and what it shows.

        Parameters
        ----------
        bottom : float
            From the lower edge of the figure to the top of the bar.
        high_end : str
            What stands below its right end.
        meaning : str
            What is shown, with the unit.
        """
        top = self.height - bottom
        bar = min(_BAR, self.width - self.left - MARGIN)
        axes = self.axes(self.left, top, bar, 0.12)
        axes.imshow(colour_bar(256, 16, OPACITY), aspect="auto", extent=(0, 1, 0, 1))
        self.text(self.left, top + 0.15, "≤ 0")
        self.text(self.left + bar, top + 0.15, high_end, ha="right")
        beside = self.width - self.left - bar - 0.1 - MARGIN
        if beside >= bar:
            self.text(self.left + bar + 0.1, top + 0.06, meaning, va="center")
        else:
            self.text(self.left, top - 0.03, meaning, va="bottom")
