"""Decode JPEG strictly: a file that has lost data is refused, even if it keeps its end.

libjpeg only warns of such files and fills the gap with grey; Pillow does not pass the warnings on.
simplejpeg has the same decoder (libjpeg-turbo), gives the same pixels and raises them.

What it cannot notice: a flipped bit after which the data still make sense, and bytes overwritten by
as many others that happen to fill the image; and what the last scans of a progressive file add,
which is hardly seen.
"""

from __future__ import annotations

import re
import struct
from typing import Final, Literal

from workflow_scripts.cxrcam.arrays import UInt8Array
from workflow_scripts.cxrcam.images.limits import UnreadableImage

JPEG_SIGNATURE: Final = b"\xff\xd8\xff"
END: Final = b"\xff\xd9"

START_OF_SCAN: Final = 0xDA
#: Markers that stand alone: fill bytes, restarts, start and end.
BARE_MARKERS: Final = frozenset({0x00, 0x01, 0xFF, *range(0xD0, 0xDA)})
#: Frame headers: which kind of JPEG it is.
FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
BASELINE: Final = frozenset({0xC0, 0xC1})
DECODED_FRAMES: Final = BASELINE | {0xC2}
#: Application data (but Adobe's, which names the colours) and comments: no pixel depends on them.
EXTRAS: Final = frozenset(range(0xE0, 0xF0)) - {0xEE} | {0xFE}

EXTRA_BYTES: Final = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
PADDING: Final = frozenset({0x00, 0xFF})

LOST = (
    "The JPEG has lost a part of its image data, which would come out grey or shifted; "
    "copy or export the image once more."
)
CUT_OFF = "The file is cut off: its image data end too early."


def decode_jpeg(
    encoded: bytes, colours: Literal["GRAY", "RGBX", "CMYK"], least: tuple[int, int] = (0, 0)
) -> UInt8Array:
    """Decode a JPEG of 8 bits a sample.

    Parameters
    ----------
    encoded : bytes
        A whole JPEG file.
    colours : {"GRAY", "RGBX", "CMYK"}
        "GRAY" of a colour JPEG is its luma, as stored; "RGBX" is RGB with a byte that means
        nothing, as Pillow wants it; "CMYK" only for files that hold it.
    least : (int, int)
        Height and width that the result must have at least; the smallest fraction is decoded that
        has them. (0, 0) is the whole size.

    Returns
    -------
    ndarray of uint8, shape (height, width) or (height, width, channels)

    Raises
    ------
    UnreadableImage
        The file has lost data or is cut off, or it is of a kind that is not decoded.
    """
    # Imported here: a data set of PNG files should not pay for it.
    import simplejpeg

    height, width = least

    def decoded(content: bytes, strict: bool) -> UInt8Array:
        pixels: UInt8Array = simplejpeg.decode_jpeg(
            content, colours, min_height=height, min_width=width, strict=strict
        )
        return pixels[..., 0] if colours == "GRAY" else pixels

    try:
        return decoded(encoded, True)
    except ValueError as error:
        first_complaint = str(error)
    # Only the first complaint is told. That of a sloppy header or of a missing end hides those that
    # matter, so it is mended.
    mended = _mended(encoded)
    try:
        return decoded(mended, True)
    except ValueError as error:
        complaint = str(error)
    if _is_padded(mended, complaint):
        return decoded(mended, False)
    refuse_kind(encoded)
    cut_off = first_complaint.startswith("Premature end of JPEG file")
    raise UnreadableImage(CUT_OFF if cut_off else LOST)


def check_jpeg(encoded: bytes) -> None:
    """Check that a JPEG of 8 bits a sample has lost no data, for one that others decode.

    It is decoded at an eighth of its size, which takes less than half the time of a whole decoding.
    Nothing is said of kinds that `refuse_kind` refuses.

    Raises
    ------
    UnreadableImage
        It has lost data or is cut off.
    """
    frame = _frame(encoded)
    if frame is None or frame[0] not in DECODED_FRAMES or frame[1] != 8:
        return
    decode_jpeg(encoded, "CMYK" if frame[2] == 4 else "GRAY", (1, 1))


def refuse_kind(encoded: bytes) -> None:
    """Refuse a JPEG that is of a kind that is not decoded here, whether or not it is sound.

    Raises
    ------
    UnreadableImage
    """
    frame = _frame(encoded)
    if frame is None:
        return
    marker, bits, channels = frame
    if bits != 8:
        kind = f"of {bits} bits a pixel"
    elif marker in {0xC3, 0xC7, 0xCB, 0xCF}:
        kind = "compressed without loss (lossless JPEG)"
    elif marker not in DECODED_FRAMES:
        kind = "compressed in a rare way (arithmetic or hierarchical JPEG)"
    elif channels not in {1, 3, 4}:
        kind = f"of {channels} colours"
    else:
        return
    raise UnreadableImage(f"The image is a JPEG {kind}, which is not read: export it as PNG.")


def _frame(encoded: bytes) -> tuple[int, int, int] | None:
    """Kind of frame (its marker), bits a sample and number of channels; None without a frame."""
    for marker, start, end in _segments(encoded):
        if marker in FRAMES and end - start >= 10:
            return marker, encoded[start + 4], encoded[start + 9]
    return None


def _segments(encoded: bytes) -> list[tuple[int, int, int]]:
    """Marker, start and end of each segment, up to the first scan header."""
    segments: list[tuple[int, int, int]] = []
    position = 2
    while (position := encoded.find(b"\xff", position)) >= 0 and position + 4 <= len(encoded):
        marker = encoded[position + 1]
        if marker in BARE_MARKERS:
            position += 1
            continue
        (length,) = struct.unpack_from(">H", encoded, position + 2)
        end = position + 2 + length
        segments.append((marker, position, end))
        if marker == START_OF_SCAN:
            break
        position = end
    return segments


def _mended(encoded: bytes) -> bytes:
    """Write the same image with a plain header, as the standard wants it, and with an end."""
    pieces = [encoded[:2]]
    baseline, channels = False, b""
    for marker, start, end in _segments(encoded):
        if marker in FRAMES:
            baseline, channels = marker in BASELINE, encoded[start + 9 : start + 10]
        if marker == START_OF_SCAN and baseline and encoded[start + 4 : start + 5] == channels:
            # The only scan, so that nothing can follow but the end. Some cameras write senseless
            # bounds of the spectrum, which only progressive files use.
            pieces += [encoded[start : end - 3], b"\x00\x3f\x00", encoded[end:], END]
        elif marker == START_OF_SCAN:
            pieces.append(encoded[start:])
        elif marker not in EXTRAS:
            pieces.append(encoded[start:end])
    return b"".join(pieces)


def _is_padded(mended: bytes, complaint: str) -> bool:
    """Tell whether all that is wrong are bytes before the end that only fill it up."""
    found = EXTRA_BYTES.search(complaint)
    if found is None:
        return False
    # The last end may be that which `_mended` wrote.
    end = mended.rfind(END, 0, -len(END))
    end = mended.rfind(END) if end < 0 else end
    return PADDING.issuperset(mended[end - int(found[1]) : end])
