"""The plane on which phantoms are drawn, and the few shapes that everything in them is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workflow_scripts.cxrcam.phantom.traits import PhantomTraits

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]

CANVAS_MARGIN = 0.043
"""Extra canvas on each side, as a share of the image: what a tilted body brings into view."""

REFERENCE_SIZE = 299
"""Side, in pixels, at which line widths are given."""


@dataclass(frozen=True)
class Canvas:
    """Upright drawing plane with body coordinates, n pixels a side."""

    x: FloatArray  # (1, n), distance from the midline; positive: patient's left, right in the image
    y: FloatArray  # (n, 1), height, downwards; apices of the lungs near -0.72, diaphragm near 0.45
    scale_x: float  # pixels per body unit
    scale_y: float
    line: float  # pixels on the canvas per pixel of a 299-pixel image

    @property
    def side(self) -> int:
        """Side of the canvas, in pixels."""
        return self.x.size

    def columns(self, low: float, high: float) -> slice:
        """Columns of the canvas between two distances from the midline."""
        return slice(*np.searchsorted(self.x[0], [low, high]).tolist())

    def rows(self, low: float, high: float) -> slice:
        """Rows of the canvas between two heights."""
        return slice(*np.searchsorted(self.y[:, 0], [low, high]).tolist())

    def pixel(self, x: FloatArray | float, y: FloatArray | float) -> NDArray[np.float64]:
        """Pixel position of points given in body coordinates, shape (..., 2)."""
        column = (np.asarray(x, np.float64) - float(self.x[0, 0])) * self.scale_x
        row = (np.asarray(y, np.float64) - float(self.y[0, 0])) * self.scale_y
        return np.stack([column, row], axis=-1)


def make_canvas(traits: PhantomTraits, size: int) -> Canvas:
    """Lay the body coordinates over a canvas slightly larger than the image of `size` pixels."""
    side = size + 2 * int(np.ceil(CANVAS_MARGIN * size))
    centred = (np.arange(side, dtype=np.float32) + 0.5 - side / 2) / (size / 2)
    zoom_x, zoom_y = traits.zoom * traits.aspect, traits.zoom
    return Canvas(
        x=((centred - traits.shift_x) / zoom_x)[None, :].astype(np.float32),
        y=((centred - traits.shift_y) / zoom_y)[:, None].astype(np.float32),
        scale_x=size / 2 * zoom_x,
        scale_y=size / 2 * zoom_y,
        line=size / REFERENCE_SIZE,
    )


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, int], *octaves: tuple[int, float]
) -> FloatArray:
    """Sum of Gaussian noises on coarse grids, interpolated smoothly to a shape.

    `octaves` are grid points along each side (the fewer, the smoother), ascending, and the standard
    deviation.
    """
    # Octaves meet on the grid of the finest one: enlarging to full size is what takes the time.
    grid: FloatArray | None = None
    for cells, deviation in octaves:
        noise = np.float32(deviation) * rng.standard_normal((cells, cells), dtype=np.float32)
        grid = noise if grid is None else noise + _enlarged(grid, (cells, cells))
    if grid is None:
        return np.zeros(shape, np.float32)
    return _enlarged(grid, shape)


def _enlarged(grid: FloatArray, shape: tuple[int, int]) -> FloatArray:
    large = Image.fromarray(grid).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(large)


def wobble(rng: np.random.Generator, t: FloatArray, amplitude: float) -> FloatArray:
    """Smooth random curve, so that no two contours are alike.

    `t` are places along the contour, about -1 to 1; `amplitude` is the typical deflection.
    """
    total = np.zeros_like(t)
    for frequency in (1.3, 2.4, 4.1):
        phase = rng.uniform(0, 2 * np.pi)
        total += np.sin(frequency * np.pi * t + phase).astype(np.float32) / np.float32(frequency)
    return np.asarray(amplitude * rng.uniform(0.5, 1.2) * total, np.float32)


def smooth_curve(canvas: Canvas, levels: list[float], values: list[float]) -> FloatArray:
    """Curve over the rows of the canvas, shape (n, 1), with `values` at increasing `levels`."""
    curve = np.interp(canvas.y[:, 0], levels, values)
    return rounded_off(curve, 0.055 * canvas.scale_y)[:, None]


def rounded_off(curve: NDArray[np.floating], radius: float) -> FloatArray:
    """Curve, shape (n,), whose corners are smoothed over so many pixels."""
    reach = max(1, round(radius))
    window = np.hanning(2 * reach + 3)
    padded = np.pad(curve, reach + 1, mode="edge")
    return np.convolve(padded, window / window.sum(), mode="valid").astype(np.float32)


def ramp(distance: NDArray[np.floating], width: float) -> FloatArray:
    """Soft step: 0 to 1 across zero distance, linear over `width`; any shape."""
    step: FloatArray = np.clip(distance / np.float32(width) + np.float32(0.5), 0, 1)
    return step.astype(np.float32, copy=False)


def half_chord(value: NDArray[np.floating]) -> FloatArray:
    """Path through a round body, `sqrt(value)` where positive and 0 outside; any shape."""
    chord: FloatArray = np.sqrt(np.maximum(value, np.float32(0)))
    return chord.astype(np.float32, copy=False)
