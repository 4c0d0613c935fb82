"""A thorax without disease, as the attenuation that an X-ray beam meets on its way through it.

Everything is a path length: soft tissue adds, air in the lungs takes away, bone adds again.
Shading then comes out by itself: a heart edge is steep because a round body is, ribs brighten at
the chest wall because the beam runs along them. The body stands upright and most contours are
functions of one coordinate, so that whole images are sums of broadcast rows and columns; tilt is
applied afterwards.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from workflow_scripts.cxrcam.phantom.bones import add_shoulder_bones, draw_ribs, draw_spine
from workflow_scripts.cxrcam.phantom.canvas import (
    BoolArray,
    Canvas,
    FloatArray,
    half_chord,
    ramp,
    rounded_off,
    smooth_noise,
    wobble,
)
from workflow_scripts.cxrcam.phantom.lungs import (
    Lung,
    add_airways,
    draw_lung,
    draw_mediastinum,
    draw_vessels,
)
from workflow_scripts.cxrcam.phantom.traits import PhantomTraits

FULL_DEPTH = 2.3
"""Attenuation of a chest of average depth, were it filled with soft tissue throughout."""


@dataclass(frozen=True)
class Anatomy:
    """Attenuation of a healthy thorax, and where its lungs are."""

    attenuation: FloatArray  # (n, n), about 0 (air) to 3 (abdomen, bone)
    air: FloatArray  # (n, n), taken away by air in the lungs: what disease can fill again
    lung_mask: BoolArray  # (n, n), as a reader outlines them: without heart and diaphragm
    lungs: tuple[Lung, Lung]  # right lung (left in the image) first


def draw_anatomy(traits: PhantomTraits, canvas: Canvas, rng: np.random.Generator) -> Anatomy:
    """Draw a healthy thorax."""
    depth = _soft_tissue(traits, canvas, rng)
    base = 0.34 + 0.20 * traits.inspiration
    blocked = draw_mediastinum(traits, canvas, base + 0.03, rng)
    air = np.empty_like(depth)
    bone = np.empty_like(depth)
    mask = np.empty(depth.shape, dtype=bool)
    middle = int(np.searchsorted(canvas.x[0], 0.0))
    lungs = []
    for sign, columns in ((-1, slice(0, middle)), (1, slice(middle, canvas.side))):
        lung, field, in_view = draw_lung(
            traits, canvas, columns, sign, base, blocked[:, columns], rng
        )
        air[:, columns] = field
        mask[:, columns] = in_view
        bone[:, columns] = draw_ribs(canvas, lung, rng)
        lungs.append(lung)
    right, left = lungs
    # Behind the heart the beam is too attenuated and too scattered to show ribs well.
    bone *= np.float32(0.26) * (1 - np.float32(0.6) * blocked)
    add_airways(air, canvas, traits, rng)
    _add_abdomen(depth, traits, canvas, right, left, rng)
    spine_columns, spine = draw_spine(canvas, rng)
    bone[:, spine_columns] += spine
    add_shoulder_bones(bone, traits, canvas, rng)
    bone *= np.minimum(depth * np.float32(2.5 * traits.bone_contrast), traits.bone_contrast)
    air *= np.float32((1 - traits.lung_density) * FULL_DEPTH) * depth
    filled = draw_vessels(traits, canvas, (right, left), rng)
    # Overlying fat and muscle and the weight of the lung itself make every lung uneven.
    filled += smooth_noise(rng, depth.shape, (5, traits.lung_unevenness), (48, 0.014), (95, 0.016))
    unevenness = np.float32(FULL_DEPTH) + smooth_noise(rng, depth.shape, (6, 0.06))
    attenuation = depth * unevenness
    attenuation += air * (filled - 1)
    attenuation += bone
    if traits.device != "none":
        attenuation += _devices(traits, canvas, rng)
    np.maximum(attenuation, 0, out=attenuation)
    return Anatomy(attenuation, air, mask, (right, left))


def _soft_tissue(traits: PhantomTraits, canvas: Canvas, rng: np.random.Generator) -> FloatArray:
    """Depth of the body along the beam, 1 = a chest of average depth."""
    x, y = canvas.x, canvas.y
    width = 0.86 + 0.2 * traits.build + 0.03 * rng.standard_normal()
    trunk = (
        width
        + 0.05 * np.cos((y - 0.1) * 2.2)
        + 0.10 * traits.build * np.clip(y - 0.2, 0, 1)
        + wobble(rng, y, 0.012)
    ).astype(np.float32)
    # The shoulder line runs from the neck down over the trapezius to the deltoid.
    reach = np.abs(x) / np.float32(width + 0.12)
    slope = rng.uniform(0.10, 0.26) + (0.12 if traits.view == "PA" else 0.0)
    shoulder = -0.93 + slope * np.minimum(reach, 1.0) + 0.34 * np.clip(reach - 0.75, 0, None) ** 2
    shoulder = (shoulder - 0.16 * np.exp(-((reach / 0.32) ** 2)) + wobble(rng, x, 0.01)).astype(
        np.float32
    )
    # Above the armpit the outline is that of the shoulders, wider than the trunk.
    armpit = -0.30 + 0.1 * rng.standard_normal()
    girdle = trunk + (0.22 + 0.05 * traits.build) * ramp(armpit - y, 0.28)
    front = 0.78 + 0.22 * ramp(y + 0.3, 1.0)
    across = (x / girdle) ** 2
    depth = front * half_chord(1 - across * (0.6 + 0.4 * across))
    below_shoulder = y - shoulder
    depth *= np.minimum(half_chord(below_shoulder / np.float32(0.55)), 1.0)
    neck_width = 0.2 + 0.05 * traits.build
    neck = 0.5 * half_chord(1 - (x / np.float32(neck_width)) ** 2) * ramp(-0.55 - y, 0.5)
    depth = np.maximum(depth, neck)
    if traits.breast_shadow:
        for sign in (-1, 1):
            centre_x = sign * rng.uniform(0.44, 0.52)
            centre_y = rng.uniform(0.20, 0.32)
            radius = ((x - centre_x) / np.float32(0.36)) ** 2 + (
                (y - centre_y) / np.float32(0.34)
            ) ** 2
            depth += 0.16 * traits.breast_shadow * half_chord(1 - radius) * ramp(depth, 0.3)
    if traits.arms != "out of view":
        for sign in (-1, 1):
            start = width + rng.uniform(0.10, 0.22)
            lean = rng.uniform(0.0, 0.12) if traits.arms == "down" else rng.uniform(0.25, 0.5)
            axis = sign * (start + lean * (y + 0.4))
            thickness = 0.13 + 0.05 * traits.build
            limb = 0.55 * half_chord(1 - ((x - axis) / np.float32(thickness)) ** 2)
            depth = np.maximum(depth, limb * ramp(y + 0.55, 0.3))
    return np.asarray(depth, np.float32)


def _add_abdomen(
    depth: FloatArray,
    traits: PhantomTraits,
    canvas: Canvas,
    right: Lung,
    left: Lung,
    rng: np.random.Generator,
) -> None:
    """Add the depth of liver and upper abdomen, less the gas in stomach and bowel."""
    domes = np.concatenate([right.dome, left.dome], axis=1)[0]
    # The two domes meet in the middle of the body without a step.
    dome = rounded_off(domes, 0.12 * canvas.scale_x)[None, :]
    rows = canvas.rows(float(dome.min()) - 0.25, 9.0)
    belly = rng.uniform(0.2, 0.45)
    profile = np.float32(belly) * half_chord(1 - (canvas.x / np.float32(0.95)) ** 2)
    depth[rows] += profile * ramp(canvas.y[rows] - dome, 0.5)
    if not traits.stomach_bubble:
        return
    bubbles = [(rng.uniform(0.3, 0.45), left.base + 0.16, rng.uniform(0.08, 0.14), 0.07, 1.0)]
    bubbles += [
        (rng.uniform(0.1, 0.6), left.base + rng.uniform(0.2, 0.4), 0.06, 0.05, 0.5)
        for _ in range(int(rng.integers(0, 5)))
    ]
    for centre_x, centre_y, half_x, half_y, strength in bubbles:
        rows = canvas.rows(centre_y - half_y, centre_y + half_y)
        columns = canvas.columns(centre_x - half_x, centre_x + half_x)
        radius = ((canvas.x[:, columns] - centre_x) / half_x) ** 2
        radius = radius + ((canvas.y[rows] - centre_y) / half_y) ** 2
        wall = ramp(canvas.y[rows] - dome[:, columns] - 0.02, 0.03)
        amount = np.float32(0.26 * strength * traits.stomach_bubble)
        depth[rows, columns] -= amount * wall * half_chord(1 - radius)


def _devices(traits: PhantomTraits, canvas: Canvas, rng: np.random.Generator) -> FloatArray:
    """Attenuation of electrodes, tubes and lines lying on or in the patient."""
    layer = Image.new("L", (canvas.side, canvas.side))
    pen = ImageDraw.Draw(layer)
    thin = max(1, round(1.2 * canvas.line))

    def curve(points: list[tuple[float, float]], fill: int, width: int) -> None:
        control = np.array(points)
        t = np.linspace(0, 1, 24)[:, None]
        # A Bezier curve of any degree, by repeated interpolation (de Casteljau).
        layers = [np.repeat(point[None], len(t), axis=0) for point in control]
        while len(layers) > 1:
            layers = [(1 - t) * a + t * b for a, b in itertools.pairwise(layers)]
        pen.line(canvas.pixel(layers[0][:, 0], layers[0][:, 1]).ravel().tolist(), fill, width)

    if "electrodes" in traits.device:
        for _ in range(int(rng.integers(2, 5))):
            sign = rng.choice([-1, 1])
            px, py = sign * rng.uniform(0.3, 0.75), rng.uniform(-0.55, 0.55)
            centre = canvas.pixel(px, py)
            radius = rng.uniform(3.0, 4.5) * canvas.line
            pen.ellipse([*(centre - radius), *(centre + radius)], fill=60, outline=150)
            pen.ellipse([*(centre - radius / 2.5), *(centre + radius / 2.5)], fill=200)
            end = (sign * rng.uniform(0.2, 1.2), rng.choice([-1.2, 1.2]))
            bend = (px + rng.normal(0, 0.3), py + rng.normal(0, 0.3))
            curve([(px, py), bend, end], 90, thin)
    if "line" in traits.device:
        sign = -1
        curve(
            [
                (sign * rng.uniform(0.5, 1.0), -0.9),
                (sign * 0.35, -0.62),
                (sign * 0.08, -0.62),
                (sign * 0.10, -0.2),
                (sign * 0.09, rng.uniform(-0.05, 0.1)),
            ],
            85,
            thin,
        )
    if traits.device == "tube":
        lean = 0.02 * rng.standard_normal()
        curve([(lean, -1.2), (0.0, -0.8), (0.0, -0.34)], 80, max(1, round(3 * canvas.line)))
        end = (rng.uniform(0.2, 0.4), rng.uniform(0.6, 0.8))
        curve([(0.02, -1.2), (0.0, -0.3), (0.05, 0.4), end], 70, thin)
    soft = layer.filter(ImageFilter.BoxBlur(0.6 * canvas.line))
    return np.asarray(soft, np.float32) * np.float32(1 / 190)
