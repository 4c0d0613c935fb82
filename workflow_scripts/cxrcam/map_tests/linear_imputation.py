"""Fill removed pixels from their surroundings, so that little tells that they were removed.

The scheme of ROAD ("remove and debias"): each removed pixel is the weighted mean of its eight
neighbours, 1/6 for those beside it and 1/12 for those across the corner; neighbours that are
removed as well make it a system of linear equations. A little noise keeps the filled area from
being told by its smoothness.

Rong et al., "A Consistent and Efficient Evaluation Strategy for Attribution Methods", ICML 2022.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import splu

from workflow_scripts.cxrcam.arrays import BoolArray, Float64Array, Int64Array, UInt8Array

NOISE: Final = 0.01 * 255
"""Standard deviation of the noise in grey levels: 0.01 of the range, as in the paper's code."""

# Row and column step of each neighbour, and its weight.
_NEIGHBOURS: Final = tuple(
    (row, column, 1.0 / 12.0 if row and column else 1.0 / 6.0)
    for row in (-1, 0, 1)
    for column in (-1, 0, 1)
    if row or column
)


def impute(pixels: UInt8Array, removed: BoolArray, rng: np.random.Generator) -> UInt8Array:
    """Images with the removed pixels replaced by noisy linear imputation.

    Parameters
    ----------
    pixels : uint8 array, shape (n, height, width)
    removed : bool array, shape (n, height, width)
        True where the pixel is to be forgotten.
    rng : np.random.Generator
        For the noise.

    Returns
    -------
    ndarray of uint8, shape (n, height, width)
        A new array; pixels that were not removed are unchanged. An image that is removed as a
        whole has nothing to be filled from and becomes its own mean grey, plus noise.

    Notes
    -----
    The equations are solved exactly. Images with the same mask share one factorisation; a mask of
    its own for each image costs one each.
    """
    if not removed.any():
        return pixels.copy()
    filled = pixels.astype(np.float64)
    packed = np.packbits(removed.reshape(len(removed), -1), axis=1)
    _, first, member_of = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    for number, example in enumerate(first):
        members = np.flatnonzero(member_of.ravel() == number)
        mask = removed[example]
        # Plain assignment through two index arrays: the removed pixels of all members at once.
        rows, columns = np.nonzero(mask)
        filled[members[:, None], rows, columns] = _solution(filled[members], mask)
    filled += NOISE * rng.standard_normal(filled.shape)
    return np.where(removed, np.clip(np.rint(filled), 0, 255), pixels).astype(np.uint8)


def _solution(images: Float64Array, mask: BoolArray) -> Float64Array:
    """Values of the removed pixels of images that share a mask, shape (images, removed)."""
    n_removed = int(mask.sum())
    if n_removed == mask.size:
        return np.repeat(images.mean(axis=(1, 2))[:, None], n_removed, axis=1)
    rows, columns = np.nonzero(mask)
    number = np.full(mask.shape, -1)
    number[mask] = np.arange(n_removed)
    total_weight = np.zeros(n_removed)
    known = np.zeros((n_removed, len(images)))
    entries: list[tuple[Int64Array, Int64Array, Float64Array]] = []
    for row_step, column_step, weight in _NEIGHBOURS:
        row, column = rows + row_step, columns + column_step
        # Beyond the edge there is no neighbour: the others share its weight.
        exists = (row >= 0) & (row < mask.shape[0]) & (column >= 0) & (column < mask.shape[1])
        here = np.flatnonzero(exists)
        row, column = row[here], column[here]
        total_weight[here] += weight
        neighbour = number[row, column]
        unknown = neighbour >= 0
        given = here[~unknown]
        known[given] += weight * images[:, row[~unknown], column[~unknown]].T
        entries.append((here[unknown], neighbour[unknown], np.full(unknown.sum(), -weight)))
    everyone = np.arange(n_removed)
    entries.append((everyone, everyone, total_weight))
    i, j, value = (np.concatenate(part) for part in zip(*entries, strict=True))
    system = coo_matrix((value, (i, j)), shape=(n_removed, n_removed)).tocsc()
    # Symmetric and positive definite: the ordering and pivots of a symmetric matrix are several
    # times cheaper than the general ones.
    factors = splu(
        system,
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    return np.asarray(factors.solve(known).T, dtype=np.float64)
