"""PNG files: whether they are whole, and a quick way for the plain grey ones that data sets hold.

A plain file is inflated by ISA-L, which compares the sum of its rows, and decoded by kornia-rs, the
image library of the Kornia project: the same pixels as Pillow's in two fifths of the time. Whatever
is not plain or not sound is left to Pillow, and so is what to say of it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
from isal import isal_zlib
from kornia_rs.io import decode_image_png_u8

from workflow_scripts.cxrcam.images.limits import MINIMUM_SIDE, UnreadableImage

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

#: Blocks that change neither pixels nor which side is up, with the bytes that each must have.
NEUTRAL_CHUNKS: Final = {b"gAMA": 4, b"sRGB": 1, b"pHYs": 9, b"cHRM": 32, b"tIME": 7}

#: Bit depth 8, grey, the one compression and the one set of filters there are, not interlaced.
PLAIN_HEADER: Final = (8, 0, 0, 0, 0)
HEADER_BYTES: Final = 13

#: A stream without compression begins so, and its blocks are no longer.
STORED_STREAM: Final = b"\x78\x01"
LARGEST_STORED_BLOCK: Final = 0xFFFF
ADLER_BYTES: Final = 4

#: Larger images are Pillow's: where memory is short it says so, and the quick decoder would take
#: the process with it.
MAXIMUM_PLAIN_PIXELS: Final = 2**24


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


def plain_grey_image(encoded: bytes, max_pixels: int) -> npt.NDArray[np.uint8] | None:
    """Decode a PNG that is plain and sound.

    Parameters
    ----------
    encoded : bytes
        Content of a file of any kind.
    max_pixels : int
        Larger images are not decoded.

    Returns
    -------
    ndarray of uint8, shape (height, width), or None
        None for anything but an undamaged 8-bit grey PNG without transparency, interlacing,
        orientation or text, of a size within the limits.
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
    # The decoder takes files only, and would inflate the rows again: it is given them as they are.
    stored = _stored_png(header, rows, compressed[-ADLER_BYTES:])
    try:
        decoded: npt.NDArray[np.uint8] = decode_image_png_u8(stored, (height, width), "mono")
    except Exception:  # it raises nothing more special
        return None
    return decoded[..., 0]


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
    """Inflate a deflate stream of so many bytes that fits its sum (RFC 1950, Adler-32), or not."""
    inflater = isal_zlib.decompressobj()
    try:
        # Never more than that, whatever the stream holds.
        rows = inflater.decompress(compressed, length + 1)
    except isal_zlib.error:  # type: ignore[misc]  # its stub calls the class an exception
        return None
    whole = inflater.eof and not inflater.unused_data and len(rows) == length
    return rows if whole else None


def _stored_png(header: bytes, rows: bytes, adler: bytes) -> bytes:
    """PNG file of rows that are not compressed (RFC 1951, 3.2.4), with the sum that they have."""
    blocks = [STORED_STREAM]
    for start in range(0, len(rows), LARGEST_STORED_BLOCK):
        block = rows[start : start + LARGEST_STORED_BLOCK]
        last = start + len(block) == len(rows)
        blocks += [struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF), block]
    chunks = ((b"IHDR", header), (b"IDAT", b"".join([*blocks, adler])), (b"IEND", b""))
    file = [PNG_SIGNATURE]
    for kind, data in chunks:
        checksum = isal_zlib.crc32(data, isal_zlib.crc32(kind))
        file += [struct.pack(">I", len(data)), kind, data, struct.pack(">I", checksum)]
    return b"".join(file)
