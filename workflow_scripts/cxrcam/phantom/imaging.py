"""From attenuation to picture: pose, detector, display window, collimation and text marks."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from workflow_scripts.cxrcam.phantom.canvas import (
    REFERENCE_SIZE,
    BoolArray,
    FloatArray,
)
from workflow_scripts.cxrcam.phantom.traits import PhantomTraits

GreyImage = NDArray[np.uint8]


def tilt_and_crop(layer: FloatArray, degrees: float, size: int) -> FloatArray:
    """Rotate the canvas counter-clockwise about its centre and cut an image of `size` out of it."""
    matrix = _tilt(layer.shape[0], degrees, size)
    turned = Image.fromarray(layer).transform(
        (size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    )
    return np.asarray(turned)


def tilt_and_crop_mask(layer: BoolArray, degrees: float, size: int) -> BoolArray:
    """Do to a mask what `tilt_and_crop` does to an image."""
    matrix = _tilt(layer.shape[0], degrees, size)
    turned = Image.fromarray(layer.astype(np.uint8)).transform(
        (size, size), Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST
    )
    return np.asarray(turned) > 0


def _tilt(side: int, degrees: float, size: int) -> tuple[float, ...]:
    angle = np.deg2rad(degrees)
    cosine, sine = float(np.cos(angle)), float(np.sin(angle))
    middle_in, middle_out = side / 2, size / 2
    return (
        cosine,
        -sine,
        middle_in - middle_out * (cosine - sine),
        sine,
        cosine,
        middle_in - middle_out * (sine + cosine),
    )


def expose(attenuation: FloatArray, traits: PhantomTraits, rng: np.random.Generator) -> FloatArray:
    """Expose a detector and set the display window.

    The window is set on each image's own body: lungs to `traits.lung_grey`, the densest tissue to
    `traits.body_grey`. That is what a console does, and it keeps the overall brightness of a
    picture from telling how much of its lungs is diseased. Takes line integrals, about 0 to 3, and
    returns display grey, 0 to 1, both float32 of shape (size, size).
    """
    size = attenuation.shape[0]
    intensity = np.exp(-attenuation)
    veil = _blurred(intensity, size / 12, reduce=8)
    intensity = (1 - traits.scatter) * intensity + traits.scatter * veil
    signal = -np.log(intensity)
    # Fewer photons pass dense tissue, so the noise of the logarithm grows there.
    # Uniform noise is four times as fast as normal noise and, once blurred, looks the same.
    noise = rng.random(signal.shape, dtype=np.float32) - np.float32(0.5)
    noise *= np.float32(np.sqrt(12) * traits.noise) * (np.float32(0.6) + np.float32(0.4) * signal)
    signal += noise
    signal = _blurred(signal, traits.blur * size / REFERENCE_SIZE, reduce=1)
    if traits.sharpening:
        coarse = _blurred(signal, size / 60, reduce=4)
        signal += np.float32(0.6 * traits.sharpening) * (signal - coarse)
    return _display(signal, traits, rng)


def _display(signal: FloatArray, traits: PhantomTraits, rng: np.random.Generator) -> FloatArray:
    sample = signal[::4, ::4]
    body = sample[sample > 0.4]
    if body.size < 16:
        body = sample
    # Consoles differ in the share of dark pixels that they take for lung.
    anchors = [rng.uniform(0.10, 0.28), rng.uniform(0.94, 0.98)]
    dark, bright = (max(float(level), 1e-3) for level in np.quantile(body, anchors))
    # Two anchors determine the gamma; the bounds keep a nearly flat image from exploding.
    gamma = np.log(traits.lung_grey / traits.body_grey) / min(np.log(dark / bright), -0.2)
    # The whole curve is one table over the signal: a lookup is far cheaper than powers per pixel.
    steps, highest = 4096, 6.0
    level = (np.arange(steps) + 0.5) * (highest / steps)
    grey = traits.body_grey * (level / bright) ** np.clip(gamma, 0.4, 3.0)
    clipped = np.clip(grey, 0, 1)
    curve = traits.contrast_curve
    grey = (1 - curve) * np.minimum(grey, 1.4) + curve * clipped**2 * (3 - 2 * clipped)
    # Highlights roll off instead of clipping.
    grey = np.where(grey > 0.8, 0.8 + 0.2 * np.tanh((grey - 0.8) / 0.2), grey)
    index = (signal * np.float32(steps / highest)).astype(np.intp)
    return np.take(grey.astype(np.float32), index, mode="clip")


def _blurred(layer: FloatArray, sigma: float, reduce: int) -> FloatArray:
    """Gaussian blur; a wide one is computed on an image `reduce` times smaller."""
    height, width = layer.shape
    image = Image.fromarray(layer)
    if reduce > 1:
        small = image.reduce(reduce)
        kernel_input = np.asarray(small)
        out = _separable_blur(kernel_input, sigma / reduce)
        return np.asarray(
            Image.fromarray(out).resize((width, height), Image.Resampling.BICUBIC), np.float32
        )
    return _separable_blur(layer, sigma)


def _separable_blur(layer: FloatArray, sigma: float) -> FloatArray:
    radius = max(1, int(np.ceil(2.5 * sigma)))
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offsets / max(sigma, 0.05)) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    for axis in (0, 1):
        pad = [(radius, radius) if axis == k else (0, 0) for k in (0, 1)]
        padded = np.pad(layer, pad, mode="edge")
        length = layer.shape[axis]
        total = np.zeros_like(layer)
        for k, weight in enumerate(weights):
            window = padded[k : k + length] if axis == 0 else padded[:, k : k + length]
            total += weight * window
        layer = total
    return layer


def resample(grey: GreyImage, factor: float) -> GreyImage:
    """Shrink an image and enlarge it again: finest detail is lost; a factor of 1 does nothing."""
    if factor <= 1.0:
        return grey
    side = grey.shape[0]
    small = Image.fromarray(grey).resize((round(side / factor),) * 2, Image.Resampling.BILINEAR)
    return np.asarray(small.resize((side, side), Image.Resampling.BICUBIC))


def collimate(
    grey: FloatArray, kind: str, rng: np.random.Generator
) -> tuple[FloatArray, BoolArray]:
    """Cover the parts of the detector that the beam did not reach; also tells where it did.

    `kind` is none, dark border, bright border or letterbox.
    """
    size = grey.shape[0]
    exposed = np.ones(grey.shape, dtype=bool)
    if kind == "none":
        return grey, exposed
    left, right, top, bottom = (rng.uniform(0.0, 0.055, 4) * size).astype(int)
    if kind == "letterbox":
        left = right = int(rng.uniform(0.02, 0.07) * size)
        top = bottom = 0
    covered = np.float32(rng.uniform(0.9, 1.0) if kind == "bright border" else rng.uniform(0, 0.06))
    exposed[:top] = False
    exposed[size - bottom :] = False
    exposed[:, :left] = False
    exposed[:, size - right :] = False
    return np.where(exposed, grey, covered), exposed


@lru_cache(maxsize=32)
def _font(height: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(height)


def stamp(grey: FloatArray, text: str, corner: str, rng: np.random.Generator) -> FloatArray:
    """Put a text mark into one of `traits.CORNERS`, as lead letters or as type on a plate.

    An empty text changes nothing.
    """
    if not text:
        return grey
    size = grey.shape[0]
    height = rng.uniform(0.06, 0.085) if len(text) <= 2 else rng.uniform(0.032, 0.045)
    font = _font(max(5, round(height * size)))
    left, top, right, bottom = (int(v) for v in font.getbbox(text))
    pad = max(1, size // 150)
    label = Image.new("L", (right - left + 2 * pad, bottom - top + 2 * pad))
    ImageDraw.Draw(label).text((pad - left, pad - top), text, fill=255, font=font)
    label = label.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.5) * size / REFERENCE_SIZE))
    inset_x, inset_y = (rng.uniform(0.008, 0.03, 2) * size).astype(int)
    width, tall = label.size
    column = inset_x if corner.endswith("left") else size - inset_x - width
    row = inset_y if corner.startswith("top") else size - inset_y - tall
    column, row = int(np.clip(column, 0, size - width)), int(np.clip(row, 0, size - tall))
    ink = np.asarray(label, np.float32) * np.float32(1 / 255)
    marked = grey.copy()
    patch = marked[row : row + tall, column : column + width]
    if rng.random() < 0.3:
        patch[:] = np.float32(0.06)
    patch += ink * (np.float32(rng.uniform(0.9, 1.0)) - patch)
    return marked
