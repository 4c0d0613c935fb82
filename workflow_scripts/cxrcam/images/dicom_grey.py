"""Render the stored values of a DICOM image as 8-bit grey, in which bone is bright.

In this order: modality table or rescale; the first VOI table or window, where it shows the image;
else the image's own range; polarity by the photometric interpretation; padding becomes black.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from workflow_scripts.cxrcam.arrays import BoolArray, UInt8Array
from workflow_scripts.cxrcam.images.grey_levels import scale_to_8_bit, stretch_to_8_bit
from workflow_scripts.cxrcam.images.limits import UnreadableImage

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

WINDOW_NOT_BELIEVED: Final = "window not believed"
TABLE_RESCALED: Final = "VOI table scaled by its largest entry"
ROBUST_RANGE: Final = "robust range (central 99 %)"
FROM_GROUPS: Final = "window or rescale of the functional groups"
LUT_SHAPE: Final = "presentation LUT shape contradicts the photometric interpretation"

#: A window that leaves all but 1 % of the pixels within fewer grey levels does not show the image.
FEWEST_GREYS: Final = 32

#: The image's own range is cut to its central 99 %, where that makes it less than a third as wide:
#: then a few dead pixels or a burnt-in mark would take most of the grey levels.
CENTRAL: Final = (0.005, 0.995)
OUTLIERS_WIDEN: Final = 3.0
ENOUGH_PIXELS: Final = 500_000


def render(dataset: Dataset, stored: npt.NDArray[Any]) -> tuple[UInt8Array, list[str]]:
    """Render a monochrome image.

    Parameters
    ----------
    stored : ndarray, shape (rows, columns)
        As from `dicom_pixels.stored_values`.

    Returns
    -------
    pixels : ndarray of uint8, shape (rows, columns)
    notes : list of str
        What was not as it should be, in short words that are the same for all images.

    Raises
    ------
    UnreadableImage
        A window or table that means nothing, or values that are not finite.
    """
    notes = [FROM_GROUPS] if _lift_functional_groups(dataset) else []
    values = _modality(dataset, stored)
    padding = _padding(dataset, stored)
    pixels = _by_voi(dataset, values, padding, notes)
    if pixels is None:
        pixels = _by_own_range(values, padding, notes)
    inverted = dataset.PhotometricInterpretation == "MONOCHROME1"
    shape = str(dataset.get("PresentationLUTShape") or "").strip().upper()
    if shape in {"INVERSE", "IDENTITY"} and inverted != (shape == "INVERSE"):
        notes.append(LUT_SHAPE)
    if inverted:
        pixels = 255 - pixels
    if padding is not None:
        pixels[padding] = 0
    return pixels, notes


def first_number(value: Any) -> float | None:  # noqa: ANN401 - DICOM elements hold anything
    """First number of a DICOM element that may hold several, one or none."""
    if value is None or value == "":
        return None
    if isinstance(value, str) or not hasattr(value, "__len__"):
        return float(value)
    return first_number(value[0]) if len(value) else None


def _lift_functional_groups(dataset: Dataset) -> bool:
    """Put rescale and window of an enhanced object where classic ones have them."""
    groups = [
        *(dataset.get("PerFrameFunctionalGroupsSequence") or [])[:1],
        *(dataset.get("SharedFunctionalGroupsSequence") or [])[:1],
    ]
    lifted = False
    for name in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
        items = [group.get(name) for group in groups if group.get(name)]
        for element in items[0][0] if items else ():
            if element.tag not in dataset:
                dataset[element.tag] = element
                lifted = True
    return lifted


# --- values ---------------------------------------------------------------------------------------


def _modality(dataset: Dataset, stored: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Apply the modality table, or slope and intercept; what is empty changes nothing."""
    if dataset.get("ModalityLUTSequence"):
        entries, first, _ = _table(
            dataset, dataset.ModalityLUTSequence[0], signed=stored.dtype.kind == "i"
        )
        return _looked_up(stored, entries, first)
    slope = first_number(dataset.get("RescaleSlope")) or 1.0
    intercept = first_number(dataset.get("RescaleIntercept")) or 0.0
    if (slope, intercept) == (1.0, 0.0):
        return stored
    return stored.astype(np.float64) * slope + intercept


def _padding(dataset: Dataset, stored: npt.NDArray[Any]) -> BoolArray | None:
    """Find pixels outside the detector, whose artificial value would spoil the contrast."""
    ends = [first_number(dataset.get("PixelPaddingValue"))]
    if ends[0] is None or stored.dtype.kind not in "iu":
        return None
    limit = first_number(dataset.get("PixelPaddingRangeLimit"))
    ends.append(ends[0] if limit is None else limit)
    lowest, highest = sorted(_as_stored(int(end or 0), stored.dtype) for end in ends)
    padding = (stored >= lowest) & (stored <= highest)
    return padding if padding.any() and not padding.all() else None


def _as_stored(value: int, dtype: np.dtype[Any]) -> int:
    """Read a number as the pixels are: some files write -2000 as 63536, or the other way round."""
    limits, span = np.iinfo(dtype), int(2 ** (dtype.itemsize * 8))
    if value > limits.max:
        return value - span
    return value + span if value < limits.min else value


# --- VOI ------------------------------------------------------------------------------------------


def _by_voi(
    dataset: Dataset, values: npt.NDArray[Any], padding: BoolArray | None, notes: list[str]
) -> UInt8Array | None:
    """Apply the first VOI table or window; None where there is none that shows the image."""
    tables = dataset.get("VOILUTSequence")
    if tables and "LUTData" in tables[0]:
        entries, first, bits = _table(dataset, tables[0], signed=float(values.min()) < 0)
        highest, largest = 2**bits - 1, int(entries.max())
        if largest <= highest // 2 or largest > highest:
            notes.append(TABLE_RESCALED)
            highest = largest
        pixels = scale_to_8_bit(_looked_up(values, entries, first), 0.0, highest)
    else:
        center, width = (first_number(dataset.get(n)) for n in ("WindowCenter", "WindowWidth"))
        if center is None or width is None:
            return None
        function = str(dataset.get("VOILUTFunction") or "LINEAR").strip().upper()
        pixels = _windowed(values, center, width, function)
    if _shows(pixels, padding):
        return pixels
    notes.append(WINDOW_NOT_BELIEVED)
    return None


def _shows(pixels: UInt8Array, padding: BoolArray | None) -> bool:
    """Whether rendered pixels spread over more than a few grey levels."""
    counts = np.bincount((pixels if padding is None else pixels[~padding]).ravel(), minlength=256)
    darkest, brightest = np.searchsorted(np.cumsum(counts) / counts.sum(), CENTRAL)
    return bool(brightest - darkest >= FEWEST_GREYS)


def _table(dataset: Dataset, item: Dataset, *, signed: bool) -> tuple[npt.NDArray[Any], int, int]:
    """Entries of a look-up table, the first value that it maps, and the bits of an entry.

    Entries of 8 bits come one a word or, packed, two.
    """
    number, first, bits = (int(part) for part in item.LUTDescriptor)
    number = number or 2**16
    if signed and first >= 2**15:
        first -= 2**16
    data = item.LUTData
    if not isinstance(data, bytes):
        words = [int(part) & 0xFFFF for part in (data if hasattr(data, "__len__") else [data])]
        data = struct.pack(f"<{len(words)}H", *words)
    elif dataset.original_encoding[1] is False:  # big endian
        data = np.frombuffer(data[: len(data) // 2 * 2], ">u2").astype("<u2").tobytes()
    if len(data) >= 2 * number:
        entries = np.frombuffer(data, "<u2", number)
    elif number <= len(data) <= number + 1 and bits <= 8:
        entries = np.frombuffer(data, np.uint8, number)
    else:
        raise UnreadableImage(
            f"A look-up table of the DICOM file has {len(data)} bytes for {number} entries."
        )
    if not 1 <= bits <= 16:
        raise UnreadableImage(f"A look-up table of the DICOM file has entries of {bits} bits.")
    return entries, first, bits


def _looked_up(values: npt.NDArray[Any], entries: npt.NDArray[Any], first: int) -> npt.NDArray[Any]:
    """Entry of each value; those outside the table take its first or last one."""
    if values.dtype.kind == "f":
        values = np.rint(values)
    places = np.clip(values.astype(np.int64) - first, 0, len(entries) - 1)
    looked_up: npt.NDArray[Any] = entries[places]
    return looked_up


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


# --- own range ------------------------------------------------------------------------------------


def _by_own_range(
    values: npt.NDArray[Any], padding: BoolArray | None, notes: list[str]
) -> UInt8Array:
    """Map minimum..maximum to 0..255, or the central 99 % where a few pixels lie far outside."""
    measured = values.ravel() if padding is None else values[~padding]
    lowest, highest = float(measured.min()), float(measured.max())
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        return stretch_to_8_bit(values, padding)  # says that they are not finite
    low, high = _central_range(measured)
    if low < high and highest - lowest > OUTLIERS_WIDEN * (high - low):
        notes.append(ROBUST_RANGE)
        lowest, highest = low, high
    return scale_to_8_bit(values, lowest, highest)


def _central_range(measured: npt.NDArray[Any]) -> tuple[float, float]:
    """Values that bound the central 99 % of some values; of many, every nth is looked at."""
    low, high = np.quantile(measured[:: max(1, measured.size // ENOUGH_PIXELS)], CENTRAL)
    return float(low), float(high)
