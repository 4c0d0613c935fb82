"""Text that fits its place, with one font on every machine."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import matplotlib
from PIL import ImageFont


@lru_cache(maxsize=8)
def caption_font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Load DejaVu Sans as it comes with matplotlib: the same pixels on every machine.

    `size` is the height of the letters' em square in pixels.
    """
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(
        str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name),
        size,
        layout_engine=ImageFont.Layout.BASIC,
    )


def shorten_middle(text: str, width: float, font: ImageFont.FreeTypeFont) -> str:
    """Cut the middle out of a text until it fits; both ends of an image id tell images apart.

    Parameters
    ----------
    text : str
        Line breaks become spaces.
    width : float
        Room in pixels.
    font : PIL.ImageFont.FreeTypeFont
        Font it will be drawn in.
    """
    line = " ".join(text.split())
    if font.getlength(line) <= width:
        return line
    # Binary search over the number of characters that are kept.
    fits, fails = 0, len(line)
    while fails - fits > 1:
        kept = (fits + fails) // 2
        if font.getlength(_cut(line, kept)) <= width:
            fits = kept
        else:
            fails = kept
    return _cut(line, fits)


def _cut(line: str, kept: int) -> str:
    tail = kept // 2
    return line[: kept - tail] + "…" + (line[-tail:] if tail else "")
