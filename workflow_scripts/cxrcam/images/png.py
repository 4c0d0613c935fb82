"""What Pillow does not check of a PNG file: its checksums, its end, and that no row is missing."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final

import numpy as np
from PIL import Image

from workflow_scripts.cxrcam.images.limits import UnreadableImage

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

#: Values a pixel, by colour type: grey, RGB, palette, grey with alpha, RGB with alpha.
CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}

#: Of each pass: first column, first row, columns from one pixel to the next, and rows.
ONE_PASS: Final = ((0, 0, 1, 1),)
INTERLACED_PASSES: Final = (  # Adam7
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)


class _IncompletePng(UnreadableImage):
    """The file ends before the image does."""

    def __init__(self) -> None:
        super().__init__("The file is cut off: its image data end too early.")


def check_png(encoded: bytes) -> None:
    """Check that a PNG whose header Pillow could read is undamaged and has its end.

    Raises
    ------
    UnreadableImage
        If a checksum does not match, or the end is missing: Pillow verifies neither.
    """
    for kind, _, sound in _chunks(encoded):
        # Text and time stamps may be damaged without harm; capital first letter: critical chunk.
        if (kind[:1].isupper() or kind == b"tRNS") and not sound:
            raise UnreadableImage("The image data are damaged: a checksum does not match.")


def may_lack_rows(image: Image.Image) -> bool:
    """Whether a PNG, just loaded, looks like one that lacks rows: Pillow leaves them black.

    Of an interlaced one nothing can be told by its last row.
    """
    last_row = image.crop((0, image.height - 1, image.width, image.height))
    return bool(image.info.get("interlace")) or not np.asarray(last_row).any()


def check_rows(encoded: bytes) -> None:
    """Check that the compressed data hold all rows, by decompressing them once more.

    Raises
    ------
    UnreadableImage
        If rows are missing.
    zlib.error
        If the data cannot be decompressed.
    """
    chunks = [(kind, data) for kind, data, _ in _chunks(encoded)]
    missing = _bytes_of_rows(next(bytes(data) for kind, data in chunks if kind == b"IHDR"))
    inflater = zlib.decompressobj()
    for kind, data in chunks:
        # Never more than what is missing, whatever the data would expand to. 0 means no limit.
        if kind == b"IDAT" and missing > 0:
            missing -= len(inflater.decompress(data, missing))
    if missing > 0:
        raise _IncompletePng


def _chunks(encoded: bytes) -> Iterator[tuple[bytes, memoryview, bool]]:
    """Kind and data of each chunk, and whether its checksum matches; the last one is the end."""
    view = memoryview(encoded)
    position = len(PNG_SIGNATURE)
    while position + 12 <= len(encoded):
        (length,) = struct.unpack_from(">I", encoded, position)
        end = position + 12 + length
        if end > len(encoded):
            break
        kind = encoded[position + 4 : position + 8]
        (expected,) = struct.unpack_from(">I", encoded, end - 4)
        sound = zlib.crc32(view[position + 4 : end - 4]) == expected
        yield kind, view[position + 8 : end - 4], sound
        if kind == b"IEND":
            return
        position = end
    raise _IncompletePng


def _bytes_of_rows(header: bytes) -> int:
    """Bytes of all rows: one for the filter, then the pixels, from the image header (IHDR)."""
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", header)
    bits = depth * CHANNELS[colour]
    total = 0
    for first_column, first_row, column_step, row_step in (
        INTERLACED_PASSES if interlaced else ONE_PASS
    ):
        columns = -(-(width - first_column) // column_step)
        rows = -(-(height - first_row) // row_step)
        total += rows * (1 + -(-columns * bits // 8))
    return total
