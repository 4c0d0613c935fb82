"""All pairs of difference hashes within a radius; none is missed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from workflow_scripts.cxrcam.data.fingerprints import HASH_BITS, HASH_BYTES
from workflow_scripts.cxrcam.duplicates.multi_index_hashing import multi_index_pairs, plan_bands
from workflow_scripts.cxrcam.duplicates.range_products import BLOCK_PAIRS, RangeProducts
from workflow_scripts.cxrcam.workers import Workers

UInt8Array = npt.NDArray[np.uint8]
UInt64Array = npt.NDArray[np.uint64]
IndexArray = npt.NDArray[np.int64]

#: Rows and columns that one step compares: few enough for the processor's caches, and rows so long
#: that what NumPy does for each row, and threads waiting for Python's lock, do not count. (With
#: quarter rows it took 1.5 times as long in one thread and 1.8 times in two.)
EXHAUSTIVE_ROWS: Final = 64
EXHAUSTIVE_COLUMNS: Final = 4096
#: Columns that a thread compares at a time: up to a million pairs, some milliseconds.
SHARED_COLUMNS: Final = 4 * EXHAUSTIVE_COLUMNS


def candidate_pairs(
    dhashes: UInt8Array, radius: int, queries: UInt8Array | None = None
) -> tuple[IndexArray, IndexArray]:
    """All pairs of hashes that differ in at most `radius` bits.

    Parameters
    ----------
    dhashes : ndarray of uint8, shape (n, 32)
        Difference hashes.
    radius : int
        Largest Hamming distance, 0 to 255 bits.
    queries : ndarray of uint8, shape (m, 32), optional
        Hashes to look up among `dhashes`. Without them, `dhashes` are compared with one another.

    Returns
    -------
    pairs : ndarray of int64, shape (k, 2)
        Row numbers, sorted. Without queries: i < j, each pair once. With queries: query, row.
    distances : ndarray of int64, shape (k,)
        Hamming distances, in bits.

    Raises
    ------
    ValueError
        Wrong shape or dtype, or a radius out of range.

    Notes
    -----
    See `candidate_pair_blocks` for the method. All pairs are held in memory: where there may be
    hundreds of millions, take them block by block.
    """
    with Workers(1) as workers:
        blocks = list(candidate_pair_blocks(workers, dhashes, radius, queries))
    if not blocks:
        return np.empty((0, 2), np.int64), np.empty(0, np.int64)
    pairs = np.concatenate([block for block, _ in blocks])
    distances = np.concatenate([distance for _, distance in blocks])
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return pairs[order], distances[order]


def candidate_pair_blocks(
    workers: Workers, dhashes: UInt8Array, radius: int, queries: UInt8Array | None = None
) -> Iterator[tuple[IndexArray, IndexArray]]:
    """Yield what `candidate_pairs` returns, in unsorted blocks of bounded size.

    Equal hashes are searched once and expanded at the end, so that many copies of one image cost
    nothing extra. Among the distinct hashes, the cheaper of two exact methods runs:

    - *exhaustive*: every pair, 256 bits against 256, in a few nanoseconds a pair. Quadratic, yet
      the faster one up to some hundred thousand images;
    - *multi-index hashing*: see the module of that name.

    Parameters
    ----------
    workers : Workers
        Threads that search; the blocks do not depend on their number.
    dhashes, radius, queries
        As for `candidate_pairs`.

    Yields
    ------
    pairs : ndarray of int64, shape (k, 2)
        As from `candidate_pairs`; every pair appears in one block only.
    distances : ndarray of int64, shape (k,)
        Hamming distances, in bits.
    """
    check_hashes(dhashes, "dhashes")
    check_radius(radius)
    right = _distinct(dhashes)
    if queries is None:
        yield from _equal_pairs(right)
        left = right
    else:
        check_hashes(queries, "queries")
        left = _distinct(queries)
    self_join = queries is None
    if len(left.hashes) == 0 or len(right.hashes) == 0:
        return
    plan = plan_bands(left.hashes, right.hashes, radius, self_join)
    if plan is None:
        found = _exhaustive(workers, left.hashes, right.hashes, radius, self_join)
    else:
        found = multi_index_pairs(workers, left.hashes, right.hashes, radius, plan, self_join)
    for rows, distances in found:
        yield from _expanded(left, right, rows, distances, self_join)


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


@dataclass(frozen=True)
class _Distinct:
    """Distinct hashes, and the rows that carry each.

    The rows of distinct hash k are ``rows[starts[k] : starts[k + 1]]``, in ascending order.
    """

    hashes: UInt8Array
    rows: IndexArray
    starts: IndexArray


def _distinct(hashes: UInt8Array) -> _Distinct:
    """Find the distinct hashes, each held as four whole 64-bit words."""
    words = np.ascontiguousarray(hashes).view(np.uint64)
    # lexsort is stable, so that rows stay ascending within a hash.
    order = np.lexsort(words.T)
    ordered = words[order]
    is_first = np.ones(len(words), bool)
    is_first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    starts = np.append(np.flatnonzero(is_first), len(words)).astype(np.int64)
    return _Distinct(hashes[order[is_first]], order.astype(np.int64), starts)


def _equal_pairs(distinct: _Distinct) -> Iterator[tuple[IndexArray, IndexArray]]:
    """Pairs of rows that carry the same hash."""
    sizes = np.diff(distinct.starts)
    repeated = np.flatnonzero(sizes > 1)
    ranges = distinct.starts[repeated], sizes[repeated]
    products = RangeProducts(*ranges, *ranges)
    for first, second, _ in map(products.block, products.cuts()):
        wanted = first < second
        pairs = np.stack([distinct.rows[first[wanted]], distinct.rows[second[wanted]]], axis=1)
        yield pairs, np.zeros(len(pairs), np.int64)


def _expanded(
    left: _Distinct, right: _Distinct, pairs: IndexArray, distances: IndexArray, self_join: bool
) -> Iterator[tuple[IndexArray, IndexArray]]:
    """Replace pairs of distinct hashes by pairs of the rows that carry them."""
    left_sizes = np.diff(left.starts)[pairs[:, 0]]
    right_sizes = np.diff(right.starts)[pairs[:, 1]]
    products = RangeProducts(
        left.starts[pairs[:, 0]], left_sizes, right.starts[pairs[:, 1]], right_sizes
    )
    for first, second, source in map(products.block, products.cuts()):
        rows = np.stack([left.rows[first], right.rows[second]], axis=1)
        if self_join:
            rows.sort(axis=1)
        yield rows, distances[source]


def _exhaustive(
    workers: Workers, left: UInt8Array, right: UInt8Array, radius: int, self_join: bool
) -> Iterator[tuple[IndexArray, IndexArray]]:
    """Compare every pair; yield blocks of about `BLOCK_PAIRS` of those that are near."""
    left_words, right_words = left.view(np.uint64), right.view(np.uint64)
    compare = partial(
        _compared,
        left=[np.ascontiguousarray(left_words[:, k]) for k in range(4)],
        right=[np.ascontiguousarray(right_words[:, k]) for k in range(4)],
        radius=radius,
        self_join=self_join,
    )
    parts = (
        (top, start)
        for top in range(0, len(left), EXHAUSTIVE_ROWS)
        for start in range(top if self_join else 0, len(right), SHARED_COLUMNS)
    )
    held: list[IndexArray] = []
    held_distances: list[IndexArray] = []
    held_pairs = 0
    for pairs, distances in workers.map(compare, parts):
        held.append(pairs)
        held_distances.append(distances)
        held_pairs += len(pairs)
        if held_pairs >= BLOCK_PAIRS:
            yield np.concatenate(held), np.concatenate(held_distances)
            held, held_distances, held_pairs = [], [], 0
    if held_pairs:
        yield np.concatenate(held), np.concatenate(held_distances)


def _compared(
    part: tuple[int, int],
    left: list[UInt64Array],
    right: list[UInt64Array],
    radius: int,
    self_join: bool,
) -> tuple[IndexArray, IndexArray]:
    """Compare some rows with some columns: a part of `EXHAUSTIVE_ROWS` by `SHARED_COLUMNS`.

    Parameters
    ----------
    part : (int, int)
        First row and first column.
    left, right : four arrays of uint64
        Hashes, a word an array.
    radius, self_join
        As in `_exhaustive`.

    Returns
    -------
    pairs : ndarray of int64, shape (k, 2)
    distances : ndarray of int64, shape (k,)
    """
    top, first_column = part
    rows = slice(top, min(top + EXHAUSTIVE_ROWS, len(left[0])))
    height, end = rows.stop - top, min(first_column + SHARED_COLUMNS, len(right[0]))
    shape = (height, EXHAUSTIVE_COLUMNS)
    difference = np.empty(shape, np.uint64)
    count, total = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
    near = np.empty(shape, bool)
    pairs = [np.empty((0, 2), np.int64)]
    pair_distances = [np.empty(0, np.int64)]
    for start in range(first_column, end, EXHAUSTIVE_COLUMNS):
        columns = slice(start, min(start + EXHAUSTIVE_COLUMNS, end))
        width = columns.stop - start
        inside = np.s_[:, :width]
        # Three words of four: their sum (192 at most) fits into a byte, and few pairs pass.
        for k in range(3):
            np.bitwise_xor(left[k][rows, None], right[k][columns], out=difference[inside])
            target = total if k == 0 else count
            np.bitwise_count(difference[inside], out=target[inside])
            if k:
                np.add(total[inside], count[inside], out=total[inside])
        np.less_equal(total[inside], radius, out=near[inside])
        # Several times faster than nonzero in two dimensions.
        i, j = np.divmod(np.flatnonzero(near[inside]), width)
        if self_join:
            above = i + top < j + start
            i, j = i[above], j[above]
        last = np.bitwise_count(left[3][i + top] ^ right[3][j + start])
        distances = total[i, j].astype(np.int64) + last
        kept = distances <= radius
        if kept.any():
            pairs.append(np.stack([i[kept] + top, j[kept] + start], axis=1))
            pair_distances.append(distances[kept])
    return np.concatenate(pairs), np.concatenate(pair_distances)
