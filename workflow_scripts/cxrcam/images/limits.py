"""Which files are too large or too small to be used as images, and the error that says so."""

from __future__ import annotations

from typing import Final

#: A side shorter than this is an icon or an accident, not a radiograph.
MINIMUM_SIDE: Final = 16

#: No sane file needs more than this for one pixel (16-bit RGBA, uncompressed) plus its header.
MAXIMUM_BYTES_PER_PIXEL: Final = 8
MAXIMUM_HEADER_BYTES: Final = 64 * 2**20


class UnreadableImage(ValueError):
    """A file that cannot be used as an image.

    Attributes
    ----------
    reason : str
        One plain sentence for the quarantine table.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def maximum_bytes(max_pixels: int) -> int:
    """Length that no file of one image exceeds, uncompressed.

    Parameters
    ----------
    max_pixels : int
        Largest number of pixels (width × height) of the image.

    Returns
    -------
    int
        Bytes.
    """
    return MAXIMUM_BYTES_PER_PIXEL * max_pixels + MAXIMUM_HEADER_BYTES


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse sizes outside the limits, from the header alone.

    Parameters
    ----------
    width, height : int
        Size that the file declares, in pixels.
    max_pixels : int
        Largest width × height.

    Raises
    ------
    UnreadableImage
        More than `max_pixels`, or a side under 16 pixels.
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
