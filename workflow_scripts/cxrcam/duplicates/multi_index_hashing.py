"""Multi-index hashing: all pairs of hashes within a radius, without comparing every pair.

Norouzi, Punjani and Fleet, CVPR 2012. The bits are dealt to bands; band t is searched within radius
r_t, where the r_t + 1 sum to radius + 1. A pair that differed in more than r_t bits of every band
would differ in more than `radius` bits altogether, so none is missed. Bits are dealt by entropy,
and the r_t are bought where they are cheapest, from the crowding of the bands in a sample: bits
that are nearly constant among X-rays would fill single buckets otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Final

import numpy as np
import numpy.typing as npt

from workflow_scripts.cxrcam.data.fingerprints import HASH_BITS
from workflow_scripts.cxrcam.duplicates.range_products import BLOCK_PAIRS, RangeProducts
from workflow_scripts.cxrcam.workers import Workers, slices

UInt8Array = npt.NDArray[np.uint8]
UInt64Array = npt.NDArray[np.uint64]
IndexArray = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]
Keys = tuple[IndexArray, IndexArray]

#: Measured costs on one core, in nanoseconds. They only choose between exact methods.
EXHAUSTIVE_COST: Final = 2.5
LOOKUP_COST: Final = 6.0
VERIFICATION_COST: Final = 55.0

#: Band counts that the planner tries. Keys of 24 bits and more would need tables beyond the cache.
BAND_COUNTS: Final = (11, 12, 13, 14, 15, 16, 18, 20, 23, 26)
#: Masks per key grow as the binomial; beyond 3 differing bits a band never pays.
LARGEST_BAND_RADIUS: Final = 3
#: Random pairs from which the planner estimates how crowded each band is.
PLANNING_PAIRS: Final = 200_000


@dataclass(frozen=True)
class Band:
    """Bits that form one key, and how many of them may differ.

    Attributes
    ----------
    bits : ndarray of int64
        Numbers of the bits, 0 to 255.
    radius : int
        Largest Hamming distance of two keys.
    """

    bits: IndexArray
    radius: int


def plan_bands(
    left: UInt8Array, right: UInt8Array, radius: int, self_join: bool
) -> list[Band] | None:
    """Choose bands and their radii.

    Parameters
    ----------
    left, right : ndarray of uint8, shapes (n, 32) and (m, 32)
        Hashes without repetitions; the same where a set is compared with itself.
    radius : int
        Largest Hamming distance, in bits.
    self_join : bool
        Whether `left` is `right`.

    Returns
    -------
    list of Band or None
        None where exhaustive search is cheaper.
    """
    pairs = len(left) * len(right) / (2 if self_join else 1)
    best_cost, best = pairs * EXHAUSTIVE_COST, None
    # Planning itself takes about a second.
    if best_cost < 3e9:
        return None
    generator = np.random.default_rng(0)
    i = generator.integers(0, len(left), PLANNING_PAIRS)
    j = generator.integers(0, len(right), PLANNING_PAIRS)
    # One row a bit, so that a band's distances are sums of whole rows.
    differing = np.ascontiguousarray(np.unpackbits(left[i] ^ right[j], axis=1).T)
    # A bit that differs in half of the pairs splits best.
    entropy_order = np.argsort(-differing.mean(axis=1, dtype=np.float64), kind="stable")
    for count in BAND_COUNTS:
        bands = _dealt(entropy_order, count)
        cost, radii = _cheapest_radii(differing, bands, radius, len(left), pairs, self_join)
        if cost < best_cost:
            best_cost = cost
            best = [Band(b, r) for b, r in zip(bands, radii, strict=True) if r >= 0]
    return best


def _dealt(order: IndexArray, count: int) -> list[IndexArray]:
    """Deal bits to bands in turns, forwards and backwards, so that all are equally selective."""
    turns = [np.arange(count), np.arange(count)[::-1]]
    band_of = np.concatenate([turns[turn % 2] for turn in range(HASH_BITS // count + 1)])
    return [order[band_of[:HASH_BITS] == band] for band in range(count)]


def _cheapest_radii(
    differing: UInt8Array,
    bands: list[IndexArray],
    radius: int,
    keys: int,
    pairs: float,
    self_join: bool,
) -> tuple[float, list[int]]:
    """Buy radius + 1 units of band radius, each where it costs least.

    Returns the total cost in nanoseconds, and a radius for each band; -1 leaves a band unused.
    """
    lookups = keys / 2 if self_join else keys
    marginal = np.full((len(bands), LARGEST_BAND_RADIUS + 1), np.inf)
    for row, bits in enumerate(bands):
        distance = np.add.reduce(differing[bits], axis=0, dtype=np.uint8)
        within = np.bincount(distance, minlength=len(bits) + 1) / differing.shape[1]
        for level in range(LARGEST_BAND_RADIUS + 1):
            masks = comb(len(bits), level)
            # Even without a hit in the sample, no band is emptier than uniform keys would be.
            share = max(float(within[level]), masks / 2.0 ** len(bits))
            marginal[row, level] = masks * lookups * LOOKUP_COST + share * pairs * VERIFICATION_COST
    radii = [-1] * len(bands)
    cost = 0.0
    for _ in range(radius + 1):
        prices = [
            marginal[row, level + 1] if level < LARGEST_BAND_RADIUS else np.inf
            for row, level in enumerate(radii)
        ]
        cheapest = int(np.argmin(prices))
        cost += prices[cheapest]
        if not np.isfinite(cost):
            break
        radii[cheapest] += 1
    return cost, radii


def multi_index_pairs(
    workers: Workers,
    left: UInt8Array,
    right: UInt8Array,
    radius: int,
    bands: list[Band],
    self_join: bool,
) -> Iterator[tuple[IndexArray, IndexArray]]:
    """Find all pairs of hashes that differ in at most `radius` bits, band by band.

    Parameters
    ----------
    workers : Workers
        Threads that search.
    left, right, radius, self_join
        As for `plan_bands`; hashes contiguous in memory.
    bands : list of Band
        From `plan_bands`.

    Yields
    ------
    pairs : ndarray of int64, shape (k, 2)
        Row in `left`, row in `right`; every pair once (in one order only, where a set is
        compared with itself).
    distances : ndarray of int64, shape (k,)
        Hamming distances, in bits.
    """
    words = left.view(np.uint64), right.view(np.uint64)
    earlier: list[tuple[Keys, int]] = []
    for band in bands:
        left_keys = _keys(left, band.bits)
        keys = left_keys, left_keys if self_join else _keys(right, band.bits)
        yield from _band_pairs(workers, words, keys, band, radius, self_join, earlier)
        earlier.append((keys, band.radius))


def _band_pairs(
    workers: Workers,
    words: tuple[UInt64Array, UInt64Array],
    keys: Keys,
    band: Band,
    radius: int,
    self_join: bool,
    earlier: list[tuple[Keys, int]],
) -> Iterator[tuple[IndexArray, IndexArray]]:
    """Pairs within the radius that this band finds and no earlier one."""
    left = _buckets(keys[0])
    right = left if self_join else _buckets(keys[1])

    def verified(part: tuple[RangeProducts, int]) -> tuple[IndexArray, IndexArray]:
        products, cut = part
        first, second, _ = products.block(cut)
        if self_join:
            # Within one bucket every pair comes twice and every row meets itself. Between buckets
            # all pass: the smaller key is on the left, and places follow the keys.
            wanted = first < second
            first, second = first[wanted], second[wanted]
        pairs, distances = within_radius(
            *words, left.rows.take(first), right.rows.take(second), radius
        )
        for (left_keys, right_keys), band_radius in earlier:
            differing = np.bitwise_count(left_keys[pairs[:, 0]] ^ right_keys[pairs[:, 1]])
            new = differing > band_radius
            pairs, distances = pairs[new], distances[new]
        return pairs, distances

    parts = (
        (products, cut)
        for products in _bucket_products(workers, left, right, band, self_join)
        for cut in products.cuts()
    )
    for pairs, distances in workers.map(verified, parts):
        if len(pairs):
            yield pairs, distances


def _keys(hashes: UInt8Array, bits: IndexArray) -> IndexArray:
    """Gather bits of every hash into one integer."""
    keys = np.zeros(len(hashes), np.int64)
    for bit in bits:
        byte, shift = divmod(int(bit), 8)
        keys = (keys << 1) | ((hashes[:, byte] >> np.uint8(7 - shift)) & np.uint8(1))
    return keys


@dataclass(frozen=True)
class _Buckets:
    """Rows grouped by key: rows of bucket k are ``rows[starts[k] : starts[k] + sizes[k]]``."""

    keys: IndexArray
    rows: IndexArray
    starts: IndexArray
    sizes: IndexArray


def _buckets(keys: IndexArray) -> _Buckets:
    rows = np.argsort(keys, kind="stable")
    distinct, starts, sizes = np.unique(keys[rows], return_index=True, return_counts=True)
    return _Buckets(distinct, rows, starts.astype(np.int64), sizes.astype(np.int64))


def _bucket_products(
    workers: Workers, left: _Buckets, right: _Buckets, band: Band, self_join: bool
) -> Iterator[RangeProducts]:
    """Places in ``left.rows`` and ``right.rows`` whose keys differ in at most the band's radius.

    Where a set is compared with itself, pairs whose first place is not before the second are none.
    """
    width = len(band.bits)
    bucket_of = np.full(1 << width, -1, np.int32)
    bucket_of[right.keys] = np.arange(len(right.keys), dtype=np.int32)
    waiting: list[tuple[Int32Array, Int32Array]] = []
    waiting_pairs = 0
    # Small numbers are gathered in half of the time.
    keys = left.keys.astype(np.int32)
    everywhere = np.arange(len(keys), dtype=np.int32)
    # Each pair of buckets would be met from both sides: start from the side whose highest differing
    # bit is 0.
    lower_sides = (
        [np.flatnonzero(keys & (1 << bit) == 0).astype(np.int32) for bit in range(width)]
        if self_join
        else []
    )
    lower_keys = [keys.take(side) for side in lower_sides]

    def met(some: list[int]) -> tuple[list[tuple[Int32Array, Int32Array]], int]:
        """Pairs of buckets whose keys differ by these masks, and how many pairs of rows."""
        buckets, n_pairs = [], 0
        for mask in some:
            if self_join and mask:
                highest = mask.bit_length() - 1
                source, keys_there = lower_sides[highest], lower_keys[highest]
            else:
                source, keys_there = everywhere, keys
            target = bucket_of.take(keys_there ^ np.int32(mask))
            hit = target >= 0
            if self_join and mask == 0:
                hit &= left.sizes > 1
            hits = np.flatnonzero(hit)
            source, target = source.take(hits), target.take(hits)
            buckets.append((source, target))
            n_pairs += int((left.sizes.take(source) * right.sizes.take(target)).sum())
        return buckets, n_pairs

    def products() -> RangeProducts:
        source, target = (np.concatenate(some) for some in zip(*waiting, strict=True))
        return RangeProducts(
            *(left.starts.take(source), left.sizes.take(source)),
            *(right.starts.take(target), right.sizes.take(target)),
        )

    masks = list(_masks(width, band.radius))
    at_once = max(1, BLOCK_PAIRS // len(keys))
    for buckets, n_pairs in workers.map(met, (masks[s] for s in slices(len(masks), at_once))):
        waiting += buckets
        waiting_pairs += n_pairs
        # Small batches from many masks are verified together.
        if waiting_pairs >= BLOCK_PAIRS:
            yield products()
            waiting, waiting_pairs = [], 0
    if waiting:
        yield products()


def _masks(width: int, radius: int) -> Iterator[int]:
    """Integers of `width` bits with at most `radius` bits set."""
    for size in range(radius + 1):
        for bits in combinations(range(width), size):
            yield sum(1 << bit for bit in bits)


def within_radius(
    left: UInt64Array, right: UInt64Array, i: IndexArray, j: IndexArray, radius: int
) -> tuple[IndexArray, IndexArray]:
    """Keep the pairs whose hashes differ in at most `radius` bits.

    Parameters
    ----------
    left, right : ndarray of uint64, shapes (n, 4) and (m, 4)
        Hashes as numbers of 64 bits.
    i, j : ndarray of int64, shape (k,)
        Row in `left`, row in `right`.
    radius : int
        In bits.

    Returns
    -------
    pairs : ndarray of int64, shape (l, 2)
    distances : ndarray of int64, shape (l,)
        In bits.
    """
    # `take` gathers rows in a quarter of the time of indexing; columns add up faster than `sum`.
    counts = np.bitwise_count(left.take(i, axis=0) ^ right.take(j, axis=0)).astype(np.uint16)
    within = counts[:, 0] + counts[:, 1] + counts[:, 2] + counts[:, 3]
    kept = np.flatnonzero(within <= radius)
    return np.stack([i[kept], j[kept]], axis=1), within[kept].astype(np.int64)
