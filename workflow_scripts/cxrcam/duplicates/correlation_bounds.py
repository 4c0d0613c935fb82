"""Pairs of thumbnails that may correlate: all pairs are bounded from above, few are left.

Let P project onto some axes, and r be the length of what is left of a unit vector. Then, by Cauchy
and Schwarz, <a, b> <= <Pa, Pb> + r_a r_b, whatever the axes. With r as one more coordinate, that is
one inner product of short vectors, so that one matrix product bounds all pairs, and no pair is
missed. Principal components make the bound tight: 255 of 1,024 hold 67 % of what normalised
thumbnails of X-rays are made of, and leave 2 pairs of 1,000 for a correlation of 0.55.

Quadratic, and quicker than `hash_search` where images resemble each other so much that most of the
time would go into correlating pairs of near hashes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh

from workflow_scripts.cxrcam.duplicates.multi_index_hashing import within_radius
from workflow_scripts.cxrcam.duplicates.thumbnail_correlation import (
    THUMBNAIL_CHUNK,
    NormalisedThumbnails,
)
from workflow_scripts.cxrcam.workers import Workers, slices

UInt8Array = npt.NDArray[np.uint8]
UInt64Array = npt.NDArray[np.uint64]
IndexArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]

#: Share of all pairs within the radius from which on bounds are the quicker way, how many random
#: pairs tell, and among how many images it matters.
CROWDED: Final = 0.01
CROWD_SAMPLE: Final = 100_000
FEWEST_IMAGES: Final = 2000
#: Images from which axes are computed, and those whose pairs show how many are worth while.
AXES_SAMPLE: Final = 2048
WIDTH_SAMPLE: Final = 512
#: Numbers of coordinates that are tried: axes, and the length of the rest.
WIDTHS: Final = (64, 128, 192, 256)

#: Measured costs on one core, in nanoseconds: of a pair, of a coordinate of a pair, of the distance
#: of two hashes, and of a correlation. They only choose between exact ways.
PAIR_COST: Final = 0.6
COORDINATE_COST: Final = 0.021
DISTANCE_COST: Final = 20.0
CORRELATION_COST: Final = 450.0

#: Rows and columns of a table of bounds; with it, a thread's share of the processor's caches.
ROWS: Final = 512
COLUMNS: Final = 2048
#: Pairs that are handed on at a time, so that threads share them.
HELD_PAIRS: Final = 1 << 16
#: What rounding may take from a bound. Codes of a mirrored image are not quite mirrored codes.
MARGIN: Final = 0.005


@dataclass(frozen=True)
class HashedThumbnails:
    """Images by what the search for duplicates knows of them.

    Attributes
    ----------
    hashes : ndarray of uint8, shape (n, 32)
        Difference hashes.
    normalised : NormalisedThumbnails
        In the same order.
    """

    hashes: UInt8Array
    normalised: NormalisedThumbnails

    def __len__(self) -> int:
        return len(self.hashes)


def principal_axes(thumbnails: NormalisedThumbnails) -> FloatArray:
    """Orthonormal axes that hold as much of the thumbnails as so few axes can.

    Parameters
    ----------
    thumbnails : NormalisedThumbnails
        A sample of them is looked at.

    Returns
    -------
    ndarray of float32, shape (1024, 255)
        The weightiest first.
    """
    n, pixels = thumbnails.codes.shape
    sample = _unit_vectors(thumbnails, _sample(n, AXES_SAMPLE))
    _, axes = eigh(sample.T @ sample, subset_by_index=(pixels - WIDTHS[-1] + 1, pixels - 1))
    weightiest_first: FloatArray = np.ascontiguousarray(axes[:, ::-1], np.float32)
    return weightiest_first


def bounding_vectors(
    thumbnails: NormalisedThumbnails, axes: FloatArray, workers: Workers
) -> FloatArray:
    """Short vectors, no inner product of which is less than the correlation of two thumbnails.

    Parameters
    ----------
    thumbnails : NormalisedThumbnails
        Of n images.
    axes : ndarray of float32, shape (1024, k)
        Orthonormal.
    workers : Workers
        Threads that share the work.

    Returns
    -------
    ndarray of float32, shape (n, k + 1)
        Coordinates, and the length of the rest. To within `MARGIN`, bounds hold after rounding.
    """
    vectors = np.empty((len(thumbnails.codes), axes.shape[1] + 1), np.float32)

    def project(rows: slice) -> None:
        vectors[rows] = _with_rest(_unit_vectors(thumbnails, rows) @ axes)

    workers.do(project, slices(len(vectors), THUMBNAIL_CHUNK))
    return vectors


def bounded_pair_blocks(
    workers: Workers,
    left: HashedThumbnails,
    right: HashedThumbnails,
    radius: int,
    minimum_correlation: float,
    axes: FloatArray,
    symmetric: bool,
) -> Iterator[tuple[IndexArray, IndexArray]]:
    """Yield all pairs of near hashes that correlate, and some that do not, block by block.

    Parameters
    ----------
    workers : Workers
        Threads that search; the blocks do not depend on their number.
    left, right : HashedThumbnails
        One and the same where a set is compared with itself; otherwise `left` are variants of
        `right`, in the same order.
    radius : int
        Largest Hamming distance, 0 to 255 bits.
    minimum_correlation : float
        No pair that correlates as much is missed.
    axes : ndarray of float32, shape (1024, 255)
        From `principal_axes`.
    symmetric : bool
        Whether variant a resembles b as variant b resembles a, as with mirror images.

    Yields
    ------
    pairs : ndarray of int64, shape (k, 2)
        Row in `left`, row in `right`, not twice the same row; every pair appears once (a before b,
        where a set is compared with itself).
    distances : ndarray of int64, shape (k,)
        Hamming distances, in bits.
    """
    words = _words(left.hashes), _words(right.hashes)
    axes = axes[:, : _cheapest_width(left, right, radius, minimum_correlation, axes) - 1]
    vectors = bounding_vectors(right.normalised, axes, workers)
    of_left = vectors if left is right else bounding_vectors(left.normalised, axes, workers)

    def bounded(part: tuple[int, int]) -> tuple[IndexArray, IndexArray]:
        top, start = part
        bounds = of_left[top : top + ROWS] @ vectors[start : start + COLUMNS].T
        # Several times faster than nonzero in two dimensions.
        places = np.flatnonzero(bounds >= minimum_correlation - MARGIN)
        i, j = np.divmod(places, bounds.shape[1])
        i += top
        j += start
        wanted = i < j if symmetric else i != j
        i, j = i[wanted], j[wanted]
        found = [within_radius(*words, i, j, radius)]
        if symmetric and left is not right:
            found.append(within_radius(*words, j, i, radius))
        pairs, distances = zip(*found, strict=True)
        return np.concatenate(pairs), np.concatenate(distances)

    parts = (
        (top, start)
        for top in range(0, len(left), ROWS)
        for start in range(top if symmetric else 0, len(right), COLUMNS)
    )
    held: list[tuple[IndexArray, IndexArray]] = []
    for pairs, distances in workers.map(bounded, parts):
        held.append((pairs, distances))
        if sum(len(pairs) for pairs, _ in held) >= HELD_PAIRS:
            yield _together(held)
            held = []
    if held:
        yield _together(held)


def _together(
    blocks: list[tuple[IndexArray, IndexArray]],
) -> tuple[IndexArray, IndexArray]:
    pairs, distances = zip(*blocks, strict=True)
    return np.concatenate(pairs), np.concatenate(distances)


def _cheapest_width(
    left: HashedThumbnails,
    right: HashedThumbnails,
    radius: int,
    minimum_correlation: float,
    axes: FloatArray,
) -> int:
    """Choose from `WIDTHS`: more coordinates cost more, and leave fewer pairs to look at."""
    rows = _sample(len(left), WIDTH_SAMPLE), _sample(len(right), WIDTH_SAMPLE)
    words = _words(left.hashes[rows[0]]), _words(right.hashes[rows[1]])
    sampled = [
        _unit_vectors(side.normalised, some) @ axes
        for side, some in zip((left, right), rows, strict=True)
    ]
    costs = []
    for width in WIDTHS:
        of_left, of_right = (_with_rest(some[:, : width - 1]) for some in sampled)
        bounds = of_left @ of_right.T
        i, j = np.nonzero(bounds >= minimum_correlation - MARGIN)
        near, _ = within_radius(*words, i, j, radius)
        looked_at = len(i) * DISTANCE_COST + len(near) * CORRELATION_COST
        costs.append(PAIR_COST + width * COORDINATE_COST + looked_at / bounds.size)
    return WIDTHS[int(np.argmin(costs))]


def are_crowded(dhashes: UInt8Array, radius: int) -> bool:
    """Whether so many hashes are near each other that bounds of correlations are the quicker way.

    Parameters
    ----------
    dhashes : ndarray of uint8, shape (n, 32)
        Difference hashes.
    radius : int
        In bits.
    """
    if len(dhashes) < FEWEST_IMAGES:
        return False
    words = _words(dhashes)
    i, j = np.random.default_rng(0).integers(0, len(words), (2, CROWD_SAMPLE))
    near, _ = within_radius(words, words, i, j, radius)
    return len(near) / CROWD_SAMPLE > CROWDED


def _words(hashes: UInt8Array) -> UInt64Array:
    """Hashes as four numbers of 64 bits each."""
    return np.ascontiguousarray(hashes).view(np.uint64)


def _sample(n: int, size: int) -> IndexArray:
    """Some rows of n, in order, the same every time."""
    return np.sort(np.random.default_rng(0).permutation(n)[:size])


def _with_rest(coordinates: FloatArray) -> FloatArray:
    """Append to parts of unit vectors how long what is left of each is."""
    held = np.einsum("ij,ij->i", coordinates, coordinates)
    return np.column_stack([coordinates, np.sqrt(np.maximum(1 - held, 0))])


def _unit_vectors(thumbnails: NormalisedThumbnails, rows: slice | IndexArray) -> FloatArray:
    """Rows of length 1, or 0 for an image of one grey."""
    vectors = thumbnails.codes[rows].astype(np.float32)
    vectors /= np.maximum(thumbnails.lengths[rows, None], np.float32(1))
    return vectors
