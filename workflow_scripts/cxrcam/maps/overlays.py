"""Pictures of evidence on the X-ray it comes from: contours and light colour, never a wash.

Lines say where evidence is: one around the smallest region that holds half of what speaks for a
class, a stronger one around the smallest that holds a quarter. Colour says how much there is, on
one scale for all images of a run. Outside lines and colour every pixel of the X-ray is untouched.
"""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from workflow_scripts.cxrcam.arrays import BoolArray, Float32Array, UInt8Array
from workflow_scripts.cxrcam.drawing.captions import caption_font, shorten_middle
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.maps.frames import (
    INK,
    MARGIN,
    LegendItem,
    draw_legend,
    framed_pair,
    legend_height,
)
from workflow_scripts.cxrcam.maps.placement import upsample_map
from workflow_scripts.cxrcam.maps.regions import evidence_regions

Colour = tuple[int, int, int]

OPACITY: Final = 0.5
"""Opacity of the strongest evidence: bone edges and vessels stay visible through it."""

FAINT: Final = 0.25
"""Share of the run's scale below which evidence is faint: its lines are dashed."""

FOR_COLOUR: Final = (255, 145, 0)
"""Lines around evidence for a class, and its strongest colour: orange."""

AGAINST_COLOUR: Final = (190, 130, 255)
"""Evidence against a class: violet, and hatched, so that it is told apart in grey too."""

LUNG_COLOUR: Final = (86, 180, 233)
"""Lung outline: Okabe-Ito sky blue."""

LESION_COLOUR: Final = (0, 235, 160)
"""Lesion outline: Okabe-Ito bluish green, brightened to stand out on black."""

# Okabe-Ito vermilion: darker than `FOR_COLOUR`, so that the order survives grey printing.
_WEAKEST_COLOUR: Final = (213, 94, 0)

# Thickness of the lines around half and around a quarter of the evidence, in pixels.
_HALF_LINE: Final = 1
_QUARTER_LINE: Final = 2

# Levels of a layer: 0 is clear, up to 254 evidence grows to full colour, 255 is a line.
_FULL: Final = 254
_LINE: Final = 255

_DASH, _DASH_PERIOD = 7, 12
_HATCH_PERIOD: Final = 7

# Ground of the legend's samples: the grey of soft tissue.
_SAMPLE_GREY: Final = 128

# Panels smaller than this are enlarged for drawing: below it, a caption has no room.
_LEAST_PANEL: Final = 256

# zlib level of PNG files: level 1 takes a quarter of the time of level 6 for a 10 % larger file.
_PNG_LEVEL: Final = 1


@lru_cache(maxsize=1)
def evidence_colours() -> UInt8Array:
    """Colours of evidence for a class from none to full.

    Returns
    -------
    ndarray of uint8, shape (256, 3)
        Lightness grows from the first to the last, `FOR_COLOUR`; read-only.
    """
    ramp = np.linspace(_WEAKEST_COLOUR, FOR_COLOUR, 256)
    colours: UInt8Array = np.round(ramp).astype(np.uint8)
    colours.setflags(write=False)
    return colours


@lru_cache(maxsize=8)
def _fill_opacity(opacity: float) -> bytes:
    """Opacity of each level of a layer; steep, so that faint evidence stays faint."""
    strength = np.arange(256) / _FULL
    levels = np.round(255.0 * opacity * strength**1.5)
    levels[_LINE] = 255.0
    return levels.astype(np.uint8).tobytes()


@lru_cache(maxsize=1)
def _hatch_opacity() -> bytes:
    """Opacity of each level of the hatching: never quite clear, as its lines are thin."""
    levels = np.round(255.0 * (0.25 + 0.75 * np.arange(256) / _FULL).clip(0.0, 1.0))
    levels[0] = 0.0
    return levels.astype(np.uint8).tobytes()


def _layer(levels: UInt8Array, colours: bytes, opacities: bytes) -> Image.Image:
    """Palette image with opacity: a third of the bytes of RGBA."""
    layer = Image.fromarray(levels).convert("P")
    layer.putpalette(colours)
    layer.info["transparency"] = opacities
    return layer


def mask_outline(mask: npt.ArrayLike, width: int = 1) -> BoolArray:
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
    outline: BoolArray = inside & ~core
    return outline


def _region_line(region: BoolArray, width: int, strength: Float32Array) -> BoolArray:
    """Outline of a region of evidence, dashed where the evidence is faint."""
    line = mask_outline(region, width)
    if strength.max() < FAINT:
        down, right = np.gradient(strength)
        rows, columns = np.indices(line.shape)
        # A contour runs across the slope: along the rows where the map falls up or down.
        along = np.where(np.abs(down) > np.abs(right), columns, rows)
        line &= along % _DASH_PERIOD < _DASH
    return line


def evidence_layer(evidence: npt.ArrayLike, opacity: float = OPACITY) -> Image.Image:
    """Evidence for a class, to be laid over its X-ray.

    Parameters
    ----------
    evidence : array-like of float, shape (s, s)
        A placed map in units of the run's scale, see `normalise_map`: 1 is full colour.
    opacity : float, default 0.5
        Of full colour, in [0, 1].

    Returns
    -------
    PIL.Image.Image
        Palette with opacity. Light colour and lines on the smallest regions that hold half and a
        quarter of the positive evidence, see `evidence_regions`; clear elsewhere. The lines are
        dashed where nothing reaches a quarter of the scale.

    Raises
    ------
    ValueError
        If a value is not finite, the map has other than 2 dimensions, or opacity is outside [0, 1].
    """
    if not 0.0 <= opacity <= 1.0:
        raise ValueError(f"opacity is {opacity}, outside [0, 1]")
    strength = np.asarray(evidence, dtype=np.float32)
    half, quarter = evidence_regions(strength)
    levels = np.where(half, np.round(strength.clip(0.0, 1.0) * _FULL), 0).astype(np.uint8)
    for region, width in ((half, _HALF_LINE), (quarter, _QUARTER_LINE)):
        levels[_region_line(region, width, strength)] = _LINE
    return _layer(levels, evidence_colours().tobytes(), _fill_opacity(opacity))


def against_layer(evidence: npt.ArrayLike) -> Image.Image:
    """Evidence against a class, to be laid over its X-ray.

    Parameters
    ----------
    evidence : array-like of float, shape (s, s)
        As for `evidence_layer`; what is negative speaks against the class.

    Returns
    -------
    PIL.Image.Image
        Palette with opacity: the smallest region that holds half of the negative evidence, hatched
        the more strongly the more there is; its line is dashed where it is faint.

    Raises
    ------
    ValueError
        As `evidence_layer`.
    """
    strength = -np.asarray(evidence, dtype=np.float32)
    (half,) = evidence_regions(strength, (0.5,))
    rows, columns = np.indices(half.shape)
    hatched = half & ((rows + columns) % _HATCH_PERIOD == 0)
    levels = np.where(hatched, 1 + np.round(strength.clip(0.0, 1.0) * (_FULL - 1)), 0)
    levels[_region_line(half, _HALF_LINE, strength)] = _LINE
    return _layer(levels.astype(np.uint8), bytes(AGAINST_COLOUR) * 256, _hatch_opacity())


def outline_layer(
    lung_mask: npt.ArrayLike | None, lesion_mask: npt.ArrayLike | None
) -> Image.Image | None:
    """Outlines of lungs and lesions on clear ground.

    Parameters
    ----------
    lung_mask, lesion_mask : array-like, shape (s, s), or None
        Non-zero is inside. Lungs are outlined one pixel thin in sky blue, lesions two pixels in
        green.

    Returns
    -------
    PIL.Image.Image or None
        Palette with opacity; None where there is no mask.
    """
    given = [(k, mask) for k, mask in enumerate((lung_mask, lesion_mask), 1) if mask is not None]
    if not given:
        return None
    levels = np.zeros(np.shape(given[0][1]), dtype=np.uint8)
    for level, mask in given:
        # Lungs one pixel thin, lesions two.
        levels[mask_outline(mask, level)] = level
    return _layer(levels, bytes((0, 0, 0, *LUNG_COLOUR, *LESION_COLOUR)), bytes((0, 255, 255)))


def overlay(
    grey: npt.ArrayLike,
    evidence: npt.ArrayLike,
    opacity: float = OPACITY,
    *,
    against: bool = False,
    lung_mask: npt.ArrayLike | None = None,
    lesion_mask: npt.ArrayLike | None = None,
) -> UInt8Array:
    """Draw evidence, and the outlines of lungs and lesions, on an X-ray.

    Parameters
    ----------
    grey : array-like of uint8, shape (s, s)
        The X-ray.
    evidence, opacity
        As in `evidence_layer`.
    against : bool, default False
        Whether to draw `against_layer` too.
    lung_mask, lesion_mask
        As in `outline_layer`.

    Returns
    -------
    ndarray of uint8, shape (s, s, 3)
        RGB. Pixels outside regions and outlines keep exactly their grey.

    Raises
    ------
    ValueError
        As `evidence_layer`, if `grey` is not uint8, or if shapes differ.
    """
    base = np.asarray(grey)
    if base.dtype != np.uint8 or base.ndim != 2:
        raise ValueError(f"grey is {base.dtype} {base.shape}, expected uint8 (s, s)")
    parts = {"evidence": evidence, "lung_mask": lung_mask, "lesion_mask": lesion_mask}
    for name, part in parts.items():
        if part is not None and np.shape(part) != base.shape:
            raise ValueError(f"{name} has shape {np.shape(part)}, the X-ray {base.shape}")
    picture = Image.fromarray(base).convert("RGBA")
    for layer in (
        against_layer(evidence) if against else None,
        evidence_layer(evidence, opacity),
        outline_layer(lung_mask, lesion_mask),
    ):
        if layer is not None:
            picture.alpha_composite(layer.convert("RGBA"))
    drawn: UInt8Array = np.array(picture.convert("RGB"))
    return drawn


def colour_bar(width: int, height: int, opacity: float = OPACITY) -> UInt8Array:
    """Draw the colours of evidence as they look on soft tissue, from none to full.

    Parameters
    ----------
    width, height : int
        Size in pixels.
    opacity : float, default 0.5
        That of the overlays it stands beside.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
        No evidence at the left, full colour at the right.
    """
    ramp = np.round(np.linspace(0, _FULL, width)).astype(np.uint8)
    bar = _layer(
        np.tile(ramp, (height, 1)), evidence_colours().tobytes(), _fill_opacity(opacity)
    ).convert("RGBA")
    ground = Image.new("RGBA", bar.size, (*[_SAMPLE_GREY] * 3, 255))
    drawn: UInt8Array = np.array(Image.alpha_composite(ground, bar).convert("RGB"))
    return drawn


def legend_items(
    scale_max: float,
    opacity: float,
    *,
    against: bool,
    has_lungs: bool = False,
    has_lesions: bool = False,
) -> list[LegendItem]:
    """Say what colours and lines of an overlay mean.

    Parameters
    ----------
    scale_max : float
        Log-odds at full colour.
    opacity, against
        As in `overlay`.
    has_lungs, has_lesions : bool
        Whether their outlines are drawn.

    Returns
    -------
    list of (sample, words)
    """
    faint = f"faint: under +{FAINT * scale_max:.2g}"
    items = [
        (colour_bar(96, 11, opacity), f"+{scale_max:.3g} at full colour"),
        (_line_sample(FOR_COLOUR, _HALF_LINE), "half of it"),
        (_line_sample(FOR_COLOUR, _QUARTER_LINE), "a quarter of it"),
        (_line_sample(FOR_COLOUR, _HALF_LINE, dashed=True), faint),
    ]
    if against:
        hatched = np.full((11, 22), -1.0)
        sample = overlay(np.full((11, 22), _SAMPLE_GREY, dtype=np.uint8), hatched, against=True)
        items.append((sample, "against it (half)"))
    if has_lungs:
        items.append((_line_sample(LUNG_COLOUR, 1), "lung"))
    if has_lesions:
        items.append((_line_sample(LESION_COLOUR, 2), "lesion"))
    return items


def _line_sample(colour: Colour, width: int, dashed: bool = False) -> UInt8Array:
    """A line as it looks on soft tissue."""
    sample = np.full((11, 22, 3), _SAMPLE_GREY, dtype=np.uint8)
    drawn = np.arange(22) % _DASH_PERIOD < _DASH if dashed else np.ones(22, dtype=bool)
    sample[5 : 5 + width, drawn] = colour
    return sample


def legend_title(evidence: npt.ArrayLike, explained: str, method: str | None = None) -> str:
    """Say of which class an overlay shows evidence, or that there is none.

    Parameters
    ----------
    evidence : array-like of float
    explained : str
        The class.
    method : str, optional
        Name of another kind of map, which has a unit of its own.
    """
    if np.max(evidence) <= 0.0:
        return f"no evidence for {explained}"
    return map_and_unit(f"for {explained}", method)


def map_and_unit(explained: str, method: str | None) -> str:
    """Name a kind of map, what it explains, and its unit."""
    if method is None:
        return f"evidence {explained}, log-odds per cell"
    return f"{method} {explained}, in a unit of its own"


def _enlarged(picture: npt.ArrayLike, panel: int, method: Image.Resampling) -> UInt8Array:
    return np.asarray(Image.fromarray(np.asarray(picture)).resize((panel, panel), method))


def captioned_overlay(
    grey: npt.ArrayLike,
    evidence: npt.ArrayLike,
    *,
    image_id: str,
    label: str,
    predicted: str,
    probability: float,
    scale_max: float,
    map_class: str | None = None,
    method: str | None = None,
    opacity: float = OPACITY,
    against: bool = False,
    lung_mask: npt.ArrayLike | None = None,
    lesion_mask: npt.ArrayLike | None = None,
) -> Image.Image:
    """Draw one image of a run: the X-ray, the evidence on it, and what the network said.

    Parameters
    ----------
    grey : array-like of uint8, shape (s, s)
        The X-ray. Below 256 pixels both panels are enlarged.
    evidence : array-like of float, shape (s, s)
        As in `evidence_layer`.
    image_id, label, predicted : str
        What it is, its true class, the class the network named. Texts too long for the picture
        lose their middle.
    probability : float
        Probability of the predicted class, in [0, 1].
    scale_max : float
        Log-odds at full colour.
    map_class : str, optional
        Class that the map explains; default `predicted`.
    method : str, optional
        Name of another kind of map than evidence.
    opacity, against, lung_mask, lesion_mask
        As in `overlay`.

    Returns
    -------
    PIL.Image.Image
        RGB; two panels side by side between a title and a strip of text with the legend.

    Raises
    ------
    ValueError
        As `overlay`, and for a probability outside [0, 1].
    """
    if not 0.0 <= probability <= 1.0:
        raise ValueError(f"probability of {image_id!r} is {probability}, outside [0, 1]")
    base, shown = np.asarray(grey), np.asarray(evidence, dtype=np.float32)
    lungs, lesions = lung_mask, lesion_mask
    panel = max(base.shape[0], _LEAST_PANEL)
    if base.shape[0] != panel and base.shape == shown.shape and base.dtype == np.uint8:
        base = _enlarged(base, panel, Image.Resampling.BICUBIC)
        nearest = Image.Resampling.NEAREST
        shown = upsample_map(shown, panel)
        lungs, lesions = (
            None if mask is None else _enlarged(np.not_equal(mask, 0), panel, nearest)
            for mask in (lungs, lesions)
        )
    mapped = overlay(base, shown, opacity, against=against, lung_mask=lungs, lesion_mask=lesions)
    items = legend_items(
        scale_max,
        opacity,
        against=against,
        has_lungs=lungs is not None,
        has_lesions=lesions is not None,
    )
    room = panel - 2 * MARGIN
    foot = MARGIN + max(54, legend_height(items, room)) + MARGIN
    picture = framed_pair(base, mapped, image_id, foot)
    top = picture.height - foot + MARGIN
    _write_answer(picture, top, room, label, predicted, probability)
    left = picture.width - panel + MARGIN
    explained = predicted if map_class is None else map_class
    draw_legend(picture, left, top, room, legend_title(shown, explained, method), items)
    return picture


def _write_answer(
    picture: Image.Image, top: int, room: int, label: str, predicted: str, probability: float
) -> None:
    """Write what is true and what was said; a sign and a word, as colour alone excludes some."""
    draw = ImageDraw.Draw(picture)
    text, bold = caption_font(13), caption_font(13, bold=True)
    draw.text((MARGIN, top), shorten_middle(f"true: {label}", room, text), INK, text)
    shown_probability = f" ({probability:.3f})"
    name = shorten_middle(f"predicted: {predicted}", room - text.getlength(shown_probability), text)
    draw.text((MARGIN, top + 18), name + shown_probability, INK, text)
    verdict = "✓ correct" if label == predicted else "✗ wrong"
    draw.text((MARGIN, top + 36), verdict, INK, bold)


def png_bytes(picture: Image.Image | UInt8Array) -> bytes:
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


def save_png(picture: Image.Image | UInt8Array, path: str | Path) -> None:
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
