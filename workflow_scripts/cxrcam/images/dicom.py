"""Read a DICOM file as one upright 8-bit grey image, with what it says of itself.

Decoding is in `dicom_pixels`, rendering in `dicom_grey`, tags in `dicom_tags`.
"""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from workflow_scripts.cxrcam.arrays import UInt8Array
from workflow_scripts.cxrcam.images.colour import colourfulness
from workflow_scripts.cxrcam.images.dicom_grey import first_number, render
from workflow_scripts.cxrcam.images.dicom_pixels import check_image, stored_values
from workflow_scripts.cxrcam.images.dicom_tags import (
    Accept,
    DicomTags,
    directions,
    kind_notes,
    read_tags,
    why_no_frontal_chest,
)
from workflow_scripts.cxrcam.images.grey_levels import stretch_to_8_bit
from workflow_scripts.cxrcam.images.limits import UnreadableImage, check_size, maximum_bytes

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

DEFLATED_TRANSFER_SYNTAX: Final = "1.2.840.10008.1.2.1.99"
PIXEL_DATA_TAG: Final = b"\xe0\x7f\x10\x00"
GZIP_SIGNATURE: Final = b"\x1f\x8b"
EXPANDS: Final = "The file's compressed content expands beyond all reason."

TURNED: Final = "orientation corrected"
SQUARED: Final = "unequal pixel spacing corrected"
SPACING_NOT_BELIEVED: Final = "pixel spacing not believed"

#: Sides of a pixel that differ by less than this are left; by more than that, they are a mistake.
SQUARE_ENOUGH: Final = 1.01
MOST_UNEQUAL: Final = 4.0


@dataclass(frozen=True)
class DicomImage:
    """A rendered DICOM image.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (height, width)
        Grey values, C-contiguous, as a frontal image hangs: the patient's head up, right side left.
    mode : str
        "DICOM " and the photometric interpretation, such as "DICOM MONOCHROME2".
    colourfulness : float
        As from `colour.colourfulness`.
    notes : list of str
        What was not as it should be, in short words that are the same for all images.
    tags : DicomTags
    """

    pixels: UInt8Array
    mode: str
    colourfulness: float
    notes: list[str]
    tags: DicomTags


def has_preamble(encoded: bytes) -> bool:
    """Tell whether a file starts as DICOM PS3.10 says: 128 bytes of anything, then "DICM".

    Old files can be DICOM without it.
    """
    return encoded[128:132] == b"DICM"


def without_gzip(encoded: bytes, max_pixels: int) -> bytes:
    """Content of a file that gzip compressed as a whole; any other file as it is.

    Raises
    ------
    UnreadableImage
        It is larger than an image of `max_pixels` can be, or cut off.
    zlib.error
        It is damaged.
    """
    if not encoded.startswith(GZIP_SIGNATURE):
        return encoded
    inflater = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    content = inflater.decompress(encoded, maximum_bytes(max_pixels))
    if inflater.unconsumed_tail:
        raise UnreadableImage(EXPANDS)
    if not inflater.eof:
        raise UnreadableImage("The file is cut off: its image data end too early.")
    return content


def decode_dicom(encoded: bytes, max_pixels: int, accept: Accept) -> DicomImage:
    """Decode a DICOM file that holds one image.

    Parameters
    ----------
    max_pixels : int
        Files that declare more than this many pixels are refused before they are decoded.
    accept : {"frontal_chest", "any"}
        The first refuses what the file itself calls another modality, view or part of the body.

    Raises
    ------
    UnreadableImage
        No DICOM, not exactly one image, outside the limits of size, not what is accepted, or of a
        kind that cannot be decoded or rendered here.
    Exception
        Whatever else pydicom raises on damaged input.
    """
    with _quiet():
        dataset = _read(encoded, max_pixels)
        tags = read_tags(dataset)
        reason = why_no_frontal_chest(dataset, tags) if accept == "frontal_chest" else None
        if reason:
            raise UnreadableImage(
                f"{reason}, no frontal chest radiograph. Set image.accept to any if it is wanted."
            )
        check_image(dataset, max_pixels)
        photometric = str(dataset.PhotometricInterpretation)
        pixels, colour, notes = _grey(dataset, photometric)
        notes += kind_notes(dataset)
        pixels = _upright(_square(pixels, dataset, max_pixels, notes), dataset, notes)
    return DicomImage(np.ascontiguousarray(pixels), f"DICOM {photometric}", colour, notes, tags)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep pydicom from complaining: it quotes values, a patient's name too, into the log."""
    from pydicom import config

    config.settings.reading_validation_mode = config.IGNORE
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)  # children of it too
    with warnings.catch_warnings():
        # Departures from the standard that do not stop decoding would flood the log.
        warnings.simplefilter("ignore")
        yield


def _read(encoded: bytes, max_pixels: int) -> Dataset:
    # Imported here: a data set of PNG files should not pay for it.
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    regular = has_preamble(encoded)
    if regular:
        _check_deflated_size(encoded, max_pixels)
    try:
        dataset = dcmread(io.BytesIO(encoded), force=not regular)
    except InvalidDicomError as error:
        raise UnreadableImage("The file is not a valid DICOM file.") from error
    if "PixelData" not in dataset and PIXEL_DATA_TAG in encoded:
        raise UnreadableImage("The file is cut off: its image data end too early.")
    return dataset


def _check_deflated_size(encoded: bytes, max_pixels: int) -> None:
    """Refuse a deflated DICOM file that expands beyond all reason, before it is expanded."""
    # The file's meta group names the transfer syntax; its length (0002,0000) stands first and says
    # where the deflated part starts.
    (group_length,) = struct.unpack_from("<I", encoded, 140)
    start = 144 + group_length
    if DEFLATED_TRANSFER_SYNTAX.encode() not in encoded[132:start]:
        return
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflater.decompress(encoded[start:], maximum_bytes(max_pixels))
    if inflater.unconsumed_tail:
        raise UnreadableImage(EXPANDS)


def _grey(dataset: Dataset, photometric: str) -> tuple[UInt8Array, float, list[str]]:
    """Decode and render, as it is stored: pixels, colourfulness and notes of a `DicomImage`."""
    stored = _colours(dataset, photometric)
    if stored.ndim == 3:
        image = Image.fromarray(stored if stored.dtype == np.uint8 else stretch_to_8_bit(stored))
        return np.array(image.convert("L")), colourfulness(image), []
    if photometric not in {"MONOCHROME1", "MONOCHROME2"}:
        raise UnreadableImage(
            f"The DICOM photometric interpretation {photometric} is not supported."
        )
    pixels, notes = render(dataset, stored)
    return pixels, 0.0, notes


def _colours(dataset: Dataset, photometric: str) -> npt.NDArray[Any]:
    from pydicom.pixels import apply_color_lut

    stored = stored_values(dataset)
    if photometric != "PALETTE COLOR":
        return stored
    coloured: npt.NDArray[Any] = apply_color_lut(stored, dataset)
    return coloured


# --- geometry -------------------------------------------------------------------------------------


def _square(pixels: UInt8Array, dataset: Dataset, max_pixels: int, notes: list[str]) -> UInt8Array:
    """Enlarge the image along one side, where its pixels are not square."""
    ratio = _pixel_height_by_width(dataset)
    if max(ratio, 1 / ratio) < SQUARE_ENOUGH:
        return pixels
    if max(ratio, 1 / ratio) > MOST_UNEQUAL:
        notes.append(SPACING_NOT_BELIEVED)
        return pixels
    height, width = pixels.shape
    size = (round(width * max(1 / ratio, 1)), round(height * max(ratio, 1)))
    check_size(*size, max_pixels)
    notes.append(SQUARED)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))


def _pixel_height_by_width(dataset: Dataset) -> float:
    """Height of a pixel by its width; 1 where it is not stated."""
    for name in ("PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing"):
        try:
            height, width = (first_number(part) or 0.0 for part in dataset.get(name) or ())
        except (TypeError, ValueError):  # not two numbers
            continue
        if height > 0 and width > 0:
            return height / width
    return 1.0


def _upright(pixels: UInt8Array, dataset: Dataset, notes: list[str]) -> UInt8Array:
    """Turn and mirror a frontal image: rows then run to the patient's left, columns to the feet."""
    found = directions(dataset)
    if not found or set(found) & {"A", "P"}:
        return pixels  # not stated, or no frontal image
    along_rows, along_columns = found
    turned = pixels
    if along_rows in "HF":
        turned = turned.T
        along_rows, along_columns = along_columns, along_rows
    if along_rows not in "LR" or along_columns not in "HF" or found == ("L", "F"):
        return pixels
    notes.append(TURNED)
    turned = turned[:, ::-1] if along_rows == "R" else turned
    return turned[::-1] if along_columns == "H" else turned
