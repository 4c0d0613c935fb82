"""Ribs, spine, clavicles, scapulae and arms of a phantom, as path lengths through bone."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from workflow_scripts.cxrcam.phantom.canvas import Canvas, FloatArray, half_chord, ramp, wobble
from workflow_scripts.cxrcam.phantom.lungs import Lung
from workflow_scripts.cxrcam.phantom.traits import PhantomTraits


def _rib_profile(rng: np.random.Generator, count: int, width: float, steps: int) -> FloatArray:
    """Path length across a stack of ribs as a table over the rib coordinate, `steps` per rib."""
    position = (np.arange(steps, dtype=np.float32)[None, :] + 0.5) / steps - 0.5
    centre = 0.04 * rng.standard_normal((count, 1), dtype=np.float32)
    half = np.float32(width / 2) * rng.uniform(0.88, 1.12, (count, 1)).astype(np.float32)
    offset = (position - centre) / half
    outer = half_chord(1 - offset**2)
    # Marrow is lighter than the cortical shell; the lower edge of a rib is its sharper one.
    shell = outer - 0.72 * half_chord(1 - (offset / np.float32(0.80)) ** 2) + 0.12 * outer * offset
    weight = rng.uniform(0.8, 1.15, (count, 1)).astype(np.float32)
    return np.asarray(weight * (0.5 * outer + 0.85 * shell), np.float32).ravel()


def draw_ribs(canvas: Canvas, lung: Lung, rng: np.random.Generator) -> FloatArray:
    """Path length through the ribs of one side.

    A rib is a tilted hoop. Seen from the front its rear half runs outward and down from the spine,
    its front half from the chest wall further down towards the sternum. All hoops share one rib
    coordinate, so that a table lookup draws them all at once.

    Returns
    -------
    ndarray of float32, shape (n, columns of the lung)
        0 to about 2.
    """
    u = np.abs(canvas.x[:, lung.columns])
    rows = canvas.rows(lung.apex - 0.06, 9.0)
    y = canvas.y[rows]
    steps, count = 48, 15
    spacing = rng.uniform(0.128, 0.15)
    q = u / (np.float32(1.035) * np.maximum(lung.lateral[rows], 0.05))
    inside = np.minimum(q, 1.0)
    square = inside * inside
    chord = np.sqrt(1 - square)
    drop = np.float32(rng.uniform(0.17, 0.33)) * square * (0.7 + 0.35 * ramp(y, 1.2))
    start = np.float32(lung.apex - 0.30 + spacing * rng.uniform(-0.5, 0.5))
    # Ribs begin beside the spine and at the apex, and sink into the dense tissue of the abdomen.
    shown = ramp(u - 0.075, 0.05) * (1.0 - 0.7 * ramp(y - lung.dome - 0.04, 0.16))
    shown *= ramp(y - np.float32(lung.apex + 0.01), 0.06) * ramp(1.012 - q, 0.03)
    shown *= 1.0 + 0.55 * (square * square) ** 2
    total = np.zeros_like(q)
    for lift, width, weight in (
        (-rng.uniform(0.08, 0.13), rng.uniform(0.38, 0.48), 1.0),
        (rng.uniform(0.24, 0.32), rng.uniform(0.42, 0.52), rng.uniform(0.4, 0.85)),
    ):
        coordinate = y - (start + drop + np.float32(lift) * chord)
        coordinate *= np.float32(steps / spacing)
        bone = np.take(
            _rib_profile(rng, count, width, steps), coordinate.astype(np.intp), mode="clip"
        )
        if lift > 0:
            # Ribs end in cartilage, which X-rays hardly see, well before the sternum.
            bone *= ramp(inside - np.float32(rng.uniform(0.45, 0.52)), 0.25)
            bone *= ramp(0.40 - y, 0.3)
        total += np.float32(weight) * bone
    total *= shown
    bones = np.zeros((canvas.side, u.shape[1]), np.float32)
    bones[rows] = total
    return bones


def draw_spine(canvas: Canvas, rng: np.random.Generator) -> tuple[slice, FloatArray]:
    """Draw the vertebral column: bodies, discs, pedicles and spinous processes.

    Returns
    -------
    columns : slice
        Columns of the canvas that the spine covers.
    spine : ndarray of float32, shape (n, columns)
        Attenuation, 0 to about 0.5.
    """
    columns = canvas.columns(-0.15, 0.15)
    x, y = canvas.x[:, columns], canvas.y
    spacing = np.float32(rng.uniform(0.118, 0.14))
    # Signed distance from the middle of the nearest vertebra, -0.5 to 0.5.
    phase = (y / spacing + np.float32(rng.uniform(0, 1))) % 1.0 - 0.5
    half = 0.082 + 0.022 * ramp(y, 1.6) - 0.012 * (1 - 4 * phase**2)
    offset = (x - wobble(rng, y, 0.008)) / half
    square = offset * offset
    disc = np.exp(-(((np.abs(phase) - 0.5) / np.float32(0.07)) ** 2))
    end_plates = np.exp(-(((np.abs(phase) - 0.37) / np.float32(0.06)) ** 2))
    body = half_chord(1 - square * square) * (0.85 - 0.3 * disc + 0.14 * end_plates)
    pedicles = np.exp(-(((np.abs(offset) - 0.6) / np.float32(0.17)) ** 2)) * np.exp(
        -(((phase + 0.1) / np.float32(0.15)) ** 2)
    )
    process = np.exp(-((offset / np.float32(0.13)) ** 2)) * np.exp(
        -(((phase - 0.15) / np.float32(0.14)) ** 2)
    )
    strength = rng.uniform(0.2, 0.34) * (0.75 + 0.25 * ramp(-y - 0.3, 0.4))
    return columns, np.asarray(strength * (body + 0.2 * pedicles + 0.25 * process), np.float32)


def add_shoulder_bones(
    bone: FloatArray, traits: PhantomTraits, canvas: Canvas, rng: np.random.Generator
) -> None:
    """Add scapulae, upper arms and clavicles to attenuation of bone, shape (n, n), in place."""
    width = 0.86 + 0.2 * traits.build
    bone += _scapulae_and_arms(traits, canvas, width, rng)
    _add_clavicles(bone, traits, canvas, width, rng)


def _scapulae_and_arms(
    traits: PhantomTraits, canvas: Canvas, width: float, rng: np.random.Generator
) -> FloatArray:
    """Attenuation, shape (n, n), beside a trunk of half the `width`."""
    layer = Image.new("L", (canvas.side, canvas.side))
    pen = ImageDraw.Draw(layer)
    for sign in (-1, 1):
        inner = 0.66 if traits.view == "AP" else rng.uniform(0.74, 0.86)
        tip = rng.uniform(-0.16, -0.04)
        blade = [
            (width + 0.04, -0.62),
            (width - 0.08, -0.70),
            (inner, -0.66),
            (inner - 0.02, -0.40),
            (inner + 0.07, tip),
            (inner + 0.12, tip - 0.02),
            (width - 0.01, -0.42),
        ]
        points = [_point(canvas, sign * px, py) for px, py in blade]
        pen.polygon(points, fill=24)
        pen.line([*points[2:6]], fill=50, width=max(1, round(2.2 * canvas.line)))
        pen.line([points[6], points[5]], fill=40, width=max(1, round(3 * canvas.line)))
        ridge = [_point(canvas, sign * (inner + 0.02), -0.50), points[1]]
        pen.line(ridge, fill=40, width=max(1, round(4 * canvas.line)))
        centre = canvas.pixel(sign * (width + 0.07), -0.58)
        radius = np.array([0.095 * canvas.scale_x, 0.10 * canvas.scale_y])
        box = [*(centre - radius), *(centre + radius)]
        shaft = [(centre[0], centre[1]), _point(canvas, sign * (width + 0.26), 1.3)]
        if traits.arms == "down":
            pen.line(shaft, fill=74, width=max(1, round(0.085 * canvas.scale_x)))
            pen.line(shaft, fill=52, width=max(1, round(0.045 * canvas.scale_x)))
        pen.ellipse(box, fill=58)
    soft = layer.filter(ImageFilter.BoxBlur(2.0 * canvas.line))
    return np.asarray(soft, np.float32) * np.float32(1 / 200)


def _add_clavicles(
    bone: FloatArray,
    traits: PhantomTraits,
    canvas: Canvas,
    width: float,
    rng: np.random.Generator,
) -> None:
    """Add clavicles that reach from the sternum to the `width` of the trunk, in place."""
    bedside = traits.view == "AP"
    rows = canvas.rows(-1.0, -0.35)
    y = canvas.y[rows]
    height = -0.64 if bedside else -0.57
    for sign in (-1, 1):
        start = 0.05 + 0.03 * sign * traits.rotation
        columns = canvas.columns(*sorted((sign * start, sign * (width + 0.03))))
        u = sign * canvas.x[:, columns]
        along = np.clip((u - np.float32(start)) / np.float32(width - start), 0, 1)
        rise = rng.uniform(0.0, 0.14) + (0.04 if bedside else 0.0)
        path = height + 0.015 * rng.standard_normal() - rise * along
        path = path + 0.035 * np.sin(2 * np.pi * (along - 0.08)) * rng.uniform(0.6, 1.3)
        half = 0.030 + 0.018 * (1 - along) ** 4 + 0.012 * along**4
        offset = (y - path) / half
        outer = half_chord(1 - offset**2)
        shell = outer - np.float32(0.6) * half_chord(1 - (offset / np.float32(0.76)) ** 2)
        ends = ramp(u - start - 0.02, 0.03) * ramp(width - u, 0.05)
        bone[rows, columns] += (0.16 * outer + 0.30 * shell) * ends


def _point(canvas: Canvas, x: float, y: float) -> tuple[float, float]:
    column, row = canvas.pixel(x, y)
    return float(column), float(row)
