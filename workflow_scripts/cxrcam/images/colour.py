"""How colourful an image is: a radiograph has no colours, a photograph nearly always has.

Looked at while a file is decoded to grey, and only where its mode can hold colours.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import Image

#: Pillow's modes without colours, beside those that start with "I" (integers of more bits).
GREY_MODES: Final = frozenset({"1", "L", "LA", "La", "F"})

#: Cells a side whose mean colours are compared: noise of JPEG and single letters average out.
CELLS: Final = 64

#: Share of the cells that a coloured marker may cover.
COLOURED_SHARE: Final = 0.1

#: An image is in colour if its `colourfulness` is above it: if in more than a tenth of the picture
#: red, green and blue lie more than a tenth apart. Of 2,100 real radiographs stored as RGB none is
#: above 0, at whatever quality of JPEG, with coloured noise (standard deviation 15) none above
#: 0.03; a film photographed in light whose blue is a tenth weaker reaches it. Of 900 crops of
#: three colour photographs 98 % are above.
MOST_COLOUR: Final = 0.1


def may_hold_colour(mode: str) -> bool:
    """Tell by Pillow's mode of an image whether it could be in colour."""
    return not (mode in GREY_MODES or mode.startswith("I"))


def colourfulness(image: Image.Image) -> float:
    """Distance of red, green and blue that only a tenth of the picture exceeds, in [0, 1].

    Of each cell of a grid of 64 × 64 it is the distance between the largest and the smallest of the
    three means. 0 for grey, also where it is stored in three channels. Opacity plays no part.
    """
    if not may_hold_colour(image.mode):
        return 0.0
    if image.mode in {"P", "PA"}:
        image = image.convert("RGBA")  # straight to RGB, Pillow warns of transparent colours
    if image.mode not in {"RGB", "RGBX"}:
        image = image.convert("RGB")
    cells = np.asarray(image.resize((CELLS, CELLS), Image.Resampling.BOX))[..., :3]
    distances = np.sort((cells.max(axis=2) - cells.min(axis=2)).ravel())
    return float(distances[-1 - int(COLOURED_SHARE * distances.size)]) / 255.0
