"""Lesions that a data set gives in a table, as boxes or run-length codes: drawn as masks."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from workflow_scripts.cxrcam.arrays import BoolArray
from workflow_scripts.cxrcam.images.limits import UnreadableImage, check_size
from workflow_scripts.cxrcam.images.resizing import resize_grey
from workflow_scripts.cxrcam.terms import LESION_REGIONS

SLACK: Final = 0.05
"""Share of a side by which a box may leave the image, as hands slip. Further out, it was drawn on
another image."""


@dataclass(frozen=True)
class LesionRegions:
    """Lesions of one image.

    Attributes
    ----------
    text : str
        JSON: ``frame``, width and height in pixels of the picture that coordinates refer to, null
        for the image itself; and either ``boxes``, each [finding, left, top, width, height], or
        ``runs``, run-length codes: gap, length, gap, length ..., column by column.
    width, height : int
        Of the image, in pixels.
    """

    text: str
    width: int
    height: int

    def mask(self, size: int, max_pixels: int) -> BoolArray:
        """All lesions of the image as one mask, stretched to a square as images are.

        Returns
        -------
        bool array, shape (size, size)
            True where at least half of a pixel's area lies in a lesion.

        Raises
        ------
        UnreadableImage
            They cannot be read, their frame has more than `max_pixels` pixels, or they lie outside.
        """
        try:
            told = json.loads(self.text)
            width, height = map(int, told["frame"] or (self.width, self.height))
            check_size(width, height, max_pixels)
            if "boxes" in told:
                inside = _boxes_drawn(told["boxes"], width, height)
            else:
                inside = _runs_drawn(told["runs"], width, height)
        except UnreadableImage:
            raise
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise UnreadableImage(
                f"The lesions {self.text[:80]!r} are neither boxes nor run-length codes ({error})."
            ) from error
        area = resize_grey(inside.astype(np.uint8) * np.uint8(255), size, "box")
        mask: BoolArray = area > 127
        return mask


def lesion_regions_of(image: Mapping[Any, Any]) -> LesionRegions | None:
    """Lesions of a row of the index; None where its data set tells none in a table."""
    text = image.get(LESION_REGIONS)
    if not isinstance(text, str) or not text:
        return None
    return LesionRegions(text, int(image["width"]), int(image["height"]))


def _boxes_drawn(boxes: Iterable[tuple[Any, ...]], width: int, height: int) -> BoolArray:
    """Boxes as a mask of shape (height, width); sides are rounded to whole pixels."""
    inside = np.zeros((height, width), dtype=bool)
    for finding, *sides in boxes:
        left, top, box_width, box_height = map(float, sides)
        right, bottom = round(left + box_width), round(top + box_height)
        over = max(-left / width, -top / height, right / width - 1, bottom / height - 1)
        if over > SLACK:
            raise UnreadableImage(
                f"The box of {finding!r} (left {left:g}, top {top:g}, width {box_width:g}, height "
                f"{box_height:g}) leaves the image of {width} x {height} pixels: was it resized?"
            )
        inside[max(round(top), 0) : bottom, max(round(left), 0) : right] = True
    return inside


def _runs_drawn(runs: Iterable[str], width: int, height: int) -> BoolArray:
    """Run-length codes as a mask of shape (height, width)."""
    columns = np.zeros(width * height, dtype=bool)
    for code in runs:
        numbers = [int(word) for word in code.split()]
        start = 0
        for gap, length in zip(numbers[::2], numbers[1::2], strict=True):
            start += gap
            if gap < 0 or length < 0 or start + length > columns.size:
                raise UnreadableImage(
                    f"A run-length code leaves its frame of {width} x {height} pixels."
                )
            columns[start : start + length] = True
            start += length
    inside: BoolArray = columns.reshape(width, height).T
    return inside
