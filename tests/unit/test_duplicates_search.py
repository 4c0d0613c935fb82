"""Search among hashes: no candidate missed, none invented or repeated, memory bounded."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_scripts.cxrcam.duplicates import hash_search, multi_index_hashing, range_products
from workflow_scripts.cxrcam.duplicates.hash_search import candidate_pair_blocks, candidate_pairs
from workflow_scripts.cxrcam.workers import Workers


def brute_force(hashes: np.ndarray, radius: int, queries: np.ndarray | None = None):
    """All pairs, by unpacking every bit."""
    bits = np.unpackbits(hashes, axis=1).astype(int)
    others = bits if queries is None else np.unpackbits(queries, axis=1).astype(int)
    distances = (others[:, None] != bits[None]).sum(axis=2)
    i, j = np.nonzero(distances <= radius)
    if queries is None:
        i, j = i[i < j], j[i < j]
    return np.stack([i, j], axis=1), distances[i, j]


def clustered_hashes(generator: np.random.Generator, n: int) -> np.ndarray:
    """Random hashes, noisy copies of them, equal ones, and many that share most of their bits."""
    centres = generator.integers(0, 256, (max(n // 4, 1), 32), dtype=np.uint8)
    centres[: len(centres) // 2, 8:] = 0  # flat regions: most bits constant
    bits = np.unpackbits(centres[generator.integers(0, len(centres), n)], axis=1)
    bits ^= generator.random(bits.shape) < generator.choice([0, 0.03, 0.1], (n, 1))
    return np.packbits(bits, axis=1)


def assert_same(found, expected):
    assert np.array_equal(found[0], expected[0])
    assert np.array_equal(found[1], expected[1])


@given(st.integers(0, 2**32 - 1), st.integers(0, 80), st.sampled_from([0, 1, 5, 20, 36, 70, 255]))
@settings(max_examples=40)
def test_no_candidate_is_missed_or_invented(seed, n, radius):
    hashes = clustered_hashes(np.random.default_rng(seed), n)
    assert_same(candidate_pairs(hashes, radius), brute_force(hashes, radius))


@pytest.fixture
def multi_index(monkeypatch):
    """Make the planner believe that comparing every pair is dear."""
    monkeypatch.setattr(multi_index_hashing, "EXHAUSTIVE_COST", 1e9)
    monkeypatch.setattr(multi_index_hashing, "PLANNING_PAIRS", 2000)
    monkeypatch.setattr(multi_index_hashing, "BAND_COUNTS", (16, 18))


def limit_blocks(monkeypatch, pairs):
    for module in (hash_search, multi_index_hashing, range_products):
        monkeypatch.setattr(module, "BLOCK_PAIRS", pairs)


def test_multi_index_hashing_misses_and_repeats_nothing(multi_index, monkeypatch):
    limit_blocks(monkeypatch, 500)  # several blocks, buckets cut in two
    generator = np.random.default_rng(5)
    hashes, queries = clustered_hashes(generator, 400), clustered_hashes(generator, 100)
    queries[:30] = hashes[:30]
    for radius in (0, 7, 20, 36):
        plan = multi_index_hashing.plan_bands(hashes, hashes, radius, True)
        assert plan is not None and sum(band.radius + 1 for band in plan) == radius + 1
        expected = brute_force(hashes, radius)
        assert len(expected[0]) > 50
        assert_same(candidate_pairs(hashes, radius), expected)
        assert_same(candidate_pairs(hashes, radius, queries), brute_force(hashes, radius, queries))


def shared_among(threads, hashes, queries):
    with Workers(threads) as workers:
        return [
            list(candidate_pair_blocks(workers, hashes, 36, sought)) for sought in (None, queries)
        ]


@pytest.mark.parametrize("method", ["exhaustive", "multi_index"])
def test_threads_find_the_same_blocks_in_the_same_order(method, monkeypatch, request):
    if method == "multi_index":
        request.getfixturevalue("multi_index")
    limit_blocks(monkeypatch, 500)
    monkeypatch.setattr(hash_search, "EXHAUSTIVE_COLUMNS", 32)
    monkeypatch.setattr(hash_search, "SHARED_COLUMNS", 64)
    generator = np.random.default_rng(8)
    hashes, queries = clustered_hashes(generator, 300), clustered_hashes(generator, 100)
    alone, together = shared_among(1, hashes, queries), shared_among(3, hashes, queries)
    for blocks, others in zip(alone, together, strict=True):
        assert len(blocks) == len(others) > 1
        for block, other in zip(blocks, others, strict=True):
            assert_same(other, block)


def test_the_farthest_pairs_of_every_spread_are_found(multi_index):
    """Differences packed into one band, or spread over all: the corners of the pigeonhole."""
    generator = np.random.default_rng(6)
    base = np.unpackbits(generator.integers(0, 256, (1, 32), dtype=np.uint8))
    rows = [base]
    for step in (1, 2, 5, 7, 16, 17):
        changed = base.copy()
        changed[(np.arange(36) * step) % 256] ^= 1
        rows.append(changed)
    hashes = np.packbits(np.stack(rows), axis=1)
    assert_same(candidate_pairs(hashes, 36), brute_force(hashes, 36))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_searching_is_symmetric(seed):
    generator = np.random.default_rng(seed)
    a, b = clustered_hashes(generator, 30), clustered_hashes(generator, 40)
    forth, _ = candidate_pairs(a, 40, queries=b)
    back, _ = candidate_pairs(b, 40, queries=a)
    assert set(map(tuple, forth.tolist())) == {(i, j) for j, i in back.tolist()}
    shuffled = generator.permutation(30)
    pairs, _ = candidate_pairs(a[shuffled], 40)
    renamed = {tuple(sorted(pair)) for pair in shuffled[pairs].tolist()}
    assert renamed == set(map(tuple, candidate_pairs(a, 40)[0].tolist()))


def test_opposite_hashes_are_not_taken_for_equal():
    """256 differing bits do not fit into the byte that counts them."""
    hashes = np.stack([np.zeros(32, np.uint8), np.full(32, 255, np.uint8)])
    assert len(candidate_pairs(hashes, 255)[0]) == 0


def test_crowds_of_equal_hashes_come_in_bounded_blocks(monkeypatch):
    limit_blocks(monkeypatch, 1000)
    hashes = np.zeros((300, 32), np.uint8)
    hashes[200:, 0] = 1
    with Workers(1) as workers:
        blocks = list(candidate_pair_blocks(workers, hashes, 2))
    assert max(len(pairs) for pairs, _ in blocks) <= 1000
    pairs = np.concatenate([pairs for pairs, _ in blocks])
    assert len(np.unique(pairs, axis=0)) == len(pairs) == 300 * 299 // 2


def test_nothing_to_search_gives_nothing():
    empty = np.empty((0, 32), np.uint8)
    pairs, distances = candidate_pairs(empty, 10)
    assert pairs.shape == (0, 2) and pairs.dtype == distances.dtype == np.int64
    assert len(candidate_pairs(np.zeros((1, 32), np.uint8), 10)[0]) == 0
    assert len(candidate_pairs(np.zeros((3, 32), np.uint8), 10, empty)[0]) == 0


@pytest.mark.parametrize("radius", [-1, 256])
def test_a_radius_out_of_range_is_named(radius):
    with pytest.raises(ValueError, match=f"radius is {radius}"):
        candidate_pairs(np.zeros((2, 32), np.uint8), radius)


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"queries are uint8 of shape \(2, 31\)"):
        candidate_pairs(np.zeros((2, 32), np.uint8), 3, np.zeros((2, 31), np.uint8))


@pytest.mark.parametrize("block", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    "sizes", [([1, 2, 3], [1, 1, 2]), ([1, 1, 1], [1, 2, 1]), ([2, 1], [1, 1])]
)
def test_products_of_ranges_are_cut_anywhere(monkeypatch, block, sizes):
    monkeypatch.setattr(range_products, "BLOCK_PAIRS", block)
    first_sizes, second_sizes = (np.array(size) for size in sizes)
    first_starts, second_starts = (
        10 * np.arange(len(first_sizes)),
        100 * np.arange(len(first_sizes)),
    )
    products = range_products.RangeProducts(first_starts, first_sizes, second_starts, second_sizes)
    blocks = [products.block(cut) for cut in products.cuts()]
    assert all(len(source) <= block for _, _, source in blocks)
    found = [(int(a), int(b), int(s)) for part in blocks for a, b, s in zip(*part, strict=True)]
    assert found == [
        (10 * s + a, 100 * s + b, s)
        for s in range(len(first_sizes))
        for a in range(first_sizes[s])
        for b in range(second_sizes[s])
    ]
