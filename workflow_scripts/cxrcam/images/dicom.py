"""Decode single-frame DICOM images as 8-bit grey."""

from __future__ import annotations

import io
import logging
import struct
import warnings
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from workflow_scripts.cxrcam.arrays import BoolArray, UInt8Array
from workflow_scripts.cxrcam.images.grey_levels import scale_to_8_bit, stretch_to_8_bit
from workflow_scripts.cxrcam.images.limits import UnreadableImage, check_size, maximum_bytes

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

DEFLATED_TRANSFER_SYNTAX: Final = "1.2.840.10008.1.2.1.99"


def has_preamble(encoded: bytes) -> bool:
    """Tell whether a file starts as DICOM PS3.10 says: 128 bytes of anything, then "DICM".

    Old files can be DICOM without it.
    """
    return encoded[128:132] == b"DICM"


def decode_dicom(encoded: bytes, max_pixels: int) -> tuple[UInt8Array, str]:
    """Decode a single-frame DICOM image.

    Files that declare more than `max_pixels` are refused before they are decoded.

    Returns
    -------
    pixels : ndarray of uint8, shape (height, width)
        Grey values, C-contiguous; bone is bright.
    mode : str
        "DICOM " and the photometric interpretation, such as "DICOM MONOCHROME2".

    Raises
    ------
    UnreadableImage
        No DICOM, not exactly one image, outside the limits of size, or of a kind that cannot be
        decoded or rendered here.
    Exception
        Whatever else pydicom raises on damaged input.
    """
    # Imported here: a data set of PNG files should not pay for it.
    from pydicom import config, dcmread
    from pydicom.errors import InvalidDicomError

    # Complaints quote the values that they are about, a patient's name too: none may reach a log.
    config.settings.reading_validation_mode = config.IGNORE
    logging.getLogger("pydicom").disabled = True
    with warnings.catch_warnings():
        # Departures from the standard that do not stop decoding would flood the log.
        warnings.simplefilter("ignore")
        regular = has_preamble(encoded)
        if regular:
            _check_deflated_size(encoded, max_pixels)
        try:
            dataset = dcmread(io.BytesIO(encoded), force=not regular)
        except InvalidDicomError as error:
            raise UnreadableImage("The file is not a valid DICOM file.") from error
        _check_dicom(dataset, max_pixels)
        photometric = str(dataset.PhotometricInterpretation)
        pixels = _dicom_grey(dataset, photometric)
    return np.ascontiguousarray(pixels), f"DICOM {photometric}"


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
        raise UnreadableImage("The file's compressed content expands beyond all reason.")


def _check_dicom(dataset: Dataset, max_pixels: int) -> None:
    """Refuse DICOM files that hold no single image or that cannot be decoded here."""
    from pydicom.pixels import get_decoder

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
        raise UnreadableImage(f"The DICOM file holds {frames} frames; one image is expected.")
    check_size(int(dataset.Columns), int(dataset.Rows), max_pixels)
    syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    if syntax is None:
        raise UnreadableImage("The DICOM file does not state its transfer syntax.")
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        available = False
    if not available:
        # Of a damaged file the name may be anything.
        name = f"as {syntax.name}" if syntax.name.isprintable() else "in an unknown way"
        raise UnreadableImage(
            f"The DICOM pixel data are compressed {name}, for which no decoder is installed."
        )


def _dicom_grey(dataset: Dataset, photometric: str) -> UInt8Array:
    """Decode and render a DICOM image: modality table, VOI table or window, polarity."""
    from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array

    stored = pixel_array(dataset)
    if photometric == "PALETTE COLOR":
        stored = apply_color_lut(stored, dataset)
    if stored.ndim == 3:
        colour = stored if stored.dtype == np.uint8 else stretch_to_8_bit(stored)
        return np.array(Image.fromarray(colour).convert("L"))
    if photometric not in {"MONOCHROME1", "MONOCHROME2"}:
        raise UnreadableImage(
            f"The DICOM photometric interpretation {photometric} is not supported."
        )
    values = apply_modality_lut(stored, dataset)
    render = _voi_transform(dataset, values)
    if render is not None:
        pixels = render(values)
    else:
        pixels = stretch_to_8_bit(values, _padding(dataset, stored))
    return 255 - pixels if photometric == "MONOCHROME1" else pixels


def _padding(dataset: Dataset, stored: npt.NDArray[Any]) -> BoolArray | None:
    """Find pixels outside the detector, whose artificial value would spoil the contrast."""
    padding = dataset.get("PixelPaddingValue")
    return None if padding is None else np.asarray(stored == int(padding))


def _voi_transform(
    dataset: Dataset, values: npt.NDArray[Any]
) -> Callable[[npt.NDArray[Any]], UInt8Array] | None:
    """Choose the first VOI look-up table or window of a DICOM image, if there is one."""
    from pydicom.pixels import apply_voi

    tables = dataset.get("VOILUTSequence")
    if tables:
        highest = 2 ** int(tables[0].LUTDescriptor[2]) - 1
        return lambda numbers: scale_to_8_bit(apply_voi(numbers, dataset, index=0), 0.0, highest)
    center, width = (_first(dataset.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if center is None or width is None:
        return None
    function = str(dataset.get("VOILUTFunction") or "LINEAR")
    return lambda numbers: _windowed(numbers, center, width, function)


def _first(value: Any) -> float | None:  # noqa: ANN401 - DICOM elements hold anything
    """First number of a DICOM element that may hold several, one or none."""
    if value is None or value == "":
        return None
    if isinstance(value, str) or not hasattr(value, "__len__"):
        return float(value)
    return float(value[0]) if len(value) else None


def _windowed(values: npt.NDArray[Any], center: float, width: float, function: str) -> UInt8Array:
    """Apply a window: DICOM PS3.3, C.11.2.1.2 and C.11.2.1.3, with output 0..255."""
    narrowest = 1.0 if function == "LINEAR" else 0.0
    if width < narrowest or (function != "LINEAR" and width == 0):
        raise UnreadableImage(f"The DICOM window width {width:g} is not valid.")
    if function == "SIGMOID":
        exponent = np.clip(-4.0 * (values.astype(np.float64) - center) / width, -700.0, 700.0)
        return scale_to_8_bit(1.0 / (1.0 + np.exp(exponent)), 0.0, 1.0)
    if function == "LINEAR_EXACT":
        return scale_to_8_bit(values, center - width / 2, center + width / 2)
    if function != "LINEAR":
        raise UnreadableImage(f"The DICOM window function {function} is not supported.")
    lowest, highest = center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
    if width == 1:
        # The standard's limit case is a threshold.
        return np.where(values > lowest, np.uint8(255), np.uint8(0))
    return scale_to_8_bit(values, lowest, highest)
