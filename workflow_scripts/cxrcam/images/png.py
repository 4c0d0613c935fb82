"""PNG files: whether they are whole, and a quick way for the plain grey ones that data sets hold.

Pillow inflates a PNG row by row, which takes as long as taking its rows' filters off. A plain file
is inflated here in one go, by Intel's ISA-L, and handed to the same decoder of Pillow as a stream
that only has to be copied: the same pixels in three quarters to four fifths of the time. Whatever
is not plain or not sound is left to Pillow, and so is what to say of it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final

from isal import isal_zlib
from PIL import Image

from workflow_scripts.cxrcam.images.limits import MINIMUM_SIDE, UnreadableImage

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

#: Blocks that change neither pixels nor which side is up, with the bytes that each must have.
NEUTRAL_CHUNKS: Final = {b"gAMA": 4, b"sRGB": 1, b"pHYs": 9, b"cHRM": 32, b"tIME": 7}

#: Bit depth 8, grey, the one compression and the one set of filters there are, not interlaced.
PLAIN_HEADER: Final = (8, 0, 0, 0, 0)
HEADER_BYTES: Final = 13

#: Larger images are Pillow's: it keeps them in several pieces of memory.
MAXIMUM_PLAIN_PIXELS: Final = 2**24

STORED_BYTES: Final = 65535  # that a block of a deflate stream holds at most without compression


class _IncompletePng(UnreadableImage):
    """The chunks end before the image does."""

    def __init__(self) -> None:
        super().__init__("The file is cut off: its image data end too early.")


def check_png_chunks(encoded: bytes) -> None:
    """Check the checksums of a PNG's chunks and that its end is there.

    Pillow verifies neither for pixel data: a flipped bit in them, or a missing end, can pass
    unnoticed. Costs about 1 % of decoding.

    Raises
    ------
    UnreadableImage
        If a checksum does not match, or the end is missing.
    """
    for kind, _, sound in _chunks(encoded):
        # Text and time stamps may be damaged without harm; capital first letter: critical chunk.
        if (kind[:1].isupper() or kind == b"tRNS") and not sound:
            raise UnreadableImage("The image data are damaged: a checksum does not match.")


def plain_grey_image(encoded: bytes, max_pixels: int) -> Image.Image | None:
    """Decode a PNG that is plain and sound.

    Parameters
    ----------
    encoded : bytes
        Content of a file of any kind.
    max_pixels : int
        Larger images are not decoded.

    Returns
    -------
    PIL.Image.Image or None
        Of mode "L"; None for anything but an undamaged 8-bit grey PNG without transparency,
        interlacing, orientation or text, of a size within the limits.
    """
    if not encoded.startswith(PNG_SIGNATURE):
        return None
    found = _plain_content(encoded)
    if found is None:
        return None
    header, compressed = found
    width, height, *form = struct.unpack(">IIBBBBB", header)
    if tuple(form) != PLAIN_HEADER or min(width, height) < MINIMUM_SIDE:
        return None
    if width * height > min(max_pixels, MAXIMUM_PLAIN_PIXELS):
        return None
    rows = _inflated(compressed, (1 + width) * height)
    if rows is None:
        return None
    try:
        checksum = compressed[-4:]  # of the rows, which the inflater has compared
        return Image.frombytes("L", (width, height), _stored(rows, checksum), "zip", ("L", 0))
    except ValueError:  # a filter that does not exist
        return None


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


def _plain_content(encoded: bytes) -> tuple[bytes, bytes] | None:
    """Header and compressed rows of a PNG that holds nothing else of importance."""
    header, before = b"", b""
    rows: list[memoryview] = []
    try:
        for number, (kind, data, sound) in enumerate(_chunks(encoded)):
            if not sound or (kind == b"IHDR") != (number == 0):
                return None
            if kind == b"IHDR" and len(data) == HEADER_BYTES:
                header = bytes(data)
            elif kind == b"IDAT" and (not rows or before == b"IDAT"):
                rows.append(data)
            elif kind != b"IEND" and len(data) != NEUTRAL_CHUNKS.get(kind):
                return None
            before = kind
    except _IncompletePng:
        return None
    return header, b"".join(rows)


def _inflated(compressed: bytes, length: int) -> bytes | None:
    """Bytes of a deflate stream that has exactly so many; never more than that are made."""
    inflater = isal_zlib.decompressobj()
    try:
        rows: bytes = inflater.decompress(compressed, length + 1)
    except isal_zlib.error:  # type: ignore[misc]  # its stub calls the class an exception
        return None
    ended = inflater.eof and not inflater.unused_data
    return rows if ended and len(rows) == length else None


def _stored(content: bytes, checksum: bytes) -> bytes:
    """A deflate stream that holds its content as it is (RFC 1950 and 1951, 3.2.4)."""
    pieces: list[bytes | memoryview] = [b"\x78\x01"]
    view = memoryview(content)
    for start in range(0, len(view), STORED_BYTES):
        block = view[start : start + STORED_BYTES]
        last = start + STORED_BYTES >= len(view)
        pieces += [struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF), block]
    return b"".join([*pieces, checksum])
