"""Pictures of evidence on the X-ray it comes from: contours and light colour, never a wash.

Lines say where evidence is: one around the smallest region that holds half of what speaks for a
class, a stronger one around the smallest that holds a quarter. Colour says how much there is, on
one scale for all images of a run. Outside lines and colour every pixel of the X-ray is untouched.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypedDict

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import binary_erosion

from workflow_scripts.cxrcam.arrays import BoolArray, Float32Array, UInt8Array
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.maps.frames import LegendItem
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
# And of its colour bar, from air to bone.
_BAR_GREYS: Final = (16, 240)

# zlib level of PNG files: level 1 takes a quarter of the time of level 6 for a 10 % larger file.
_PNG_LEVEL: Final = 1


EVIDENCE_COLOURS: Final = np.round(np.linspace(_WEAKEST_COLOUR, FOR_COLOUR, 256)).astype(np.uint8)
"""Colours of evidence for a class from none to full, shape (256, 3); lightness grows."""


class Xray(TypedDict):
    """An X-ray and its masks, all of shape (side, side); a mask is None where there is none."""

    grey: UInt8Array
    lung_mask: BoolArray | None
    lesion_mask: BoolArray | None


class Picture(Xray):
    """An X-ray with its evidence, in units of the run's scale (1 is full colour)."""

    evidence: Float32Array


def _fill_opacity(opacity: float) -> bytes:
    """Opacity of each level of a layer; steep, so that faint evidence stays faint."""
    strength = np.arange(256) / _FULL
    levels = np.round(255.0 * opacity * strength**1.5)
    levels[_LINE] = 255.0
    return levels.astype(np.uint8).tobytes()


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
    outline: BoolArray = inside & ~binary_erosion(inside, iterations=width, border_value=1)
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
        If a value is not finite.
    """
    strength = np.asarray(evidence, dtype=np.float32)
    half, quarter = evidence_regions(strength)
    levels = np.where(half, np.round(strength.clip(0.0, 1.0) * _FULL), 0).astype(np.uint8)
    for region, width in ((half, _HALF_LINE), (quarter, _QUARTER_LINE)):
        levels[_region_line(region, width, strength)] = _LINE
    return _layer(levels, EVIDENCE_COLOURS.tobytes(), _fill_opacity(opacity))


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
    grey: UInt8Array,
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
    grey : uint8 array, shape (s, s)
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
        If a value of the map is not finite.
    """
    picture = Image.fromarray(grey).convert("RGBA")
    for layer in (
        against_layer(evidence) if against else None,
        evidence_layer(evidence, opacity),
        outline_layer(lung_mask, lesion_mask),
    ):
        if layer is not None:
            picture.alpha_composite(layer.convert("RGBA"))
    return np.array(picture.convert("RGB"))


def colour_bar(width: int, height: int, opacity: float = OPACITY) -> UInt8Array:
    """Draw the colours of evidence, none at the left, full at the right.

    The ground goes from air to bone, so that one sees how much of an X-ray each colour leaves: all
    of it where there is no evidence.

    Returns uint8 (height, width, 3), for overlays of the same opacity.
    """
    ramp = np.round(np.linspace(0, _FULL, width)).astype(np.uint8)
    levels = np.tile(ramp, (height, 1))
    bar = _layer(levels, EVIDENCE_COLOURS.tobytes(), _fill_opacity(opacity)).convert("RGBA")
    greys = np.round(np.linspace(*_BAR_GREYS, height)).astype(np.uint8)
    ground = Image.fromarray(np.repeat(greys[:, None], width, axis=1)).convert("RGBA")
    return np.array(Image.alpha_composite(ground, bar).convert("RGB"))


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


def legend_title(evidence: Float32Array, explained: str, method: str | None = None) -> str:
    """Say of which class an overlay shows evidence, or that there is none."""
    if np.max(evidence) <= 0.0:
        return f"no evidence for {explained}"
    return map_and_unit(explained, method)


def map_and_unit(explained: str, method: str | None) -> str:
    """Name a kind of map (evidence, or another method), the class it explains, and its unit."""
    if method is None:
        return f"evidence for {explained}, log-odds per cell"
    return f"{method} for {explained}, in a unit of its own"


def save_png(picture: Image.Image | UInt8Array, path: Path) -> None:
    """Write a picture, grey or RGB, as PNG; the same picture gives the same bytes.

    The file appears whole or not at all; a missing folder is made.
    """
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG", compress_level=_PNG_LEVEL)
