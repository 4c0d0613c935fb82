"""The text in a phantom's PNG file by which it is told from an X-ray.

A copy that another program wrote has lost it, and counts as no phantom.
"""

from typing import Final

from PIL.PngImagePlugin import PngInfo

from workflow_scripts.cxrcam.images.png import PNG_SIGNATURE

DRAWN_BY: Final = "CXR-CAM phantom"

_START: Final = len(PNG_SIGNATURE) + 25
"""Where the first chunk after the header of the image starts."""

_TEXT: Final = b"tEXtSoftware\0" + DRAWN_BY.encode("ascii")
_LENGTH: Final = 4
"""Bytes in front of a chunk's name that tell its length."""

MARK_END: Final = _START + _LENGTH + len(_TEXT)
"""Bytes of a file that `has_drawn_mark` needs."""


def drawn_mark() -> PngInfo:
    """What Pillow is to write into the file of a phantom, as `pnginfo`."""
    mark = PngInfo()
    mark.add_text("Software", DRAWN_BY)
    return mark


def has_drawn_mark(start: bytes) -> bool:
    """Whether a file that starts so is a phantom of this program."""
    return start.startswith(PNG_SIGNATURE) and start[_START + _LENGTH : MARK_END] == _TEXT
