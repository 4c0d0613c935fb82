"""An X-ray and its map side by side, between a title and room for words and a legend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from workflow_scripts.cxrcam.arrays import UInt8Array
from workflow_scripts.cxrcam.drawing.captions import caption_font, shorten_middle

LegendItem = tuple[UInt8Array, str]
"""A sample of a colour or line, shape (h, w, 3), and what it means."""

NOTICE: Final = "research use only"
MARGIN: Final = 8
INK: Final = (17, 17, 17)
QUIET: Final = (85, 85, 85)

_GAP: Final = 4
"""Between X-ray and map, in pixels as all lengths here."""
_TITLE: Final = 26
_LEGEND_POINTS: Final = 11
_LEGEND_ROW: Final = 17
_BESIDE_SAMPLE: Final = 5
_BETWEEN_ITEMS: Final = 14


def framed_pair(
    xray: UInt8Array, mapped: UInt8Array, image_id: str, foot: int, *, is_drawn: bool
) -> Image.Image:
    """Place an X-ray and its map side by side below a title.

    Parameters
    ----------
    xray : ndarray of uint8, shape (s, s)
    mapped : ndarray of uint8, shape (s, s, 3)
    image_id : str
        Loses its middle where it is too long.
    foot : int
        Free rows of pixels below.
    is_drawn : bool
        The image is a phantom, and is called a drawn image.

    Returns
    -------
    PIL.Image.Image
        RGB; the right panel starts at pixel `width - s`, the foot at `height - foot`.
    """
    side = len(xray)
    width = 2 * side + _GAP
    canvas = np.full((_TITLE + side + foot, width, 3), 255, dtype=np.uint8)
    canvas[_TITLE : _TITLE + side, :side] = xray[..., None]
    canvas[_TITLE : _TITLE + side, side + _GAP :] = mapped
    picture = Image.fromarray(canvas)
    draw = ImageDraw.Draw(picture)
    small, bold = caption_font(11), caption_font(13, bold=True)
    words = f"Drawn image, {NOTICE}" if is_drawn else NOTICE
    notice = small.getlength(words)
    draw.text((width - MARGIN - notice, _TITLE / 2), words, QUIET, small, anchor="lm")
    name = shorten_middle(image_id, width - 3 * MARGIN - notice, bold)
    draw.text((MARGIN, _TITLE / 2), name, INK, bold, anchor="lm")
    return picture


def legend_height(items: Sequence[LegendItem], width: int) -> int:
    """Rows of pixels that `draw_legend` needs."""
    last = max((row for _, row, _ in _flow(items, width)), default=-1)
    return (last + 2) * _LEGEND_ROW


def draw_legend(
    picture: Image.Image,
    left: int,
    top: int,
    width: int,
    title: str,
    items: Sequence[LegendItem],
) -> None:
    """Draw a title and below it as many samples with their words a row as fit.

    Parameters
    ----------
    picture : PIL.Image.Image
        RGB; is changed.
    left, top, width : int
        Where, in pixels.
    title : str
        Loses its middle where it is too long.
    items : sequence of (sample, words)
    """
    font = caption_font(_LEGEND_POINTS)
    draw = ImageDraw.Draw(picture)
    middle = top + _LEGEND_ROW / 2
    draw.text((left, middle), shorten_middle(title, width, font), INK, font, anchor="lm")
    for (sample, words), row, offset in _flow(items, width):
        high, wide = sample.shape[:2]
        x = left + offset
        middle = top + (row + 1.5) * _LEGEND_ROW
        picture.paste(Image.fromarray(sample), (x, round(middle - high / 2)))
        draw.text((x + wide + _BESIDE_SAMPLE, middle), words, INK, font, anchor="lm")


def _flow(items: Sequence[LegendItem], width: int) -> Iterator[tuple[LegendItem, int, int]]:
    """Each item with its row and its distance from the left; a row holds at least one."""
    font = caption_font(_LEGEND_POINTS)
    row, offset = 0, 0
    for sample, words in items:
        room = sample.shape[1] + _BESIDE_SAMPLE
        shown = shorten_middle(words, width - room, font)
        needed = room + round(font.getlength(shown))
        if offset and offset + needed > width:
            row, offset = row + 1, 0
        yield (sample, shown), row, offset
        offset += needed + _BETWEEN_ITEMS
