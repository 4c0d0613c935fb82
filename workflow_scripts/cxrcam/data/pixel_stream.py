"""Pixels that stream past: what is computed of each image needs no memory for all of them."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from workflow_scripts.cxrcam.arrays import BoolArray, Int64Array, UInt8Array

PixelStream = Callable[[BoolArray], Iterator[tuple[Int64Array, UInt8Array]]]
"""Given which of n images are wanted (bool, shape (n,)): positions and pixels, part by part.

Parts may come in any order and of any size: what is computed of an image must not depend on those
beside it.
"""

Features = Callable[[UInt8Array], npt.NDArray[np.floating]]
"""One row of numbers an image of uint8 (k, size, size): shape (k, columns)."""


def stream_features(
    parts: PixelStream, wanted: BoolArray, functions: Mapping[str, Features]
) -> dict[str, npt.NDArray[np.floating]]:
    """Features of some images, from one pass over their pixels.

    Parameters
    ----------
    parts : PixelStream
        Of n images.
    wanted : bool array, shape (n,)
    functions : mapping of str to callable
        By the name of the features.

    Returns
    -------
    dict of str to array, shape (wanted.sum(), columns)
        Rows in the order of the images.
    """
    row_of = np.cumsum(wanted) - 1
    features: dict[str, npt.NDArray[np.floating]] = {}
    for positions, pixels in parts(wanted):
        for name, function in functions.items():
            values = function(pixels)
            if name not in features:
                features[name] = np.empty((int(wanted.sum()), values.shape[1]), values.dtype)
            features[name][row_of[positions]] = values
    return features


def at_most(wanted: BoolArray, most: int, rng: np.random.Generator) -> BoolArray:
    """All that are wanted, or so many of them at random."""
    if wanted.sum() <= most:
        return wanted
    drawn = np.zeros_like(wanted)
    drawn[rng.choice(np.flatnonzero(wanted), most, replace=False)] = True
    return drawn
