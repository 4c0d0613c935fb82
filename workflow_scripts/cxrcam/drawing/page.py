"""A figure that is laid out by hand, in inches from its top left corner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.cxrcam.drawing.style import BLACK


@dataclass(frozen=True)
class Page:
    """A figure of `width` by `height` inches."""

    figure: Figure
    width: float
    height: float

    def axes(self, left: float, top: float, wide: float, high: float) -> Axes:
        """Make axes without ticks and frame."""
        lower = 1 - (top + high) / self.height
        place = (left / self.width, lower, wide / self.width, high / self.height)
        axes = self.figure.add_axes(place)
        axes.set_axis_off()
        return axes

    def text(self, left: float, top: float, text: str, **look: Any) -> None:  # noqa: ANN401
        """Write a text below a height, in 7 pt unless told otherwise."""
        common: dict[str, Any] = {"fontsize": 7.0, "va": "top", "color": BLACK}
        self.figure.text(left / self.width, 1 - top / self.height, text, **(common | look))
