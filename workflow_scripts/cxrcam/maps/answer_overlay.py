"""One picture of a new image: the X-ray, the map over it, the answer and what limits it."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from workflow_scripts.cxrcam.figures.captions import caption_font, shorten_middle
from workflow_scripts.cxrcam.maps.overlays import OPACITY, colour_bar, overlay

NOTICE: Final = "research use only"

_GAP: Final = 4
_MARGIN: Final = 8
_TITLE: Final = 26
_LINE: Final = 17
_INK: Final = (17, 17, 17)
_QUIET: Final = (85, 85, 85)
_GROUND: Final = 236


def answer_overlay(
    grey: npt.NDArray[np.uint8],
    heat: npt.NDArray[np.float32] | None,
    *,
    image_id: str,
    lines: list[str],
    explained: str,
    scale_max: float,
    opacity: float = OPACITY,
) -> Image.Image:
    """Draw an image beside its map, with all that must be said with it.

    Parameters
    ----------
    grey : uint8 array, shape (s, s)
        The X-ray.
    heat : float32 array, shape (s, s), or None
        In [0, 1]; None where nothing is to be shown.
    image_id : str
        Loses its middle where it is too long.
    lines : list of str
        Below the picture, the first one in bold; long ones are wrapped.
    explained : str
        Class that the map explains.
    scale_max : float
        Raw class activation at the hot end of the colours.
    opacity : float
        As in `overlays.overlay`.

    Returns
    -------
    PIL.Image.Image
        RGB.
    """
    side = grey.shape[0]
    width = 2 * side + _GAP
    text, bold, small = caption_font(13), caption_font(13, bold=True), caption_font(11)
    wrapped = [
        (part, bold if number == 0 else text)
        for number, line in enumerate(lines)
        for part in _wrapped(line, width - 2 * _MARGIN, bold if number == 0 else text)
    ]
    legend = _LINE + 4 if heat is not None else 0
    height = _TITLE + side + legend + _LINE * len(wrapped) + 2 * _MARGIN
    canvas = np.full((height, width, 3), 255, dtype=np.uint8)
    canvas[_TITLE : _TITLE + side, :side] = grey[..., None]
    right = canvas[_TITLE : _TITLE + side, side + _GAP :]
    right[:] = _GROUND if heat is None else overlay(grey, heat, opacity)
    top = _TITLE + side + _MARGIN
    bar = 110
    if heat is not None:
        canvas[top : top + 10, width - bar - 90 : width - 90] = colour_bar(bar, 10, opacity)

    picture = Image.fromarray(canvas)
    draw = ImageDraw.Draw(picture)
    notice = small.getlength(NOTICE)
    draw.text((width - _MARGIN - notice, _TITLE / 2), NOTICE, _QUIET, small, anchor="lm")
    name = shorten_middle(image_id, width - 3 * _MARGIN - notice, bold)
    draw.text((_MARGIN, _TITLE / 2), name, _INK, bold, anchor="lm")
    if heat is None:
        middle = (side + _GAP + side / 2, _TITLE + side / 2)
        draw.text(middle, "no map: not an input for these networks", _QUIET, small, anchor="mm")
    else:
        words = shorten_middle(f"class activation for {explained}", width - bar - 150, small)
        draw.text((_MARGIN, top + 5), words, _INK, small, anchor="lm")
        draw.text((width - bar - 96, top + 5), "≤ 0", _INK, small, anchor="rm")
        draw.text((width - 84, top + 5), f"≥ {scale_max:.3g}", _INK, small, anchor="lm")
    for number, (line, font) in enumerate(wrapped):
        draw.text((_MARGIN, top + legend + number * _LINE), line, _INK, font)
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
