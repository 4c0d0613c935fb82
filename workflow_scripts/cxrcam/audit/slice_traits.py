"""What the images of a slice have in common, as far as anything is known or measured of them."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.arrays import BoolArray, Float64Array, UInt8Array
from workflow_scripts.cxrcam.data.listing.traits import why_no_groups

LEAST_GAP: Final = 0.25
"""Shares of the slice and of the rest that are no further apart say little."""

MOST_TRAITS: Final = 3

MEASURED: Final = {
    "brightness": ("brighter", "darker"),
    "contrast": ("of more contrast", "of less contrast"),
    "aspect": ("wider", "narrower"),
    "pixels": ("larger", "smaller"),
}
"""What is measured of an image, and what is said of one beyond or below the median."""


def brightness_and_contrast(pixels: UInt8Array) -> Float64Array:
    """Mean and standard deviation of the grey levels, uint8 (n, size, size): shape (n, 2)."""
    axes = (1, 2)
    values: Float64Array = np.stack([pixels.mean(axis=axes), pixels.std(axis=axes)], axis=1)
    return values


def common_traits(
    is_member: BoolArray, measured: Mapping[str, Float64Array], known: pd.DataFrame
) -> str:
    """In which traits a slice differs most from the rest of its class, in words.

    Parameters
    ----------
    is_member : bool array, shape (n,)
        Of the images of the class.
    measured : mapping of str to float array, shape (n,)
        Keys of `MEASURED`.
    known : DataFrame of str, n rows
        A column a trait, as from `trait_columns.values_of`.

    Returns
    -------
    str
        At most `MOST_TRAITS`, the largest difference of the shares first; empty where all differ by
        less than `LEAST_GAP`.
    """
    statements: dict[str, BoolArray] = {}
    for name, values in measured.items():
        above, below = MEASURED[name]
        middle = np.median(values)
        statements[f"{above} than most"] = values > middle
        statements[f"{below} than most"] = values < middle
    for column in known.columns:
        told = sorted(known[column].unique())
        if not why_no_groups(told):
            own = known[column].to_numpy()
            statements |= {f"{column} {value}": own == value for value in told}
    gaps = []
    for statement, is_true in statements.items():
        inside, outside = is_true[is_member].mean(), is_true[~is_member].mean()
        if inside - outside >= LEAST_GAP:
            words = f"{statement} ({inside:.0%} of them, {outside:.0%} of the rest)"
            gaps.append((inside - outside, words))
    largest = sorted(gaps, key=lambda gap: -gap[0])[:MOST_TRAITS]
    return ", ".join(words for _, words in largest)
