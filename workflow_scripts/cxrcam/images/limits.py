"""Which files are too large or too small to be used as images, and the error that says so."""

from __future__ import annotations

from typing import Final

#: A side shorter than this is an icon or an accident, not a radiograph.
MINIMUM_SIDE: Final = 16

#: No sane file needs more than this for one pixel (16-bit RGBA, uncompressed) plus its header.
MAXIMUM_BYTES_PER_PIXEL: Final = 8
MAXIMUM_HEADER_BYTES: Final = 64 * 2**20


class UnreadableImage(ValueError):
    """A file that cannot be used as an image; says why in one plain sentence."""


def maximum_bytes(max_pixels: int) -> int:
    """Bytes that no file of one image of so many pixels exceeds, uncompressed."""
    return MAXIMUM_BYTES_PER_PIXEL * max_pixels + MAXIMUM_HEADER_BYTES


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse declared sizes of more than `max_pixels`, or with a side under 16 pixels.

    Raises
    ------
    UnreadableImage
    """
    if width * height > max_pixels:
        raise UnreadableImage(
            f"The image declares {width} x {height} pixels, "
            f"more than the limit of {max_pixels} pixels."
        )
    if min(width, height) < MINIMUM_SIDE:
        raise UnreadableImage(
            f"The image is {width} x {height} pixels: a side is smaller than {MINIMUM_SIDE} pixels."
        )
