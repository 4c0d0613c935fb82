"""Pictures of class activation maps over the X-ray they explain.

The heat is transparent where it is low, so that the anatomy stays readable, and its colours
grow in lightness from dark to bright (`inferno`), so that the order survives grey printing and
every kind of colour vision. Jet-like rainbows have neither property.
"""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path
from typing import Final

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from workflow_scripts.cxrcam.figures.captions import caption_font, shorten_middle
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.maps.placement import upsample_map

Bytes = npt.NDArray[np.uint8]

OPACITY: Final = 0.65
"""Opacity of the hottest point: bone edges and vessels stay visible through it."""

LUNG_COLOUR: Final = (86, 180, 233)
"""Lung outline: Okabe-Ito sky blue."""

LESION_COLOUR: Final = (0, 235, 160)
"""Lesion outline: Okabe-Ito bluish green, brightened to stand out on black."""

# The darkest fifth of inferno is black, which over a dark lung would look like missing tissue.
_DARKEST_COLOUR_USED: Final = 0.22

# Panels smaller than this are enlarged for drawing: below it, a caption has no room.
_LEAST_PANEL: Final = 256

# zlib level of PNG files: level 1 takes a quarter of the time of level 6 for a 10 % larger file.
_PNG_LEVEL: Final = 1


@lru_cache(maxsize=1)
def heat_colours() -> Bytes:
    """Colours of the heat from 0 to 1.

    Returns
    -------
    ndarray of uint8, shape (256, 3)
        Lightness grows from the first to the last; read-only.
    """
    ramp = matplotlib.colormaps["inferno"](np.linspace(_DARKEST_COLOUR_USED, 1.0, 256))
    colours: Bytes = np.round(ramp[:, :3] * 255).astype(np.uint8)
    colours.setflags(write=False)
    return colours


@lru_cache(maxsize=8)
def _heat_opacity(opacity: float) -> Bytes:
    """Opacity of each heat level: 0 at none, full from half of the scale, smooth between.

    Returns
    -------
    ndarray of uint8, shape (256,)
        255 is opaque.
    """
    ramp = np.clip(np.linspace(0.0, 2.0, 256), 0.0, 1.0)
    levels: Bytes = np.round(255.0 * opacity * ramp * ramp * (3.0 - 2.0 * ramp)).astype(np.uint8)
    levels.setflags(write=False)
    return levels


def overlay(grey: npt.ArrayLike, heat: npt.ArrayLike, opacity: float = OPACITY) -> Bytes:
    """Lay heat over an X-ray.

    Parameters
    ----------
    grey : array-like of uint8, shape (s, s)
        The X-ray.
    heat : array-like of float, shape (s, s)
        In [0, 1], from `normalise_map` and `upsample_map`.
    opacity : float, default 0.65
        Of the hottest points, in [0, 1]. It falls smoothly to 0 below half of the scale, so that
        pixels without heat keep exactly their grey.

    Returns
    -------
    ndarray of uint8, shape (s, s, 3)
        RGB.

    Raises
    ------
    ValueError
        If the shapes differ, `grey` is not uint8, or heat or opacity are outside [0, 1].
    """
    base = np.asarray(grey)
    warmth = np.asarray(heat, dtype=np.float32)
    if base.dtype != np.uint8 or base.ndim != 2:
        raise ValueError(f"grey is {base.dtype} {base.shape}, expected uint8 (s, s)")
    if warmth.shape != base.shape:
        raise ValueError(f"heat has shape {warmth.shape} and grey {base.shape}; upsample the map")
    if not (warmth.min() >= 0.0 and warmth.max() <= 1.0):
        raise ValueError(
            f"heat reaches from {warmth.min()} to {warmth.max()}, outside [0, 1]; normalise the map"
        )
    if not 0.0 <= opacity <= 1.0:
        raise ValueError(f"opacity is {opacity}, outside [0, 1]")
    levels = (warmth * np.float32(255.0) + np.float32(0.5)).astype(np.uint8)
    # Pillow blends in C, five times faster than the same three lines in numpy; where the
    # opacity is 0 it returns the ground to the bit.
    blended: Bytes = np.array(
        Image.composite(
            Image.fromarray(heat_colours()[levels]),
            Image.fromarray(base).convert("RGB"),
            Image.fromarray(_heat_opacity(opacity)[levels]),
        )
    )
    return blended


def heat_layer(heat: npt.ArrayLike) -> Image.Image:
    """Heat alone, to be laid over an X-ray elsewhere: on a page that lets the reader fade it.

    Parameters
    ----------
    heat : array-like of float, shape (s, s)
        In [0, 1].

    Returns
    -------
    PIL.Image.Image
        Palette with opacity, a third of the bytes of RGBA. Shown at an opacity of `o` over the
        X-ray, it looks as ``overlay(grey, heat, o)``.

    Raises
    ------
    ValueError
        If heat is outside [0, 1].
    """
    warmth = np.asarray(heat, dtype=np.float32)
    if not (warmth.min() >= 0.0 and warmth.max() <= 1.0):
        raise ValueError(
            f"heat reaches from {warmth.min()} to {warmth.max()}, outside [0, 1]; normalise the map"
        )
    levels = (warmth * np.float32(255.0) + np.float32(0.5)).astype(np.uint8)
    layer = Image.fromarray(levels).convert("P")
    layer.putpalette(heat_colours().tobytes())
    layer.info["transparency"] = _heat_opacity(1.0).tobytes()
    return layer


def colour_bar(width: int, height: int, opacity: float = OPACITY) -> Bytes:
    """Draw the colour bar of the heat as it looks over the X-ray: over mid grey, cold end clear.

    Parameters
    ----------
    width, height : int
        Size in pixels.
    opacity : float, default 0.65
        That of the overlays it stands beside.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
        Heat 0 at the left, 1 at the right.
    """
    ramp = np.broadcast_to(np.linspace(0.0, 1.0, width, dtype=np.float32), (height, width))
    return overlay(np.full((height, width), 128, dtype=np.uint8), ramp, opacity)


def mask_outline(mask: npt.ArrayLike, width: int = 1) -> npt.NDArray[np.bool_]:
    """Inner outline of a mask: its pixels within `width` of a 4-neighbour outside.

    Parameters
    ----------
    mask : array-like, shape (s, s)
        Non-zero is inside. The image border does not count as an edge of the mask.
    width : int, default 1
        Thickness in pixels.

    Returns
    -------
    ndarray of bool, shape (s, s)
        True on the outline.
    """
    inside = np.asarray(mask) != 0
    core = inside
    for _ in range(width):
        framed = np.pad(core, 1, mode="edge")
        core = core & framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:]
    outline: npt.NDArray[np.bool_] = inside & ~core
    return outline


def overlay_with_contours(
    grey: npt.ArrayLike,
    heat: npt.ArrayLike,
    opacity: float = OPACITY,
    *,
    lung_mask: npt.ArrayLike | None = None,
    lesion_mask: npt.ArrayLike | None = None,
) -> Bytes:
    """Lay heat over an X-ray and draw the outlines of lungs and lesion on top.

    Parameters
    ----------
    grey, heat, opacity
        As in `overlay`.
    lung_mask, lesion_mask : array-like, shape (s, s), optional
        Non-zero is inside. Lungs are outlined one pixel thin in sky blue, the lesion two pixels
        in green; what is None is not drawn.

    Returns
    -------
    ndarray of uint8, shape (s, s, 3)
        RGB.

    Raises
    ------
    ValueError
        As `overlay`, and if a mask has another shape than the X-ray.
    """
    picture = overlay(grey, heat, opacity)
    for name, mask, colour, width in (
        ("lung_mask", lung_mask, LUNG_COLOUR, 1),
        ("lesion_mask", lesion_mask, LESION_COLOUR, 2),
    ):
        if mask is None:
            continue
        if np.shape(mask) != picture.shape[:2]:
            raise ValueError(
                f"{name} has shape {np.shape(mask)}, the X-ray {picture.shape[:2]}; resize it"
            )
        picture[mask_outline(mask, width)] = colour
    return picture


def _enlarged(picture: Bytes, panel: int, smooth: bool = True) -> Bytes:
    if picture.shape[0] == panel:
        return picture
    method = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(picture).resize((panel, panel), method))


def captioned_overlay(
    grey: npt.ArrayLike,
    heat: npt.ArrayLike,
    *,
    image_id: str,
    label: str,
    predicted: str,
    probability: float,
    scale_max: float,
    map_class: str | None = None,
    opacity: float = OPACITY,
    lung_mask: npt.ArrayLike | None = None,
    lesion_mask: npt.ArrayLike | None = None,
) -> Image.Image:
    """Draw one image of the report: the X-ray, the map over it, and what the model said.

    Parameters
    ----------
    grey : array-like of uint8, shape (s, s)
        The X-ray. Below 256 pixels both panels are enlarged.
    heat : array-like of float, shape (s, s)
        In [0, 1].
    image_id, label, predicted : str
        What it is, its true class, the class the model named. Texts too long for the picture
        lose their middle.
    probability : float
        Probability of the predicted class, in [0, 1].
    scale_max : float
        Raw class activation at the hot end of the colour bar.
    map_class : str, optional
        Class that the map explains; default `predicted`.
    opacity, lung_mask, lesion_mask
        As in `overlay_with_contours`.

    Returns
    -------
    PIL.Image.Image
        RGB; two panels side by side between a title and a strip of text with the colour bar.

    Raises
    ------
    ValueError
        As `overlay_with_contours`, and for a probability outside [0, 1].
    """
    if not 0.0 <= probability <= 1.0:
        raise ValueError(f"probability of {image_id!r} is {probability}, outside [0, 1]")
    base = np.asarray(grey)
    warmth = np.asarray(heat, dtype=np.float32)
    panel = max(base.shape[0], _LEAST_PANEL)
    if base.shape[0] != panel and base.shape == warmth.shape and base.dtype == np.uint8:
        base = _enlarged(base, panel)
        warmth = np.clip(upsample_map(warmth, panel), 0.0, 1.0)
        if lung_mask is not None:
            lung_mask = _enlarged(
                (np.asarray(lung_mask) != 0).astype(np.uint8), panel, smooth=False
            )
        if lesion_mask is not None:
            lesion_mask = _enlarged(
                (np.asarray(lesion_mask) != 0).astype(np.uint8), panel, smooth=False
            )
    mapped = overlay_with_contours(
        base, warmth, opacity, lung_mask=lung_mask, lesion_mask=lesion_mask
    )

    gap, margin, title, strip = 4, 8, 26, 62
    width, height = 2 * panel + gap, title + panel + strip
    canvas = np.full((height, width, 3), 255, dtype=np.uint8)
    canvas[title : title + panel, :panel] = base[..., None]
    canvas[title : title + panel, panel + gap :] = mapped

    bar_width, bar_height = min(150, panel - 2 * margin), 12
    bar_left, bar_top = panel + gap + margin, title + panel + 26
    canvas[bar_top : bar_top + bar_height, bar_left : bar_left + bar_width] = colour_bar(
        bar_width, bar_height, opacity
    )

    picture = Image.fromarray(canvas)
    draw = ImageDraw.Draw(picture)
    ink, quiet = (17, 17, 17), (85, 85, 85)
    text, small, bold = caption_font(13), caption_font(11), caption_font(13, bold=True)

    notice = "research use only"
    notice_width = small.getlength(notice)
    draw.text((width - margin - notice_width, title / 2), notice, quiet, small, anchor="lm")
    room = width - 3 * margin - notice_width
    draw.text((margin, title / 2), shorten_middle(image_id, room, bold), ink, bold, anchor="lm")

    # Left: what is true and what was said. A sign and a word, because colour alone excludes some.
    line = title + panel + 6
    verdict = "✓ correct" if label == predicted else "✗ wrong"
    room = panel - 2 * margin
    draw.text((margin, line), shorten_middle(f"true: {label}", room, text), ink, text)
    said = f" ({probability:.3f})"
    name = shorten_middle(f"predicted: {predicted}", room - text.getlength(said), text)
    draw.text((margin, line + 18), name + said, ink, text)
    draw.text((margin, line + 36), verdict, ink, bold)

    # Right: what the colours mean.
    explained = map_class if map_class is not None else predicted
    draw.text(
        (bar_left, line),
        shorten_middle(f"class activation for {explained}", room, small),
        ink,
        small,
    )
    draw.rectangle(
        (bar_left - 1, bar_top - 1, bar_left + bar_width, bar_top + bar_height), outline=quiet
    )
    low, high = "≤ 0", f"≥ {scale_max:.3g}"
    below = bar_top + bar_height + 3
    draw.text((bar_left, below), low, ink, small)
    draw.text((bar_left + bar_width, below), high, ink, small, anchor="ra")
    key_left = bar_left + bar_width + 14
    for mask, colour, word, offset in (
        (lung_mask, LUNG_COLOUR, "lung", 0),
        (lesion_mask, LESION_COLOUR, "lesion", 16),
    ):
        if mask is not None:
            y = bar_top + 4 + offset
            draw.line((key_left, y, key_left + 14, y), fill=colour, width=3)
            draw.text((key_left + 19, y), word, ink, small, anchor="lm")
    return picture


def png_bytes(picture: Image.Image | Bytes) -> bytes:
    """Encode a picture as PNG.

    Parameters
    ----------
    picture : PIL.Image.Image or ndarray of uint8, shape (h, w) or (h, w, 3)
        Grey or RGB.

    Returns
    -------
    bytes
        The file. It carries no date: the same picture gives the same bytes.
    """
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=_PNG_LEVEL)
    return buffer.getvalue()


def save_png(picture: Image.Image | Bytes, path: str | Path) -> None:
    """Write a picture as PNG; the file appears whole or not at all.

    Parameters
    ----------
    picture
        As in `png_bytes`.
    path : str or Path
        Where to; a missing folder is made.
    """
    with atomic_path(Path(path)) as temporary:
        temporary.write_bytes(png_bytes(picture))
