"""Lungs, what lies between them, and the vessels and airways that run through them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from workflow_scripts.cxrcam.phantom.canvas import (
    BoolArray,
    Canvas,
    FloatArray,
    half_chord,
    ramp,
    smooth_curve,
    wobble,
)
from workflow_scripts.cxrcam.phantom.traits import PhantomTraits

STRENGTH = 0.85
"""Brightness of a vessel's line."""

BRANCH_GENERATIONS = 4
"""Forks of a vessel from the hilum on; later ones are finer than the detector resolves."""


@dataclass(frozen=True)
class Lung:
    """One lung on its half of the canvas."""

    columns: slice  # columns of the canvas that the half covers
    sign: int  # +1 for the patient's left (right in the image), -1 for the right
    lateral: FloatArray  # (n, 1), distance of the chest wall from the midline at each row
    dome: FloatArray  # (1, columns), height of the diaphragm at each column
    hilum: tuple[float, float]  # body coordinates
    apex: float  # height
    base: float  # height of the diaphragm


def draw_mediastinum(
    traits: PhantomTraits, canvas: Canvas, base: float, rng: np.random.Generator
) -> FloatArray:
    """Share of the chest depth filled by heart, great vessels and midline tissue, 0 to 1.

    The right border is drawn by superior vena cava and right atrium, the left one by aortic knob,
    pulmonary trunk and left ventricle, whose apex rests on the diaphragm, at the height `base`.
    """
    x, y = canvas.x, canvas.y
    heart = traits.heart_size * rng.uniform(0.95, 1.05)
    top = -0.10 + 0.02 * rng.standard_normal()
    levels = [-1.0, -0.64, -0.47, -0.36, -0.25, -0.19, top]
    levels += [top + share * (base - top) for share in (0.22, 0.48, 0.75, 0.95, 1.2, 1.9)]
    knob, trunk, apex = rng.uniform(0.15, 0.215), rng.uniform(0.14, 0.19), rng.uniform(0.37, 0.49)
    waist = rng.uniform(0.12, 0.16)
    left = [0.14, 0.115, rng.uniform(0.115, 0.15), knob, waist, waist, trunk]
    left += [heart * apex * share for share in (0.55, 0.81, 0.97, 1.0, 0.88, 0.6)]
    atrium = rng.uniform(0.17, 0.22)
    stripe = rng.uniform(0.105, 0.165)
    right = [0.14, 0.11, stripe, stripe, 0.96 * stripe, 0.125, 0.135]
    right += [heart * atrium * share for share in (0.70, 0.87, 1.0, 0.96, 0.8, 0.6)]
    turn = 0.05 * traits.rotation
    # The upper mediastinum is thin and tapers; the heart is thick and its edge is crisp.
    softness = 1 / (0.05 + 0.07 * ramp(-0.25 - y, 0.5))
    blocked = np.full((canvas.side, canvas.side), 0.96, np.float32)
    for border, sign in ((right, -1), (left, 1)):
        jitter = rng.normal(0, 0.006, len(border))
        edge = smooth_curve(canvas, levels, [b + j for b, j in zip(border, jitter, strict=True)])
        # A rounded body: depth grows with the root of the distance from its edge.
        distance = (edge + np.float32(sign * turn)) - np.float32(sign) * x
        distance *= softness
        np.clip(distance, 0, 1, out=distance)
        np.minimum(blocked, np.sqrt(distance), out=blocked)
    return blocked


def draw_lung(
    traits: PhantomTraits,
    canvas: Canvas,
    columns: slice,
    sign: int,
    base: float,
    blocked: FloatArray,
    rng: np.random.Generator,
) -> tuple[Lung, FloatArray, BoolArray]:
    """Draw one lung, on its side of the midline.

    `base` is the height of the right dome of the diaphragm, `blocked` what `draw_mediastinum` gave
    for these columns.

    Returns
    -------
    lung : Lung
    field : ndarray of float32, shape (n, columns)
        Share of the chest depth that is lung, 0 to 1.
    in_view : ndarray of bool, shape (n, columns)
        Lung field as a reader outlines it.
    """
    u = np.abs(canvas.x[:, columns])
    y = canvas.y
    apex = -0.74 + 0.02 * rng.standard_normal()
    if sign > 0:
        # The liver holds the right dome a little higher than the left one.
        base += rng.uniform(0.01, 0.07)
    t = np.clip((y - apex) / np.float32(0.45 - apex), 0, None)
    rising = np.minimum(t, 1.0)
    apex_x = 0.29 + 0.02 * rng.standard_normal()
    widest = 0.765 + 0.03 * rng.standard_normal() - sign * 0.03 * traits.rotation
    lateral = apex_x + (widest - apex_x) * (1 - (1 - rising) ** 2.7) ** rng.uniform(0.54, 0.70)
    lateral = lateral - 0.06 * np.clip(t - 1, 0, None) + wobble(rng, y, 0.008)
    medial = apex_x - (apex_x - 0.10) * half_chord(1 - (1 - np.minimum(t / 0.28, 1.0)) ** 2)
    lateral = lateral.astype(np.float32)
    # The dome is highest a little medial of its middle and dives into the costophrenic angle.
    beyond = u - np.float32(rng.uniform(0.30, 0.38))
    dome = base + rng.uniform(0.4, 1.1) * beyond**2
    dome = dome + np.where(beyond > 0, rng.uniform(0.9, 1.7) * np.abs(beyond) ** 3, 0)
    dome = (dome + wobble(rng, u * 2, 0.006)).astype(np.float32)
    across = u / np.maximum(lateral, 1e-3)
    chest = half_chord(1 - across * across * across)
    chest = chest * half_chord(1 - (1 - rising) ** 3.5) * ramp(u - medial.astype(np.float32), 0.035)
    above = ramp(dome - y, 0.025)
    # Lung hangs down behind the dome: the edge is crisp, the shadow below it is not quite even.
    recess = 0.20 * np.clip(1 - (y - dome) / np.float32(0.22), 0, 1)
    field = chest * np.maximum(above, recess) * (1 - blocked)
    in_view = (chest > 0.12) & (y < dome) & (blocked < 0.5) & (t > 0.01)
    hilum = (
        sign * 0.16 + 0.05 * traits.rotation,
        -0.05 - (0.045 if sign > 0 else 0.0) + 0.015 * float(rng.standard_normal()),
    )
    lung = Lung(columns, sign, lateral, dome, hilum, float(apex), float(base))
    return lung, np.asarray(field, np.float32), in_view


def add_airways(
    air: FloatArray, canvas: Canvas, traits: PhantomTraits, rng: np.random.Generator
) -> None:
    """Let trachea and main bronchi show as a faint dark band in the mediastinum.

    `air` is the share of the chest depth that is air, 0 to 1, shape (n, n); changed in place.
    """
    rows, columns = canvas.rows(-2.0, 0.0), canvas.columns(-0.3, 0.3)
    x, y = canvas.x[:, columns], canvas.y[rows]
    centre = 0.02 * traits.rotation - 0.01 + wobble(rng, y, 0.006)
    carina = -0.22 + 0.02 * rng.standard_normal()
    width = np.float32(rng.uniform(0.045, 0.058))
    band = half_chord(1 - ((x - centre) / width) ** 2) * ramp(carina - y, 0.06)
    for sign, run in ((-1, 0.75), (1, 1.1)):
        path = centre + sign * run * (y - carina)
        inside = ramp(y - carina + 0.02, 0.04) * ramp(carina + 0.15 - y, 0.08)
        band = np.maximum(
            band, 0.45 * inside * half_chord(1 - ((x - path) / np.float32(0.045)) ** 2)
        )
    band *= np.float32(rng.uniform(0.10, 0.2))
    np.maximum(air[rows, columns], band, out=air[rows, columns])


def draw_vessels(
    traits: PhantomTraits, canvas: Canvas, lungs: tuple[Lung, Lung], rng: np.random.Generator
) -> FloatArray:
    """Share of the air displaced by hila and pulmonary vessels, 0 to 0.45, shape (n, n)."""
    layer = Image.new("L", (canvas.side, canvas.side))
    pen = ImageDraw.Draw(layer)
    for lung in lungs:
        draw_branches(pen, canvas, lung, rng, trunks=14)
    soft = layer.filter(ImageFilter.BoxBlur(0.8 * canvas.line))
    vessels = np.asarray(soft, np.float32) * np.float32(0.36 / 255)
    # Hila: a few soft ovals a side, each a product of a row and a column.
    count = 3
    centre = np.repeat([lung.hilum for lung in lungs], count, axis=0)
    centre += rng.normal(0, 1, centre.shape) * [0.02, 0.06]
    spread = rng.uniform([0.035, 0.06], [0.07, 0.12], centre.shape)
    across = np.exp(-(((canvas.x - centre[:, :1]) / spread[:, :1]) ** 2))
    down = np.exp(-(((canvas.y - centre[None, :, 1]) / spread[None, :, 1]) ** 2))
    for row, column in zip(across.astype(np.float32), down.T.astype(np.float32), strict=True):
        vessels += np.float32(0.15) * column[:, None] * row[None, :]
    vessels *= np.float32(traits.vessel_contrast)
    filled: FloatArray = np.minimum(vessels, np.float32(0.45))
    return filled


def draw_branches(
    pen: ImageDraw.ImageDraw,
    canvas: Canvas,
    lung: Lung,
    rng: np.random.Generator,
    trunks: int,
) -> None:
    """Draw a tree that leaves the hilum, forks, and thins and fades towards the pleura.

    The pen draws on an 8-bit layer of the canvas's size. So many `trunks` leave the hilum.
    """
    start = np.tile(np.array(lung.hilum), (trunks, 1))
    start += rng.normal(0, 1, (trunks, 2)) * [0.015, 0.055]
    # Angles from straight up (-pi/2) over sideways (0) to straight down, on the lung's own side.
    heading = np.linspace(-1.45, 1.55, trunks) + rng.normal(0, 0.2, trunks)
    reach = np.full(trunks, 0.24) * rng.uniform(0.7, 1.2, trunks)
    width, brightness = 2.9, 130.0
    for generation in range(BRANCH_GENERATIONS):
        count, nodes = len(heading), 5
        turns = np.cumsum(rng.normal(0, 0.17, (count, nodes)), axis=1) + heading[:, None]
        step = (reach / nodes)[:, None]
        path_x = start[:, :1] + lung.sign * np.cumsum(step * np.cos(turns), axis=1)
        path_y = start[:, 1:] + np.cumsum(step * 1.1 * np.sin(turns), axis=1)
        path = np.concatenate([start[:, None], np.stack([path_x, path_y], axis=-1)], axis=1)
        pixels = canvas.pixel(path[..., 0], path[..., 1]).reshape(count, -1).tolist()
        ink = np.clip(STRENGTH * brightness * rng.uniform(0.6, 1.15, count), 0, 255).astype(int)
        line = max(1, round(width * canvas.line))
        for points, fill in zip(pixels, ink.tolist(), strict=True):
            pen.line(points, fill=fill, width=line)
        ends = path[:, -1]
        fork = rng.uniform(0.2, 0.55, count)
        start = np.concatenate([ends, ends])
        heading = np.concatenate([turns[:, -1] - fork, turns[:, -1] + 0.8 * fork])
        reach = np.concatenate([reach, reach]) * rng.uniform(0.6, 0.95, 2 * count)
        # Branches that would run back into the mediastinum are not drawn.
        keep = (np.cos(heading) > -0.25) & (rng.random(2 * count) < (0.78 if generation else 0.95))
        start, heading, reach = start[keep], heading[keep], reach[keep]
        width, brightness = width * 0.68, brightness * 0.74
