"""Near-duplicate images: exact search among difference hashes, confirmation, clusters.

Two stages. *Candidates* are all pairs whose 256-bit difference hashes differ in at most `radius`
bits; none is missed. *Confirmation* compares thumbnails after local contrast normalisation, because
chest X-rays resemble each other: within 36 bits of a typical image lie many other patients.

Defaults were chosen on 2,100 real X-rays (700 COVID, 700 Normal, 700 Viral Pneumonia; 2.2 million
pairs) that hold 30 known clusters of 61 images:

- every pair that joins those clusters lies within 33 bits and correlates at 0.691 or more. The best
  pair outside them (one patient, two exposures, by the look of it) correlates at 0.644, the best
  outside COVID at 0.620, the best of two classes at 0.575. Thresholds from 0.645 to 0.71 and any
  radius from 33 to 50 give exactly the 30 clusters;
- plain correlation of thumbnails cannot do it: different children correlate at up to 0.971, while
  true copies with changed contrast fall to 0.91. Local contrast normalisation keeps ribs and
  vessels, which are personal, and drops what all chests share.

A copy that was shifted by a pixel of the thumbnail (3 % of the width) or cropped by more is mostly
missed: three such pairs in the same data were seen by eye and are not among the 30.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.ndimage import uniform_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from workflow_scripts.cxrcam.fingerprints import (
    HASH_BITS,
    HASH_BYTES,
    HASH_SIDE,
    THUMBNAIL_SIDE,
    difference_bits,
)

Kind = Literal["exact", "near", "mirrored", "inverted"]
UInt8Array = npt.NDArray[np.uint8]
UInt64Array = npt.NDArray[np.uint64]
IndexArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]

#: Largest Hamming distance of two hashes that may belong to one picture, in bits of 256. The known
#: copies need 33; the rest is slack for brightness changes that clip.
DEFAULT_RADIUS: Final = 36

#: Smallest correlation of locally normalised thumbnails that confirms a pair.
DEFAULT_CORRELATION: Final = 0.67

#: Groups of identical images up to this size are reported pair by pair. Larger ones (thousands of
#: blank images) would give quadratically many rows, so each member is paired with the first only.
#: Clusters come out the same.
LARGEST_COMPLETE_GROUP: Final = 100

#: Window of the local contrast normalisation, in thumbnail pixels.
NORMALISATION_WINDOW: Final = 3
#: Local contrast, in grey levels, below which structure counts as noise and is damped.
NORMALISATION_FLOOR: Final = 4.0
#: No normalised value exceeds the window's side (one bright pixel in a flat window), so that this
#: factor fills the range of int8.
NORMALISATION_SCALE: Final = 127.0 / NORMALISATION_WINDOW

#: Pairs that one step of the search holds in memory: about 100 MB with all temporaries.
BLOCK_PAIRS: Final = 1 << 20

#: Thumbnails that are turned into float32 at a time: 16 MB.
THUMBNAIL_CHUNK: Final = 4096

#: Measured costs on one core, in nanoseconds. They only choose between exact methods.
EXHAUSTIVE_COST: Final = 2.5
LOOKUP_COST: Final = 8.0
VERIFICATION_COST: Final = 60.0

#: Band counts that the planner tries. Keys of 24 bits and more would need tables beyond the cache.
BAND_COUNTS: Final = (11, 12, 13, 14, 15, 16, 18, 20, 23, 26)
#: Masks per key grow as the binomial; beyond 3 differing bits a band never pays.
LARGEST_BAND_RADIUS: Final = 3
#: Random pairs from which the planner estimates how crowded each band is.
PLANNING_PAIRS: Final = 200_000


# --- candidates ----------------------------------------------------------------------------------


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
    blocks = list(candidate_pair_blocks(dhashes, radius, queries))
    if not blocks:
        return np.empty((0, 2), np.int64), np.empty(0, np.int64)
    pairs = np.concatenate([block for block, _ in blocks])
    distances = np.concatenate([distance for _, distance in blocks])
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return pairs[order], distances[order]


def candidate_pair_blocks(
    dhashes: UInt8Array, radius: int, queries: UInt8Array | None = None
) -> Iterator[tuple[IndexArray, IndexArray]]:
    """Yield what `candidate_pairs` returns, in unsorted blocks of bounded size.

    Equal hashes are searched once and expanded at the end, so that many copies of one image cost
    nothing extra. Among the distinct hashes, the cheaper of two exact methods runs:

    - *exhaustive*: every pair, 256 bits against 256, in a few nanoseconds a pair. Quadratic, yet
      the faster one up to some hundred thousand images;
    - *multi-index hashing* (Norouzi, Punjani and Fleet, CVPR 2012): the bits are dealt to bands;
      band t is searched within radius r_t, where the r_t + 1 sum to radius + 1. A pair that
      differed in more than r_t bits of every band would differ in more than `radius` bits
      altogether, so none is missed. Bits are dealt by entropy, and the r_t are bought where they
      are cheapest, from the crowding of the bands in a sample: bits that are nearly constant among
      X-rays would fill single buckets otherwise.

    Parameters
    ----------
    dhashes, radius, queries
        As for `candidate_pairs`.

    Yields
    ------
    pairs : ndarray of int64, shape (k, 2)
        As from `candidate_pairs`; every pair appears in one block only.
    distances : ndarray of int64, shape (k,)
        Hamming distances, in bits.
    """
    _check_hashes(dhashes, "dhashes")
    if not 0 <= radius < HASH_BITS:
        raise ValueError(f"radius is {radius}: it must be from 0 to {HASH_BITS - 1} bits")
    right = _distinct(dhashes)
    if queries is None:
        yield from _equal_pairs(right)
        left = right
    else:
        _check_hashes(queries, "queries")
        left = _distinct(queries)
    self_join = queries is None
    if len(left.hashes) == 0 or len(right.hashes) == 0:
        return
    plan = _plan(left.hashes, right.hashes, radius, self_join)
    if plan is None:
        found = _exhaustive(left.hashes, right.hashes, radius, self_join)
    else:
        found = _multi_index(left.hashes, right.hashes, radius, plan, self_join)
    for rows, distances in found:
        yield from _expanded(left, right, rows, distances, self_join)


def _check_hashes(hashes: UInt8Array, name: str) -> None:
    if hashes.dtype != np.uint8 or hashes.ndim != 2 or hashes.shape[1] != HASH_BYTES:
        raise ValueError(
            f"{name} are {hashes.dtype} of shape {hashes.shape}: expected uint8 (n, {HASH_BYTES})"
        )


def _words(hashes: UInt8Array) -> UInt64Array:
    """View hashes as four 64-bit words each."""
    return np.ascontiguousarray(hashes).view(np.uint64)


@dataclass(frozen=True)
class _Distinct:
    """Distinct hashes, and the rows that carry each.

    The rows of distinct hash k are ``rows[starts[k] : starts[k + 1]]``, in ascending order.
    """

    hashes: UInt8Array
    rows: IndexArray
    starts: IndexArray


def _distinct(hashes: UInt8Array) -> _Distinct:
    words = _words(hashes)
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
    for first, second in _products(
        distinct.starts[repeated], sizes[repeated], distinct.starts[repeated], sizes[repeated]
    ):
        wanted = first < second
        pairs = np.stack([distinct.rows[first[wanted]], distinct.rows[second[wanted]]], axis=1)
        yield pairs, np.zeros(len(pairs), np.int64)


def _expanded(
    left: _Distinct, right: _Distinct, pairs: IndexArray, distances: IndexArray, self_join: bool
) -> Iterator[tuple[IndexArray, IndexArray]]:
    """Replace pairs of distinct hashes by pairs of the rows that carry them."""
    left_sizes = np.diff(left.starts)[pairs[:, 0]]
    right_sizes = np.diff(right.starts)[pairs[:, 1]]
    for first, second, source in _products_with_source(
        left.starts[pairs[:, 0]], left_sizes, right.starts[pairs[:, 1]], right_sizes
    ):
        rows = np.stack([left.rows[first], right.rows[second]], axis=1)
        if self_join:
            rows.sort(axis=1)
        yield rows, distances[source]


def _products(
    first_starts: IndexArray,
    first_sizes: IndexArray,
    second_starts: IndexArray,
    second_sizes: IndexArray,
) -> Iterator[tuple[IndexArray, IndexArray]]:
    """Cartesian products of ranges, as from `_products_with_source`."""
    for first, second, _ in _products_with_source(
        first_starts, first_sizes, second_starts, second_sizes
    ):
        yield first, second


def _products_with_source(
    first_starts: IndexArray,
    first_sizes: IndexArray,
    second_starts: IndexArray,
    second_sizes: IndexArray,
) -> Iterator[tuple[IndexArray, IndexArray, IndexArray]]:
    """Cartesian products of pairs of ranges, in blocks of at most `BLOCK_PAIRS`.

    Range pair s stands for all (first_starts[s] + a, second_starts[s] + b) with a below
    first_sizes[s] and b below second_sizes[s]. One product may span several blocks, which is what
    bounds memory however crowded a bucket is.
    """
    sizes = first_sizes * second_sizes
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    for begin in range(0, total, BLOCK_PAIRS):
        end = min(begin + BLOCK_PAIRS, total)
        low, high = np.searchsorted(ends, [begin, end - 1], side="right")
        span = slice(low, high + 1)
        # Of the first and the last product, only a part may fall into this block.
        lengths = np.minimum(ends[span], end) - np.maximum(ends[span] - sizes[span], begin)
        source = np.repeat(np.arange(low, high + 1), lengths)
        offset = np.arange(begin, end) - (ends - sizes)[source]
        if int(second_sizes[span].max()) == 1:
            a, b = offset, np.int64(0)
        else:
            a, b = np.divmod(offset, second_sizes[source])
        yield first_starts[source] + a, second_starts[source] + b, source


# --- exhaustive search ---------------------------------------------------------------------------

#: Block of rows and columns whose distances fit into the second-level cache.
EXHAUSTIVE_ROWS: Final = 64
EXHAUSTIVE_COLUMNS: Final = 1024


def _exhaustive(
    left: UInt8Array, right: UInt8Array, radius: int, self_join: bool
) -> Iterator[tuple[IndexArray, IndexArray]]:
    """Compare every pair."""
    left_words, right_words = _words(left), _words(right)
    left_columns = [np.ascontiguousarray(left_words[:, k]) for k in range(4)]
    right_columns = [np.ascontiguousarray(right_words[:, k]) for k in range(4)]
    shape = (EXHAUSTIVE_ROWS, EXHAUSTIVE_COLUMNS)
    difference = np.empty(shape, np.uint64)
    count, total = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
    near = np.empty(shape, bool)
    held: list[IndexArray] = []
    held_distances: list[IndexArray] = []
    held_pairs = 0
    for top in range(0, len(left), EXHAUSTIVE_ROWS):
        rows = slice(top, min(top + EXHAUSTIVE_ROWS, len(left)))
        height = rows.stop - top
        for start in range(top if self_join else 0, len(right), EXHAUSTIVE_COLUMNS):
            columns = slice(start, min(start + EXHAUSTIVE_COLUMNS, len(right)))
            part = np.s_[:height, : columns.stop - start]
            # Three words of four: their sum (192 at most) fits into a byte, and few pairs pass.
            for k in range(3):
                np.bitwise_xor(
                    left_columns[k][rows, None], right_columns[k][columns], out=difference[part]
                )
                target = total if k == 0 else count
                np.bitwise_count(difference[part], out=target[part])
                if k:
                    np.add(total[part], count[part], out=total[part])
            np.less_equal(total[part], min(radius, 255), out=near[part])
            # Several times faster than nonzero in two dimensions.
            i, j = np.divmod(np.flatnonzero(near[part]), columns.stop - start)
            if self_join:
                above = i + top < j + start
                i, j = i[above], j[above]
            if not len(i):
                continue
            last = np.bitwise_count(left_columns[3][i + top] ^ right_columns[3][j + start])
            distances = total[i, j].astype(np.int64) + last
            kept = distances <= radius
            if not kept.any():
                continue
            held.append(np.stack([i[kept] + top, j[kept] + start], axis=1).astype(np.int64))
            held_distances.append(distances[kept])
            held_pairs += len(held[-1])
            if held_pairs >= BLOCK_PAIRS:
                yield np.concatenate(held), np.concatenate(held_distances)
                held, held_distances, held_pairs = [], [], 0
    if held:
        yield np.concatenate(held), np.concatenate(held_distances)


# --- multi-index hashing -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Band:
    """Bits that form one key, and how many of them may differ."""

    bits: IndexArray
    radius: int


def _plan(left: UInt8Array, right: UInt8Array, radius: int, self_join: bool) -> list[_Band] | None:
    """Choose bands and their radii; None where exhaustive search is cheaper."""
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
            best = [_Band(b, r) for b, r in zip(bands, radii, strict=True) if r >= 0]
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


def _multi_index(
    left: UInt8Array, right: UInt8Array, radius: int, bands: list[_Band], self_join: bool
) -> Iterator[tuple[IndexArray, IndexArray]]:
    """Search band by band."""
    left_words, right_words = _words(left), _words(right)
    earlier: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int]] = []
    for band in bands:
        left_keys = _keys(left, band.bits)
        right_keys = left_keys if self_join else _keys(right, band.bits)
        for i, j in _band_candidates(left_keys, right_keys, band, self_join):
            pairs, distances = _verified(left_words, right_words, i, j, radius)
            for earlier_left, earlier_right, earlier_radius in earlier:
                # A pair that an earlier band has found is not reported again.
                found = (
                    np.bitwise_count(earlier_left[pairs[:, 0]] ^ earlier_right[pairs[:, 1]])
                    <= earlier_radius
                )
                pairs, distances = pairs[~found], distances[~found]
            if len(pairs):
                yield pairs, distances
        earlier.append((left_keys, right_keys, band.radius))


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


def _band_candidates(
    left_keys: IndexArray, right_keys: IndexArray, band: _Band, self_join: bool
) -> Iterator[tuple[IndexArray, IndexArray]]:
    """Pairs of rows whose keys differ in at most the band's radius, in bounded blocks."""
    left = _buckets(left_keys)
    right = left if self_join else _buckets(right_keys)
    width = len(band.bits)
    bucket_of = np.full(1 << width, -1, np.int32)
    bucket_of[right.keys] = np.arange(len(right.keys), dtype=np.int32)
    waiting: list[tuple[IndexArray, IndexArray]] = []
    waiting_pairs = 0
    for mask in _masks(width, band.radius):
        keys = left.keys
        source = np.arange(len(keys))
        if self_join and mask:
            # Each pair of buckets would be met from both sides: start from the side whose
            # highest differing bit is 0.
            source = np.flatnonzero(keys & (1 << (mask.bit_length() - 1)) == 0)
            keys = keys[source]
        target = bucket_of[keys ^ mask]
        hit = target >= 0
        if self_join and mask == 0:
            hit &= left.sizes > 1
        source, target = source[hit], target[hit].astype(np.int64)
        waiting.append((source, target))
        waiting_pairs += int((left.sizes[source] * right.sizes[target]).sum())
        # Small batches from many masks are verified together.
        if waiting_pairs >= BLOCK_PAIRS:
            yield from _bucket_products(left, right, waiting, self_join)
            waiting, waiting_pairs = [], 0
    yield from _bucket_products(left, right, waiting, self_join)


def _bucket_products(
    left: _Buckets, right: _Buckets, waiting: list[tuple[IndexArray, IndexArray]], self_join: bool
) -> Iterator[tuple[IndexArray, IndexArray]]:
    """Pairs of rows of pairs of buckets."""
    if not waiting:
        return
    source = np.concatenate([pair[0] for pair in waiting])
    target = np.concatenate([pair[1] for pair in waiting])
    for first, second in _products(
        left.starts[source], left.sizes[source], right.starts[target], right.sizes[target]
    ):
        if self_join:
            # Within one bucket every pair comes twice and every row meets itself. Between buckets
            # all pass: the smaller key is on the left, and positions follow the keys.
            wanted = first < second
            first, second = first[wanted], second[wanted]
        yield left.rows[first], right.rows[second]


def _masks(width: int, radius: int) -> Iterator[int]:
    """Integers of `width` bits with at most `radius` bits set."""
    for size in range(radius + 1):
        for bits in combinations(range(width), size):
            yield sum(1 << bit for bit in bits)


def _verified(
    left: UInt64Array, right: UInt64Array, i: IndexArray, j: IndexArray, radius: int
) -> tuple[IndexArray, IndexArray]:
    """Keep the pairs whose full distance is within the radius."""
    distances = np.bitwise_count(left[i] ^ right[j]).sum(axis=1, dtype=np.int64)
    kept = distances <= radius
    return np.stack([i[kept], j[kept]], axis=1), distances[kept]


# --- confirmation --------------------------------------------------------------------------------


@dataclass(frozen=True)
class NormalisedThumbnails:
    """Thumbnails after local contrast normalisation, ready to be correlated.

    Attributes
    ----------
    codes : ndarray of int8, shape (n, 1024)
        Normalised values times `NORMALISATION_SCALE`: a quarter of the memory of float32, and a
        correlation that is off by less than 0.001.
    lengths : ndarray of float32, shape (n,)
        Euclidean length of each row; 0 for an image of one grey throughout.
    """

    codes: npt.NDArray[np.int8]
    lengths: FloatArray


def normalised_thumbnails(thumbnails: UInt8Array) -> NormalisedThumbnails:
    """Normalise the local contrast of thumbnails.

    From each pixel, the mean of its 3 x 3 neighbourhood is taken away; the rest is divided by its
    root mean square over the same neighbourhood plus 4 grey levels (Jarrett et al., ICCV 2009).
    Brightness, contrast and the large shapes that all chests share vanish.

    Parameters
    ----------
    thumbnails : ndarray of uint8, shape (n, 32, 32)
        As from `fingerprints.thumbnail`.

    Returns
    -------
    NormalisedThumbnails
        Rows in the order given.

    Raises
    ------
    ValueError
        Wrong shape or dtype.
    """
    _check_thumbnails(thumbnails)
    codes = np.empty((len(thumbnails), THUMBNAIL_SIDE**2), np.int8)
    lengths = np.empty(len(thumbnails), np.float32)
    window = (0, NORMALISATION_WINDOW, NORMALISATION_WINDOW)
    for start in range(0, len(thumbnails), THUMBNAIL_CHUNK):
        rows = slice(start, start + THUMBNAIL_CHUNK)
        values = thumbnails[rows].astype(np.float32)
        detail = values - uniform_filter(values, window, mode="reflect")
        # The running sums of the filter may leave a tiny negative.
        power = np.maximum(uniform_filter(detail**2, window, mode="reflect"), 0.0)
        normalised = detail / (np.sqrt(power) + np.float32(NORMALISATION_FLOOR))
        normalised = normalised.reshape(len(values), -1)
        normalised -= normalised.mean(axis=1, keepdims=True)
        scaled = np.clip(np.rint(normalised * NORMALISATION_SCALE), -127, 127)
        codes[rows] = scaled
        lengths[rows] = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))
    return NormalisedThumbnails(codes, lengths)


def _check_thumbnails(thumbnails: UInt8Array) -> None:
    if thumbnails.dtype != np.uint8 or thumbnails.shape[1:] != (THUMBNAIL_SIDE, THUMBNAIL_SIDE):
        raise ValueError(
            f"thumbnails are {thumbnails.dtype} of shape {thumbnails.shape}: "
            f"expected uint8 (n, {THUMBNAIL_SIDE}, {THUMBNAIL_SIDE})"
        )


def pair_correlations(
    pairs: IndexArray, left: NormalisedThumbnails, right: NormalisedThumbnails
) -> FloatArray:
    """Pearson correlation of the normalised thumbnails of pairs.

    Parameters
    ----------
    pairs : ndarray of int64, shape (k, 2)
        Row in `left`, row in `right`.
    left, right : NormalisedThumbnails
        May be one and the same.

    Returns
    -------
    ndarray of float32, shape (k,)
        -1 to 1; 0 where either image is of one grey throughout, which resembles nothing.
    """
    correlations = np.empty(len(pairs), np.float32)
    for start in range(0, len(pairs), THUMBNAIL_CHUNK):
        rows = slice(start, start + THUMBNAIL_CHUNK)
        i, j = pairs[rows, 0], pairs[rows, 1]
        products = np.einsum(
            "ij,ij->i", left.codes[i].astype(np.float32), right.codes[j].astype(np.float32)
        )
        scale = left.lengths[i] * right.lengths[j]
        correlations[rows] = np.divide(
            products, scale, out=np.zeros_like(products), where=scale > 0
        )
    return correlations


def confirmed_pairs(
    dhashes: UInt8Array,
    thumbnails: UInt8Array,
    radius: int = DEFAULT_RADIUS,
    minimum_correlation: float = DEFAULT_CORRELATION,
    kinds: Sequence[Kind] = ("near", "mirrored", "inverted"),
) -> pd.DataFrame:
    """Find pairs of images that show one picture, as it is, mirrored or inverted.

    Parameters
    ----------
    dhashes : ndarray of uint8, shape (n, 32)
        Difference hashes, as from `fingerprints.dhash256`.
    thumbnails : ndarray of uint8, shape (n, 32, 32)
        As from `fingerprints.thumbnail`. The mirrored and the inverted are searched by hashes of
        the thumbnails, because the finished hash does not tell equal neighbours apart.
    radius : int
        Largest Hamming distance of candidates, in bits of 256.
    minimum_correlation : float
        Smallest correlation, above 0 and up to 1, of locally normalised thumbnails.
    kinds : sequence of {"near", "mirrored", "inverted"}
        What to look for.

    Returns
    -------
    DataFrame
        Columns ``a``, ``b`` (int64 row numbers, a < b), ``distance`` (int64, bits),
        ``correlation`` (float32), ``kind``; sorted by a, b. A pair that matches in several ways
        appears once, with the best correlation.
    """
    _check_thumbnails(thumbnails)
    if len(dhashes) != len(thumbnails):
        raise ValueError(f"there are {len(dhashes)} hashes but {len(thumbnails)} thumbnails")
    if not 0 < minimum_correlation <= 1:
        raise ValueError(f"minimum_correlation is {minimum_correlation}: it must be in (0, 1]")
    # An image of one grey has no structure to compare; thousands of them would swamp the search.
    rows = np.flatnonzero(thumbnails.min(axis=(1, 2)) < thumbnails.max(axis=(1, 2)))
    dhashes, thumbnails = dhashes[rows], thumbnails[rows]
    plain = normalised_thumbnails(thumbnails)
    frames = [_empty_pairs()]
    for kind in kinds:
        if kind == "near":
            searched, queries, other = dhashes, None, plain
        elif kind == "mirrored":
            small = _thumbnail_hash_images(thumbnails)
            searched, queries = _packed(small), _packed(small, mirrored=True)
            other = normalised_thumbnails(thumbnails[:, :, ::-1])
        elif kind == "inverted":
            small = _thumbnail_hash_images(thumbnails)
            searched, queries = _packed(small), _packed(small, inverted=True)
            other = normalised_thumbnails(255 - thumbnails)
        else:
            raise ValueError(f"unknown kind {kind!r}: choose from near, mirrored, inverted")
        for pairs, distances in candidate_pair_blocks(searched, radius, queries):
            correlations = pair_correlations(pairs, other, plain)
            # A symmetric image matches its own mirror image: no pair.
            kept = (correlations >= minimum_correlation) & (pairs[:, 0] != pairs[:, 1])
            ends = np.sort(rows[pairs[kept]], axis=1)
            frames.append(
                pd.DataFrame(
                    {
                        "a": ends[:, 0],
                        "b": ends[:, 1],
                        "distance": distances[kept],
                        "correlation": correlations[kept],
                        "kind": kind,
                    }
                )
            )
    found = pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)
    best_first = found.sort_values(
        ["a", "b", "correlation", "distance"], ascending=[True, True, False, True], kind="stable"
    )
    return best_first.drop_duplicates(["a", "b"]).reset_index(drop=True)


def _empty_pairs() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "a": np.empty(0, np.int64),
            "b": np.empty(0, np.int64),
            "distance": np.empty(0, np.int64),
            "correlation": np.empty(0, np.float32),
            "kind": pd.Series(dtype="str"),
        }
    )


def _thumbnail_hash_images(thumbnails: UInt8Array) -> FloatArray:
    """Shrink thumbnails from 32 x 32 to 16 x 17 by area; in whole numbers, shape (n, 16, 17).

    Whole numbers, so that equal neighbours stay equal, whichever way round they are added up.
    The largest, 2 x 32 x 255, is exact in float32, whose products are the fastest.
    """
    width = HASH_SIDE + 1
    # In units of 1/17 of a thumbnail pixel: inputs are 17 wide, outputs 32.
    edges_in = np.arange(THUMBNAIL_SIDE + 1) * width
    edges_out = np.arange(width + 1) * THUMBNAIL_SIDE
    overlap = np.minimum(edges_in[1:, None], edges_out[None, 1:]) - np.maximum(
        edges_in[:-1, None], edges_out[None, :-1]
    )
    weights = np.maximum(overlap, 0).astype(np.float32)
    small = np.empty((len(thumbnails), HASH_SIDE, width), np.float32)
    for start in range(0, len(thumbnails), THUMBNAIL_CHUNK):
        rows = slice(start, start + THUMBNAIL_CHUNK)
        values = thumbnails[rows].astype(np.float32)
        small[rows] = (values[:, ::2] + values[:, 1::2]) @ weights
    return small


def _packed(small: FloatArray, *, mirrored: bool = False, inverted: bool = False) -> UInt8Array:
    """Hashes of small images, shape (n, 32)."""
    bits = difference_bits(small, mirrored=mirrored, inverted=inverted)
    return np.packbits(bits.reshape(len(small), HASH_BITS), axis=1)


# --- clusters and the table ----------------------------------------------------------------------


def cluster_labels(n: int, pairs: IndexArray) -> IndexArray:
    """Label each image with the smallest row number that it is connected to.

    Parameters
    ----------
    n : int
        Number of images.
    pairs : ndarray of int64, shape (k, 2)
        Row numbers of duplicates, 0 to n - 1. Being duplicates is taken as transitive.

    Returns
    -------
    ndarray of int64, shape (n,)
        Labels; an image without duplicates bears its own row number.

    Raises
    ------
    ValueError
        A row number is out of range.
    """
    pairs = np.asarray(pairs, np.int64).reshape(-1, 2)
    if len(pairs) and (pairs.min() < 0 or pairs.max() >= n):
        raise ValueError(f"pairs name rows from {pairs.min()} to {pairs.max()} of {n} images")
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    count, component = connected_components(graph, directed=False)
    smallest = np.full(count, n, np.int64)
    np.minimum.at(smallest, component, np.arange(n))
    labels: IndexArray = smallest[component]
    return labels


def find_duplicates(
    image_ids: Sequence[str],
    pixel_sha256s: Sequence[str],
    dhashes: UInt8Array,
    thumbnails: UInt8Array,
    radius: int = DEFAULT_RADIUS,
    minimum_correlation: float = DEFAULT_CORRELATION,
    kinds: Sequence[Kind] = ("near", "mirrored", "inverted"),
) -> pd.DataFrame:
    """Find all pairs of images that show one picture.

    Parameters
    ----------
    image_ids : sequence of str, length n
        Names of the images. To compare data sets with each other, pass them together.
    pixel_sha256s : sequence of str, length n
        As from `fingerprints.pixel_sha256`: equal means identical.
    dhashes : ndarray of uint8, shape (n, 32)
        As from `fingerprints.dhash256`.
    thumbnails : ndarray of uint8, shape (n, 32, 32)
        As from `fingerprints.thumbnail`.
    radius, minimum_correlation, kinds
        As for `confirmed_pairs`.

    Returns
    -------
    DataFrame
        ``image_id_a``, ``image_id_b`` (str, a before b in the order given), ``distance`` (int64,
        bits of 256), ``correlation`` (float32), ``kind`` ("exact", "near", "mirrored" or
        "inverted"). All pairs, but where identical images number more than 100: there, each is
        paired with the first of its kind only. `cluster_labels` gives the same clusters anyway.

    Raises
    ------
    ValueError
        Inputs of different lengths, or as for `confirmed_pairs`.
    """
    lengths = {len(image_ids), len(pixel_sha256s), len(dhashes), len(thumbnails)}
    if len(lengths) > 1:
        raise ValueError(
            f"there are {len(image_ids)} image_ids, {len(pixel_sha256s)} pixel_sha256s, "
            f"{len(dhashes)} dhashes and {len(thumbnails)} thumbnails: one of each is needed"
        )
    _check_hashes(dhashes, "dhashes")
    group_of, first_rows = pd.factorize(np.asarray(pixel_sha256s, dtype=object))
    members = _members(group_of.astype(np.int64), len(first_rows))
    representatives = np.array([rows[0] for rows in members], np.int64)
    near = confirmed_pairs(
        dhashes[representatives],
        thumbnails[representatives],
        radius,
        minimum_correlation,
        kinds,
    )
    exact = np.array(
        [pair for rows in members if len(rows) > 1 for pair in _group_pairs(rows)], np.int64
    ).reshape(-1, 2)
    parts = [
        pd.DataFrame(
            {
                "a": exact[:, 0],
                "b": exact[:, 1],
                "distance": np.zeros(len(exact), np.int64),
                "correlation": np.ones(len(exact), np.float32),
                "kind": "exact",
            }
        ),
        _spread_over_copies(near, members),
    ]
    table = pd.concat([part for part in parts if len(part)] or [_empty_pairs()])
    table = table.sort_values(["a", "b"], kind="stable").reset_index(drop=True)
    names = np.asarray(image_ids, dtype=object)
    return pd.DataFrame(
        {
            "image_id_a": pd.Series(names[table["a"].to_numpy()], dtype="str"),
            "image_id_b": pd.Series(names[table["b"].to_numpy()], dtype="str"),
            "distance": table["distance"].astype(np.int64),
            "correlation": table["correlation"].astype(np.float32),
            "kind": table["kind"].astype("str"),
        }
    )


def _members(group_of: IndexArray, groups: int) -> list[IndexArray]:
    """Rows of each group, ascending."""
    order = np.argsort(group_of, kind="stable").astype(np.int64)
    ends = np.cumsum(np.bincount(group_of, minlength=groups))[:-1]
    return np.split(order, ends) if groups else []


def _group_pairs(rows: IndexArray) -> Iterator[tuple[int, int]]:
    """Pairs within a group of identical images; with the first only, where the group is large."""
    if len(rows) > LARGEST_COMPLETE_GROUP:
        yield from ((int(rows[0]), int(row)) for row in rows[1:])
    else:
        yield from combinations(rows.tolist(), 2)


def _spread_over_copies(near: pd.DataFrame, members: list[IndexArray]) -> pd.DataFrame:
    """Extend pairs of representatives to the identical copies of both."""
    sizes = np.array([len(rows) for rows in members], np.int64)
    a, b = near["a"].to_numpy(), near["b"].to_numpy()
    source: list[int] = []
    ends: list[tuple[int, int]] = []
    for row, (i, j) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        large = max(sizes[i], sizes[j]) > LARGEST_COMPLETE_GROUP
        left, right = (rows[:1] if large else rows for rows in (members[i], members[j]))
        for first in left.tolist():
            for second in right.tolist():
                source.append(row)
                ends.append((min(first, second), max(first, second)))
    spread = near.iloc[source].reset_index(drop=True)
    rows_of_ends = np.array(ends, np.int64).reshape(-1, 2)
    return spread.assign(a=rows_of_ends[:, 0], b=rows_of_ends[:, 1])
