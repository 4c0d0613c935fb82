"""Stored values of a DICOM image: whatever compresses them, and wherever their bits lie.

Pixels are decoded by pydicom and the plug-ins that it finds: GDCM (JPEG, JPEG-LS), OpenJPEG (JPEG
2000, HTJ2K), its own code for the rest. Before that, what the compressed stream says of itself
(bits, sign) replaces what the data set says, since it is what was encoded; after it, values are
moved to where the data set says that they are, or the file is refused.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

import numpy.typing as npt

from workflow_scripts.cxrcam.images.limits import UnreadableImage, check_size

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.uid import UID

EXPORT_AGAIN: Final = "Have it exported again, uncompressed (Explicit VR Little Endian)."

#: First bytes of a compressed frame: JPEG and JPEG-LS, JPEG 2000 and HTJ2K.
JPEG_START: Final = b"\xff\xd8"
JPEG_2000_START: Final = b"\xff\x4f"
STREAM_END: Final = b"\xff\xd9"

#: Markers of JPEG's frame header, which names the bits: SOF0 to SOF15, and JPEG-LS.
FRAME_HEADERS: Final = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})

BITS_ALLOCATED: Final = (1, 8, 16, 32, 64)


def check_image(dataset: Dataset, max_pixels: int) -> None:
    """Refuse what holds no single image, or one that cannot be decoded here.

    Raises
    ------
    UnreadableImage
        With the reason and what to do.
    """
    if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise UnreadableImage("The DICOM file holds no pixel data.")
    for name, words in (
        ("Rows", "number of rows"),
        ("Columns", "number of columns"),
        ("PhotometricInterpretation", "photometric interpretation"),
    ):
        if dataset.get(name) in (None, ""):
            raise UnreadableImage(f"The DICOM file does not state its {words}.")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames > 1:
        raise _several_frames(frames)
    check_size(int(dataset.Columns), int(dataset.Rows), max_pixels)
    bits = dataset.get("BitsAllocated")
    if bits is not None and int(bits) not in BITS_ALLOCATED:
        raise UnreadableImage(
            f"The DICOM file stores each pixel in {bits} bits, which nothing reads here. "
            f"{EXPORT_AGAIN}"
        )
    syntax = _transfer_syntax(dataset)
    _check_decoder(syntax)
    if not syntax.is_encapsulated:
        _check_length(dataset)


def stored_values(dataset: Dataset) -> npt.NDArray[Any]:
    """Decode the pixels of a data set that `check_image` let pass; some elements are mended.

    Returns
    -------
    ndarray, shape (rows, columns) or (rows, columns, 3)
        As stored, signed or unsigned; of `PALETTE COLOR` the numbers of the colours.

    Raises
    ------
    UnreadableImage
        Several frames; or values that do not fit into the bits that the file declares.
    Exception
        Whatever decoders raise on damaged input.
    """
    from pydicom.pixels import pixel_array

    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        _prepare_stream(dataset)
    one_sample = int(dataset.get("SamplesPerPixel") or 1) == 1
    own_bits = one_sample and "PixelData" in dataset and int(dataset.BitsAllocated) > 1
    stored: npt.NDArray[Any] = pixel_array(dataset, correct_unused_bits=not own_bits)
    return _used_bits(stored, dataset) if own_bits else stored


def _several_frames(frames: int) -> UnreadableImage:
    return UnreadableImage(
        f"The DICOM file holds {frames} frames; one image is expected. Export the frame that is "
        "meant as a file of its own."
    )


def _transfer_syntax(dataset: Dataset) -> UID:
    """How the pixels are stored; where the file does not say so, tell it by their length."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    meta = getattr(dataset, "file_meta", None)
    syntax = getattr(meta, "TransferSyntaxUID", None)
    if syntax:
        return syntax
    implicit, little_endian = dataset.original_encoding
    pixels = dataset["PixelData"] if "PixelData" in dataset else None
    if pixels is None or len(pixels.value or b"") not in _lengths(dataset):
        raise UnreadableImage(
            "The DICOM file does not state its transfer syntax, and its pixels have not the length "
            f"of uncompressed ones. {EXPORT_AGAIN}"
        )
    dataset.file_meta = FileMetaDataset() if meta is None else meta
    explicit = ExplicitVRLittleEndian if little_endian else ExplicitVRBigEndian
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return dataset.file_meta.TransferSyntaxUID


def _lengths(dataset: Dataset) -> tuple[int, int]:
    """Bytes that one uncompressed image takes, without and with the byte that makes them even."""
    from pydicom.pixels.utils import get_expected_length

    length = int(get_expected_length(dataset))
    return length, length + length % 2


def _check_length(dataset: Dataset) -> None:
    """Refuse more pixels than rows and columns hold: the image would come out sheared."""
    if "PixelData" not in dataset or dataset.get("SamplesPerPixel") in (None, ""):
        return
    length, padded = _lengths(dataset)
    found = len(dataset.PixelData or b"")
    if found <= padded or not length:
        return
    if found % length == 0:
        raise _several_frames(found // length)
    raise UnreadableImage(
        f"The DICOM file holds {found} bytes of pixels, where {dataset.Rows} rows of "
        f"{dataset.Columns} columns take {length}: its size is stated wrong. "
        "Have it exported again."
    )


def _check_decoder(syntax: UID, meant: str = "") -> None:
    """Refuse a compression for which no decoder is installed, and say what brings one.

    `meant` is the name of the compression, if it is not that of `syntax`.
    """
    from pydicom import uid
    from pydicom.pixels import get_decoder

    try:
        if get_decoder(syntax).is_available:
            return
    except NotImplementedError:
        pass
    if syntax in uid.MPEGTransferSyntaxes:
        raise UnreadableImage("The DICOM file holds a video; one image is expected.")
    meant = meant or syntax.name
    # Of a damaged file the name may be anything.
    name = f"as {meant}" if meant.isprintable() else "in an unknown way"
    if syntax in uid.JPEG2000TransferSyntaxes:
        way_out = "Install one (pip install pylibjpeg pylibjpeg-openjpeg), and run again."
    elif syntax in (*uid.JPEGTransferSyntaxes, *uid.JPEGLSTransferSyntaxes):
        way_out = "Install one (pip install python-gdcm), and run again."
    else:
        way_out = EXPORT_AGAIN
    raise UnreadableImage(
        f"The DICOM pixel data are compressed {name}, for which no decoder is installed. {way_out}"
    )


# --- compressed -----------------------------------------------------------------------------------


def _prepare_stream(dataset: Dataset) -> None:
    """Make one frame of the fragments, and take bits and sign from it."""
    from pydicom import uid
    from pydicom.encaps import encapsulate, generate_fragments

    # The first item is the table of offsets.
    fragments = list(generate_fragments(dataset.PixelData))[1:]
    starts = [part for part in fragments if part[:2] in (JPEG_START, JPEG_2000_START)]
    syntax = dataset.file_meta.TransferSyntaxUID
    # Of RLE, each fragment is a frame.
    frames = (
        len(fragments) if dataset.file_meta.TransferSyntaxUID == uid.RLELossless else len(starts)
    )
    if frames > 1:
        raise _several_frames(frames)
    frame = b"".join(fragments)
    if not starts:  # RLE, or no stream at all: its decoder says why not
        return
    # Zeros fill the last fragment up, and some decoders take them for a part of the image.
    kept = frame.rstrip(b"\0")
    frame = kept if kept.endswith(STREAM_END) else frame
    if frame.startswith(JPEG_2000_START):
        frame = _with_tile_length(frame)
        bits, signed = _jpeg_2000_bits(frame)
    else:
        bits, signed = _jpeg_bits(frame), bool(dataset.get("PixelRepresentation"))
    if syntax == uid.JPEGExtended12Bit and bits > 8:
        # pydicom does not hand these to GDCM, which reads all kinds of JPEG alike.
        _check_decoder(uid.JPEGLossless, meant=syntax.name)
        dataset.file_meta.TransferSyntaxUID = uid.JPEGLossless
    if bits:
        dataset.BitsAllocated = 8 if bits <= 8 else 16 if bits <= 16 else 32
        dataset.BitsStored, dataset.HighBit = bits, bits - 1
        dataset.PixelRepresentation = int(signed)
    dataset.PixelData = encapsulate([frame])


def _jpeg_bits(frame: bytes) -> int:
    """Bits of a sample, from the header of a JPEG or JPEG-LS stream; 0 if it has none."""
    position = 2
    while position + 5 <= len(frame) and frame[position] == 0xFF:
        if frame[position + 1] == 0xFF:  # fill byte
            position += 1
            continue
        if frame[position + 1] in FRAME_HEADERS:
            return frame[position + 4]
        position += 2 + int(struct.unpack_from(">H", frame, position + 2)[0])
    return 0


def _jpeg_2000_bits(frame: bytes) -> tuple[int, bool]:
    """Bits of a sample and whether it has a sign, from the header; (0, False) if it is damaged."""
    if len(frame) < 43:
        return 0, False
    return (frame[42] & 0x7F) + 1, bool(frame[42] & 0x80)


def _with_tile_length(frame: bytes) -> bytes:
    """Write the length of the last tile part of a JPEG 2000 stream, where it is left open as 0.

    It then reaches up to the end of the stream, which the byte that fills up an odd length hides.
    """
    start = frame.find(b"\xff\x90\x00\x0a")  # the first tile part; the header before it is short
    while 0 <= start and start + 10 <= len(frame) and frame[start : start + 2] == b"\xff\x90":
        (length,) = struct.unpack_from(">I", frame, start + 6)
        if length == 0:
            if not frame.endswith(STREAM_END):
                break
            length = struct.pack(">I", len(frame) - len(STREAM_END) - start)
            return frame[: start + 6] + length + frame[start + 10 :]
        start += length
    return frame


# --- bits -----------------------------------------------------------------------------------------


def _used_bits(stored: npt.NDArray[Any], dataset: Dataset) -> npt.NDArray[Any]:
    """Move values to the low bits and leave out what is none of them: overlays, unused bits."""
    allocated = stored.dtype.itemsize * 8
    used = int(dataset.get("BitsStored") or allocated)
    if stored.dtype.kind not in "iu" or not 0 < used < allocated or not stored.size:
        return stored
    above = int(dataset.get("HighBit") or used - 1) + 1 - used
    if 0 < above <= allocated - used:
        fits = 0 <= int(stored.min()) and int(stored.max()) < 2**used
        in_low_bits = fits and bool((stored & (2**above - 1)).any())
        if not in_low_bits:
            return (stored << (allocated - used - above)) >> (allocated - used)
    lowest, highest = int(stored.min()), int(stored.max())
    signed = stored.dtype.kind == "i"
    if highest < (2 ** (used - 1) if signed else 2**used) and (
        lowest >= (-(2 ** (used - 1)) if signed else 0)
    ):
        return stored
    if _has_overlay_bits(dataset) or (signed and lowest >= 0 and highest < 2**used):
        return (stored << (allocated - used)) >> (allocated - used)
    raise UnreadableImage(
        f"The DICOM file says that a pixel has {used} bits, but values from {lowest} to {highest} "
        "occur, which need more. Correct Bits Stored, or have the image exported again."
    )


def _has_overlay_bits(dataset: Dataset) -> bool:
    """Whether an overlay lies in unused bits of the pixels, as old files have it."""
    return any(
        int(dataset[group, 0x0102].value or 0) > 0
        for group in range(0x6000, 0x6020, 2)
        if (group, 0x0102) in dataset
    )
