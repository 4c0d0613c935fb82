"""Stored values of a DICOM image: whatever compresses them, and wherever their bits lie.

Monochrome streams are decoded in `dicom_streams`; RLE, colour and what is not compressed by pydicom
(colour JPEG by Pillow, which it finds by itself). Values are then moved to where the data set says
that they are, or the file is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy.typing as npt

from workflow_scripts.cxrcam.images.dicom_streams import (
    JPEG,
    JPEG_2000_START,
    JPEG_START,
    LOSSY,
    STREAMS,
    can_decode,
    decode_stream,
)
from workflow_scripts.cxrcam.images.jpeg import check_jpeg
from workflow_scripts.cxrcam.images.limits import UnreadableImage, check_size

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.uid import UID

EXPORT_AGAIN: Final = "Have it exported again, uncompressed (Explicit VR Little Endian)."

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
    _check_decoder(syntax, colour=_samples(dataset) > 1)
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

    syntax = dataset.file_meta.TransferSyntaxUID
    frame = _one_frame(dataset) if syntax.is_encapsulated else b""
    if syntax in JPEG:
        check_jpeg(frame.rstrip(b"\0"))
    if _samples(dataset) > 1 or "PixelData" not in dataset or int(dataset.BitsAllocated) == 1:
        found: npt.NDArray[Any] = pixel_array(dataset)
        return found
    if syntax in STREAMS:
        values = decode_stream(frame, dataset)
        return values if syntax in LOSSY else _used_bits(values, dataset)
    return _used_bits(pixel_array(dataset, correct_unused_bits=False), dataset)


def _samples(dataset: Dataset) -> int:
    return int(dataset.get("SamplesPerPixel") or 1)


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


def _check_decoder(syntax: UID, *, colour: bool) -> None:
    """Refuse a compression for which no decoder is installed, and say what brings one."""
    from pydicom import uid
    from pydicom.pixels import get_decoder

    streams = syntax in STREAMS and not colour
    try:
        if can_decode() if streams else get_decoder(syntax).is_available:
            return
    except NotImplementedError:
        pass
    if syntax in uid.MPEGTransferSyntaxes:
        raise UnreadableImage("The DICOM file holds a video; one image is expected.")
    # Of a damaged file the name may be anything.
    name = f"as {syntax.name}" if syntax.name.isprintable() else "in an unknown way"
    what = "colours" if colour else "pixel data"
    way_out = "Install one (pip install imagecodecs), and run again." if streams else EXPORT_AGAIN
    raise UnreadableImage(
        f"The DICOM {what} are compressed {name}, for which no decoder is installed. {way_out}"
    )


def _one_frame(dataset: Dataset) -> bytes:
    """Join the fragments of compressed pixel data, if they are of one frame."""
    from pydicom import uid
    from pydicom.encaps import generate_fragments

    # The first item is the table of offsets.
    fragments = list(generate_fragments(dataset.PixelData))[1:]
    if dataset.file_meta.TransferSyntaxUID == uid.RLELossless:
        frames = len(fragments)  # each one is a frame
    else:
        frames = sum(part.startswith((JPEG_START, JPEG_2000_START)) for part in fragments)
    if frames > 1:
        raise _several_frames(frames)
    return b"".join(fragments)


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
