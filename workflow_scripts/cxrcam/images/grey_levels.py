"""Map grey values of any depth to 8 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from workflow_scripts.cxrcam.arrays import BoolArray, UInt8Array
from workflow_scripts.cxrcam.images.limits import UnreadableImage


def stretch_to_8_bit(values: npt.NDArray[Any], padding: BoolArray | None = None) -> UInt8Array:
    """Map an image's own minimum..maximum to 0..255.

    Parameters
    ----------
    values : ndarray, shape (height, width) or (height, width, channels)
        Integers or floats.
    padding : ndarray of bool, same shape, optional
        Pixels that take no part in the minimum and maximum.

    Returns
    -------
    ndarray of uint8, same shape
        An image of one value throughout becomes black.

    Raises
    ------
    UnreadableImage
        The minimum or maximum is not a finite number.
    """
    measured = values if padding is None or padding.all() else values[~padding]
    lowest, highest = float(measured.min()), float(measured.max())
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        raise UnreadableImage("The image holds values that are not finite numbers.")
    return scale_to_8_bit(values, lowest, highest)


def scale_to_8_bit(values: npt.NDArray[Any], lowest: float, highest: float) -> UInt8Array:
    """Map lowest..highest to 0..255, rounded and clipped; all 0 if highest is not above lowest."""

    def to_grey(numbers: npt.NDArray[Any]) -> UInt8Array:
        span = highest - lowest
        if span <= 0:
            return np.zeros(numbers.shape, np.uint8)
        fraction = (numbers.astype(np.float64) - lowest) / span
        return np.rint(np.clip(fraction, 0.0, 1.0) * 255.0).astype(np.uint8)

    if values.dtype == np.uint16:
        # A table of all 65,536 values is faster, and eight times smaller than a float image.
        table = to_grey(np.arange(65536))
        looked_up: UInt8Array = table[values]
        return looked_up
    return to_grey(values)
