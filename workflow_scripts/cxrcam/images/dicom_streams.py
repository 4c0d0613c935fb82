"""Decode the compressed stream of a monochrome DICOM image: JPEG, JPEG-LS, JPEG 2000, HTJ2K.

By imagecodecs, which brings libjpeg-turbo, CharLS and OpenJPEG. Of pydicom's plug-ins, Pillow reads
no more than 8 bits of JPEG, and GDCM ends the whole process on some damaged streams.

What the stream says of bits and sign wins over what the data set says: it is what was encoded.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from workflow_scripts.cxrcam.images.limits import UnreadableImage

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

JPEG: Final = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70))
JPEG_LS: Final = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (80, 81))
JPEG_2000: Final = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (90, 91, 201, 202, 203))
STREAMS: Final = (*JPEG, *JPEG_LS, *JPEG_2000)
"""Transfer syntaxes whose streams are decoded here."""
LOSSY: Final = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 81, 91, 203))
"""Of them, those whose values can lie a little beyond the bits that were used."""

#: First bytes of a stream: JPEG and JPEG-LS, JPEG 2000 and HTJ2K. All end alike.
JPEG_START: Final = b"\xff\xd8"
JPEG_2000_START: Final = b"\xff\x4f\xff\x51"
STREAM_END: Final = b"\xff\xd9"

#: Second byte of the markers of JPEG's frame header: SOF0 to SOF15, and that of JPEG-LS.
FRAME_HEADERS: Final = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})


@dataclass(frozen=True)
class StreamHeader:
    """What a stream says of its image; `signed` is None where its kind cannot say so."""

    width: int
    height: int
    samples: int
    bits: int
    signed: bool | None


def can_decode() -> bool:
    """Whether the decoders are installed."""
    try:
        import imagecodecs  # noqa: F401
    except ImportError:
        return False
    return True


def decode_stream(frame: bytes, dataset: Dataset) -> npt.NDArray[Any]:
    """Decode a monochrome image.

    Parameters
    ----------
    frame : bytes
        All fragments of the frame, with what fills up the last one.
    dataset : Dataset
        Of a transfer syntax of `STREAMS`; its bits become those of the stream.

    Returns
    -------
    ndarray of an integer type of 8, 16 or 32 bits, shape (rows, columns)

    Raises
    ------
    UnreadableImage
        The stream is cut off, or of another size, or in colour.
    Exception
        Whatever the decoder raises on a damaged stream.
    """
    import imagecodecs

    syntax = str(dataset.file_meta.TransferSyntaxUID)
    if syntax in JPEG_2000:  # some files have the boxes of a JP2 file around it
        frame = frame[max(frame.find(JPEG_2000_START), 0) :]
    frame = frame.rstrip(b"\0\xff")  # what fills up the last fragment
    header = stream_header(frame)
    if not frame.endswith(STREAM_END):
        raise UnreadableImage("The file is cut off: its image data end too early.")
    declared = (int(dataset.Columns), int(dataset.Rows))
    if (header.width, header.height) != declared or header.samples != 1:
        raise UnreadableImage(
            f"The DICOM file declares {declared[0]} x {declared[1]} pixels in grey, but its "
            f"compressed image has {header.width} x {header.height} pixels of {header.samples} "
            "colours. Have it exported again."
        )
    if syntax in JPEG_2000:
        values = imagecodecs.jpeg2k_decode(frame)
    elif syntax in JPEG_LS:
        values = imagecodecs.jpegls_decode(frame)
    else:
        values = imagecodecs.jpeg8_decode(frame)
    return _with_bits_of(header, np.asarray(values), dataset)


def _with_bits_of(
    header: StreamHeader, values: npt.NDArray[Any], dataset: Dataset
) -> npt.NDArray[Any]:
    container = values.dtype.itemsize * 8
    dataset.BitsAllocated = container
    if header.bits < container:
        dataset.BitsStored, dataset.HighBit = header.bits, header.bits - 1
    if not header.signed and dataset.get("PixelRepresentation") == 1:
        # Signed values, encoded as if they were not: the highest bit of the stream is the sign.
        unused = container - header.bits
        values = (values.view(f"i{values.dtype.itemsize}") << unused) >> unused
    return values


def stream_header(frame: bytes) -> StreamHeader:
    """Read the header of a stream.

    Raises
    ------
    ValueError, struct.error, IndexError
        There is none, or it is damaged.
    """
    if frame.startswith(JPEG_2000_START):
        right, lower, left, upper = struct.unpack_from(">4I", frame, 8)
        (samples,) = struct.unpack_from(">H", frame, 40)
        bits = (frame[42] & 0x7F) + 1
        return StreamHeader(right - left, lower - upper, samples, bits, bool(frame[42] & 0x80))
    if not frame.startswith(JPEG_START):
        raise ValueError("no stream of a known kind")
    position = 2
    while frame[position] == 0xFF:
        kind = frame[position + 1]
        if kind == 0xFF:  # a fill byte
            position += 1
            continue
        if kind in FRAME_HEADERS:
            bits, height, width, samples = struct.unpack_from(">BHHB", frame, position + 4)
            return StreamHeader(width, height, samples, bits, None)
        position += 2 + int(struct.unpack_from(">H", frame, position + 2)[0])
    raise ValueError("no header of a frame")
