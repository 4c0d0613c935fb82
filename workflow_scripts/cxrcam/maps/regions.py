"""Where the evidence of a map is: the smallest regions that hold a share of it."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from workflow_scripts.cxrcam.arrays import BoolArray

SHARES: Final = (0.5, 0.25)
"""Shares of the evidence that pictures outline, the larger region first."""


def evidence_regions(placed: npt.ArrayLike, shares: Sequence[float] = SHARES) -> BoolArray:
    """Smallest regions that hold given shares of the positive evidence of a map.

    The pixels of largest value are taken until their sum reaches the share. Pixels of equal value
    stay together: of a constant map the region is all of it, as no place stands out.

    Parameters
    ----------
    placed : array-like of float, shape (s, s)
        A map that lies on its image, see `placement.place_map`. To find where evidence speaks
        against a class, negate it.
    shares : sequence of float, default (0.5, 0.25)
        Each in (0, 1].

    Returns
    -------
    ndarray of bool, shape (len(shares), s, s)
        No pixel that is not positive; all False where none is.

    Raises
    ------
    ValueError
        If a value is not finite.
    """
    values = np.asarray(placed, dtype=np.float32)
    if not np.isfinite(values).all():
        raise ValueError(f"the map holds {values[~np.isfinite(values)][0]}")
    positive = np.sort(values[values > 0.0])[::-1]
    if not positive.size:
        return np.zeros((len(shares), *values.shape), dtype=np.bool_)
    held = np.cumsum(positive, dtype=np.float64)
    least = positive[np.searchsorted(held, np.asarray(shares) * held[-1])]
    regions: BoolArray = values >= least[:, None, None]
    return regions
