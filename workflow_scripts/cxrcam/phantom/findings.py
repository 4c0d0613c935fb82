"""Disease in the lungs of a phantom: air replaced by fluid, in the pattern of the finding."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from workflow_scripts.cxrcam.phantom.anatomy import Anatomy
from workflow_scripts.cxrcam.phantom.canvas import BoolArray, Canvas, FloatArray, smooth_noise
from workflow_scripts.cxrcam.phantom.lungs import Lung, draw_branches

VISIBLE_HAZE = 0.22
"""Extent of ground glass, 0 to 1, above which it is marked in the lesion mask."""

VISIBLE_PATTERN = 0.45
"""The same for the interstitial pattern, which needs more before a reader sees it."""

VISIBLE_FLUID = 0.3
"""The same for fluid in the pleural space."""


def add_finding(
    finding: str, anatomy: Anatomy, canvas: Canvas, difficulty: float, rng: np.random.Generator
) -> tuple[FloatArray, BoolArray]:
    """Add a finding to a healthy thorax.

    `finding` is one of `traits.FINDINGS`: several at once are joined by "|"; `difficulty` goes from
    0 (obvious) to 1 (nearly invisible).

    Returns
    -------
    attenuation : ndarray of float32, shape (n, n)
        Attenuation with the finding.
    lesion_mask : ndarray of bool, shape (n, n)
        Where the finding is visible; always inside the lung fields.
    """
    attenuation, visible = anatomy.attenuation, np.zeros_like(anatomy.lung_mask)
    for one in finding.split("|"):
        if one == "Normal":
            continue
        pattern, seen_above = _PATTERNS[one]
        extent, opacity = pattern(anatomy, canvas, rng)
        # A tenth of the contrast is left at difficulty 1, so that the task never becomes undefined.
        contrast = (1.0 - 0.9 * difficulty) * rng.uniform(0.8, 1.3)
        attenuation = attenuation + anatomy.air * np.minimum(contrast * opacity, 0.92)
        visible = visible | (extent > seen_above)
    return attenuation, visible & anatomy.lung_mask


def _ground_glass(
    anatomy: Anatomy, canvas: Canvas, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Draw patchy, hazy opacities in the outer and lower parts of both lungs."""
    shape = anatomy.air.shape
    extent = np.zeros(shape, np.float32)
    for lung in anatomy.lungs:
        height = lung.base - lung.apex
        for _ in range(int(rng.integers(4, 8))):
            level = lung.apex + height * rng.uniform(0.42, 0.95)
            row = int(np.clip(np.searchsorted(canvas.y[:, 0], level), 0, canvas.side - 1))
            wall = float(lung.lateral[row, 0])
            centre_x = lung.sign * wall * rng.uniform(0.62, 0.92)
            half_x, half_y = rng.uniform(0.08, 0.20), rng.uniform(0.10, 0.24)
            x = canvas.x[:, lung.columns]
            blob_x = np.exp(-(((x - np.float32(centre_x)) / np.float32(half_x)) ** 2))
            blob_y = np.exp(-(((canvas.y - np.float32(level)) / np.float32(half_y)) ** 2))
            blob = np.float32(rng.uniform(0.7, 1.0)) * blob_y * blob_x
            half = extent[:, lung.columns]
            np.maximum(half, blob, out=half)
    # Noise shifts the threshold rather than the field, so that edges fray without leaving islands.
    edge = smooth_noise(rng, shape, (14, 0.20), (34, 0.12))
    extent = np.clip((extent * (1 + edge) - 0.15) * np.float32(1.35), 0, 1)
    haze = np.float32(0.62) + smooth_noise(rng, shape, (26, 0.09), (64, 0.08))
    return extent, np.clip(extent * haze, 0, 1)


def _interstitial_pattern(
    anatomy: Anatomy, canvas: Canvas, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Draw streaks, a net of lines and thickened bronchi spreading from both hila."""
    shape = anatomy.air.shape
    extent = np.zeros(shape, np.float32)
    layer = Image.new("L", (canvas.side, canvas.side))
    pen = ImageDraw.Draw(layer)
    for lung in anatomy.lungs:
        hilum_x, hilum_y = lung.hilum
        half_x, half_y = rng.uniform(0.32, 0.44), rng.uniform(0.36, 0.5)
        near_x = (canvas.x - np.float32(hilum_x + lung.sign * 0.10)) / np.float32(half_x)
        near_y = (canvas.y - np.float32(hilum_y + 0.06)) / np.float32(half_y)
        extent = np.maximum(extent, np.exp(-(near_x**2)) * np.exp(-(near_y**2)))
        draw_branches(pen, canvas, lung, rng, trunks=22)
        _draw_bronchial_rings(pen, canvas, lung, rng)
    extent *= 1 + smooth_noise(rng, shape, (8, 0.25))
    streaks = np.asarray(layer.filter(ImageFilter.BoxBlur(0.8 * canvas.line)), np.float32)
    # Ridges of smooth noise make a net whose meshes have the size of the noise; several sizes
    # together keep single meshes from standing out as worms.
    net = np.zeros(shape, np.float32)
    for cells in (25, 40, 62):
        ridge = np.abs(smooth_noise(rng, shape, (cells, 1.0)))
        net += np.clip(1 - ridge * np.float32(1 / 0.45), 0, 1) * np.float32(1 / 3)
    # Between the thickened walls air is trapped: meshes are a little darker than healthy lung.
    opacity = extent * (np.float32(1.0) * net + np.float32(0.42 / 255) * streaks - 0.15)
    return extent, np.clip(opacity, -0.12, 1)


def _draw_bronchial_rings(
    pen: ImageDraw.ImageDraw, canvas: Canvas, lung: Lung, rng: np.random.Generator
) -> None:
    """Draw thick-walled bronchi seen end on, as small rings near the hilum."""
    for _ in range(int(rng.integers(4, 8))):
        away, down = lung.sign * rng.uniform(0.0, 0.2), rng.normal(0, 0.12)
        centre = canvas.pixel(lung.hilum[0] + away, lung.hilum[1] + down)
        radius = rng.uniform(2.5, 4.0) * canvas.line
        box = [*(centre - radius), *(centre + radius)]
        pen.ellipse(box, outline=170, width=max(1, round(1.4 * canvas.line)))


def _pleural_effusion(
    anatomy: Anatomy, canvas: Canvas, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Draw fluid at the bottom of one lung, its surface rising to the chest wall (meniscus)."""
    shape = anatomy.air.shape
    extent = np.zeros(shape, np.float32)
    lung = anatomy.lungs[int(rng.integers(len(anatomy.lungs)))]
    surface = lung.base - (lung.base - lung.apex) * rng.uniform(0.15, 0.35)
    rise, softness = rng.uniform(0.10, 0.25), rng.uniform(0.03, 0.06)
    away = np.abs(canvas.x[:, lung.columns]) / np.maximum(np.abs(lung.lateral), np.float32(1e-3))
    below = canvas.y - np.float32(surface) + np.float32(rise) * np.clip(away, 0, 1) ** 2
    extent[:, lung.columns] = np.clip(below / np.float32(softness), 0, 1)
    haze = np.float32(0.75) + smooth_noise(rng, shape, (20, 0.05))
    return extent, np.clip(extent * haze, 0, 1)


_Pattern = Callable[
    [Anatomy, Canvas, np.random.Generator], tuple[FloatArray, FloatArray]
]  # extent and opacity
_PATTERNS: dict[str, tuple[_Pattern, float]] = {
    "COVID": (_ground_glass, VISIBLE_HAZE),
    "Viral Pneumonia": (_interstitial_pattern, VISIBLE_PATTERN),
    "Effusion": (_pleural_effusion, VISIBLE_FLUID),
}
