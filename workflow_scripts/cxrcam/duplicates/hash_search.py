"""All pairs of difference hashes within a radius: every pair is compared, none is missed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from workflow_scripts.cxrcam.arrays import Int64Array, UInt8Array
from workflow_scripts.cxrcam.data.fingerprints import HASH_BITS, HASH_BYTES
from workflow_scripts.cxrcam.workers import Workers

UInt64Array = npt.NDArray[np.uint64]
PairBlock = tuple[Int64Array, Int64Array]

#: Hashes that one step compares with each other: few enough for the processor's caches.
ROWS: Final = 64
COLUMNS: Final = 4096
#: Pairs that are handed on at a time.
BLOCK_PAIRS: Final = 1 << 16


def candidate_pair_blocks(
    workers: Workers, dhashes: UInt8Array, radius: int, queries: UInt8Array | None = None
) -> Iterator[PairBlock]:
    """Yield all pairs of hashes that differ in at most `radius` bits, block by block.

    Parameters
    ----------
    workers : Workers
        Threads that search; the blocks do not depend on their number.
    dhashes : ndarray of uint8, shape (n, 32)
        Difference hashes.
    radius : int
        Largest Hamming distance, 0 to 255 bits.
    queries : ndarray of uint8, shape (m, 32), optional
        Hashes to look up among `dhashes`. Without them, `dhashes` are compared with one another.

    Yields
    ------
    pairs : ndarray of int64, shape (k, 2)
        Row numbers in any order, k less than `BLOCK_PAIRS` + `ROWS` * `COLUMNS`. Without queries:
        i < j, each pair once. With queries: query, row.
    distances : ndarray of int64, shape (k,)
        Hamming distances, in bits.

    Raises
    ------
    ValueError
        Wrong shape or dtype, or a radius out of range.
    """
    check_hashes(dhashes, "dhashes")
    check_radius(radius)
    right = _words(dhashes)
    left = right
    if queries is not None:
        check_hashes(queries, "queries")
        left = _words(queries)
    one_set = queries is None

    def compared(part: tuple[int, int]) -> PairBlock:
        return _near_pairs(left, right, *part, radius, one_set)

    parts = (
        (top, start)
        for top in range(0, left.shape[1], ROWS)
        for start in range(top if one_set else 0, right.shape[1], COLUMNS)
    )
    held: list[PairBlock] = []
    n_held = 0
    for found in workers.map(compared, parts):
        held.append(found)
        n_held += len(found[0])
        if n_held >= BLOCK_PAIRS:
            yield _together(held)
            held, n_held = [], 0
    if n_held:
        yield _together(held)


def _near_pairs(
    left: UInt64Array, right: UInt64Array, top: int, start: int, radius: int, one_set: bool
) -> PairBlock:
    """Compare `ROWS` hashes of `left` from `top` on with `COLUMNS` of `right` from `start` on."""
    rows, columns = slice(top, top + ROWS), slice(start, start + COLUMNS)
    distances = np.zeros((len(left[0, rows]), len(right[0, columns])), np.uint16)
    for ours, others in zip(left, right, strict=True):
        distances += np.bitwise_count(ours[rows, None] ^ others[columns])
    # Several times faster than nonzero in two dimensions.
    near = np.flatnonzero(distances <= radius)
    i, j = np.divmod(near, distances.shape[1])
    pairs, near_distances = np.stack([i + top, j + start], axis=1), distances.ravel()[near]
    if one_set:
        wanted = pairs[:, 0] < pairs[:, 1]
        pairs, near_distances = pairs[wanted], near_distances[wanted]
    return pairs, near_distances.astype(np.int64)


def _words(hashes: UInt8Array) -> UInt64Array:
    """Hashes as four words of 64 bits, shape (4, n)."""
    return np.ascontiguousarray(np.ascontiguousarray(hashes).view(np.uint64).T)


def _together(blocks: list[PairBlock]) -> PairBlock:
    pairs, distances = zip(*blocks, strict=True)
    return np.concatenate(pairs), np.concatenate(distances)


def check_radius(radius: int) -> None:
    """Refuse what is no radius.

    Raises
    ------
    ValueError
        Not from 0 to 255 bits.
    """
    if not 0 <= radius < HASH_BITS:
        raise ValueError(f"radius is {radius}: it must be from 0 to {HASH_BITS - 1} bits")


def check_hashes(hashes: UInt8Array, name: str) -> None:
    """Refuse what are not difference hashes.

    Raises
    ------
    ValueError
        Wrong shape or dtype; names the array.
    """
    if hashes.dtype != np.uint8 or hashes.ndim != 2 or hashes.shape[1] != HASH_BYTES:
        raise ValueError(
            f"{name} are {hashes.dtype} of shape {hashes.shape}: expected uint8 (n, {HASH_BYTES})"
        )
