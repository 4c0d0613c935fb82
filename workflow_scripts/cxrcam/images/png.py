"""What Pillow does not do for PNG files: check sums, the end, missing rows, transparent greys."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

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

DAMAGED_EXIF: Final = "The file's EXIF block is damaged, so that it is not known which side is up."

#: Chunks on which no pixel depends: times, sizes, colour profiles, texts.
EXTRAS: Final = frozenset(
    {b"bKGD", b"cHRM", b"gAMA", b"hIST", b"iCCP", b"iTXt", b"pHYs", b"sBIT", b"sPLT", b"sRGB"}
    | {b"tEXt", b"tIME", b"zTXt"}
)
#: But texts can say which side is up, and a damaged length can swallow the chunks that follow.
NEEDED: Final = (b"exif", b"xmp", b"app1", b"actl", b"trns", b"plte", b"idat")


class _IncompletePng(UnreadableImage):
    """The file ends before the image does."""

    def __init__(self) -> None:
        super().__init__("The file is cut off: its image data end too early.")


class _Chunk(NamedTuple):
    kind: bytes
    data: memoryview
    sound: bool  # the checksum matches
    start: int
    end: int


def checked_png(encoded: bytes) -> bytes:
    """Check the sums of a PNG file and that it has its end: Pillow verifies neither of its pixels.

    Returns
    -------
    bytes
        The file, without damaged chunks that no pixel depends on, for which Pillow would refuse
        the file.

    Raises
    ------
    UnreadableImage
        The end is missing, or a damaged chunk matters.
    """
    damaged = []
    for chunk in _chunks(encoded):
        if chunk.sound:
            continue
        if chunk.kind == b"eXIf":
            raise UnreadableImage(DAMAGED_EXIF)
        content = bytes(chunk.data).lower()
        if chunk.kind not in EXTRAS or any(word in content for word in NEEDED):
            raise UnreadableImage("The image data are damaged: a checksum does not match.")
        damaged.append(chunk)
    for chunk in reversed(damaged):
        encoded = encoded[: chunk.start] + encoded[chunk.end :]
    return encoded


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
    missing = _bytes_of_rows(_content(encoded, b"IHDR"))
    inflater = zlib.decompressobj()
    for chunk in _chunks(encoded):
        # Never more than what is missing, whatever the data would expand to. 0 means no limit.
        if chunk.kind == b"IDAT" and missing > 0:
            missing -= len(inflater.decompress(chunk.data, missing))
    if missing > 0:
        raise _IncompletePng


def check_palette(encoded: bytes, indices: Image.Image) -> None:
    """Check that a picture with a palette uses none but its colours; others would be made up.

    Raises
    ------
    UnreadableImage
    """
    if int(np.asarray(indices).max()) >= len(_content(encoded, b"PLTE")) // 3:
        raise UnreadableImage("The image data are damaged: a colour is not in the palette.")


def transparent_grey(encoded: bytes) -> int:
    """Find the grey that a grey PNG declares transparent, as Pillow decodes it.

    Parameters
    ----------
    encoded : bytes
        A file with the chunk tRNS.

    Returns
    -------
    int
        In [0, 65535] where the file has 16 bits a pixel, else in [0, 255]: fewer bits than 8 are
        stretched to 8. Of the two bytes that are stored, only the bits of a pixel count.
    """
    depth = _content(encoded, b"IHDR")[8]
    highest = 2**depth - 1
    (stored,) = struct.unpack_from(">H", _content(encoded, b"tRNS"))
    level: int = stored & highest
    return level * 255 // highest if depth < 8 else level


def _content(encoded: bytes, kind: bytes) -> bytes:
    """Content of the first chunk of a kind; empty if there is none."""
    return next((bytes(chunk.data) for chunk in _chunks(encoded) if chunk.kind == kind), b"")


def _chunks(encoded: bytes) -> Iterator[_Chunk]:
    """All chunks in order; the last one is the end."""
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
        yield _Chunk(kind, view[position + 8 : end - 4], sound, position, end)
        if kind == b"IEND":
            return
        position = end
    if position == len(PNG_SIGNATURE):
        raise UnreadableImage(
            "The file starts as a PNG image, but its header is damaged or cut off."
        )
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
