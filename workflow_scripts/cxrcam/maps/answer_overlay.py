"""One picture of a new image: the X-ray, the evidence on it, the answer and what limits it."""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from workflow_scripts.cxrcam.arrays import Float32Array, UInt8Array
from workflow_scripts.cxrcam.drawing.captions import caption_font, shorten_middle
from workflow_scripts.cxrcam.maps.frames import (
    INK,
    MARGIN,
    QUIET,
    draw_legend,
    framed_pair,
    legend_height,
)
from workflow_scripts.cxrcam.maps.overlays import legend_items, legend_title, overlay

_LINE: Final = 17
_GROUND: Final = 236


def answer_overlay(
    grey: UInt8Array,
    evidence: Float32Array | None,
    *,
    image_id: str,
    lines: list[str],
    explained: str,
    scale_max: float,
    opacity: float,
    against: bool,
    is_drawn: bool,
) -> Image.Image:
    """Draw an image beside the evidence on it, with all that must be said with it.

    Parameters
    ----------
    grey : uint8 array, shape (s, s)
        The X-ray.
    evidence : float32 array, shape (s, s), or None
        As in `overlays.evidence_layer`; None where nothing is to be shown.
    image_id : str
        Loses its middle where it is too long.
    lines : list of str
        Below the picture, the first one in bold; long ones are wrapped.
    explained : str
        Class that the map explains.
    scale_max : float
        Log-odds at full colour.
    opacity, against
        As in `overlays.overlay`.
    is_drawn : bool
        As in `frames.framed_pair`.
    """
    side = len(grey)
    # As wide as both panels.
    room = 2 * side - 2 * MARGIN
    wrapped = []
    for number, line in enumerate(lines):
        font = caption_font(13, bold=number == 0)
        wrapped += [(part, font) for part in _wrapped(line, room, font)]
    if evidence is None:
        legend, mapped = 0, np.full((side, side, 3), _GROUND, dtype=np.uint8)
    else:
        items = legend_items(scale_max, opacity, against=against)
        legend = legend_height(items, room) + MARGIN
        mapped = overlay(grey, evidence, opacity, against=against)
    foot = MARGIN + legend + _LINE * len(wrapped) + MARGIN
    picture = framed_pair(grey, mapped, image_id, foot, is_drawn=is_drawn)
    top = picture.height - foot + MARGIN
    draw = ImageDraw.Draw(picture)
    if evidence is None:
        middle = (picture.width - side / 2, picture.height - foot - side / 2)
        words = "no map: not an input for these networks"
        draw.text(middle, words, QUIET, caption_font(11), anchor="mm")
    else:
        draw_legend(picture, MARGIN, top, room, legend_title(evidence, explained), items)
    for number, (line, font) in enumerate(wrapped):
        draw.text((MARGIN, top + legend + number * _LINE), line, INK, font)
    return picture


def _wrapped(line: str, width: float, font: ImageFont.FreeTypeFont) -> list[str]:
    """Lines that fit; a word that does not fit on one loses its middle."""
    lines: list[str] = []
    current = ""
    for word in line.split():
        longer = f"{current} {word}".strip()
        if font.getlength(longer) <= width or not current:
            current = shorten_middle(longer, width, font)
        else:
            lines.append(current)
            current = shorten_middle(word, width, font)
    return [*lines, current]
