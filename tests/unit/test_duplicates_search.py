"""Search among hashes: no candidate missed, none invented or repeated, memory bounded."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_scripts.cxrcam.duplicates import hash_search
from workflow_scripts.cxrcam.duplicates.hash_search import candidate_pair_blocks
from workflow_scripts.cxrcam.workers import Workers


def candidate_pairs(hashes: np.ndarray, radius: int, queries: np.ndarray | None = None):
    """All pairs that the search yields, in order, and their distances."""
    with Workers(1) as workers:
        blocks = list(candidate_pair_blocks(workers, hashes, radius, queries))
    pairs = np.concatenate([np.empty((0, 2), np.int64), *(block for block, _ in blocks)])
    distances = np.concatenate([np.empty(0, np.int64), *(block for _, block in blocks)])
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return pairs[order], distances[order]


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


def test_queries_are_looked_up_among_the_others():
    generator = np.random.default_rng(5)
    hashes, queries = clustered_hashes(generator, 400), clustered_hashes(generator, 100)
    queries[:30] = hashes[:30]
    for radius in (0, 7, 20, 36):
        expected = brute_force(hashes, radius, queries)
        assert len(expected[0]) >= 30
        assert_same(candidate_pairs(hashes, radius, queries), expected)


def limit_steps(monkeypatch, rows, columns, block_pairs):
    """Compare few hashes at a time, and hand few pairs on."""
    for name, size in (("ROWS", rows), ("COLUMNS", columns), ("BLOCK_PAIRS", block_pairs)):
        monkeypatch.setattr(hash_search, name, size)


def shared_among(threads, hashes, queries):
    with Workers(threads) as workers:
        return [
            list(candidate_pair_blocks(workers, hashes, 36, sought)) for sought in (None, queries)
        ]


def test_threads_find_the_same_blocks_in_the_same_order(monkeypatch):
    limit_steps(monkeypatch, 16, 32, 500)
    generator = np.random.default_rng(8)
    hashes, queries = clustered_hashes(generator, 300), clustered_hashes(generator, 100)
    alone, together = shared_among(1, hashes, queries), shared_among(3, hashes, queries)
    for blocks, others in zip(alone, together, strict=True):
        assert len(blocks) == len(others) > 1
        for block, other in zip(blocks, others, strict=True):
            assert_same(other, block)


def test_the_size_of_a_step_changes_no_pair(monkeypatch):
    hashes = clustered_hashes(np.random.default_rng(6), 200)
    expected = brute_force(hashes, 36)
    for rows, columns in ((1, 1000), (7, 13), (64, 5), (200, 200)):
        limit_steps(monkeypatch, rows, columns, 50)
        assert_same(candidate_pairs(hashes, 36), expected)


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
    limit_steps(monkeypatch, 10, 50, 300)
    hashes = np.zeros((300, 32), np.uint8)
    hashes[200:, 0] = 1
    with Workers(1) as workers:
        blocks = list(candidate_pair_blocks(workers, hashes, 2))
    assert max(len(pairs) for pairs, _ in blocks) < 300 + 10 * 50
    pairs = np.concatenate([pairs for pairs, _ in blocks])
    assert len(np.unique(pairs, axis=0)) == len(pairs) == 300 * 299 // 2


def test_nothing_to_search_gives_nothing():
    empty = np.empty((0, 32), np.uint8)
    assert len(candidate_pairs(empty, 10)[0]) == 0
    assert len(candidate_pairs(np.zeros((1, 32), np.uint8), 10)[0]) == 0
    assert len(candidate_pairs(np.zeros((3, 32), np.uint8), 10, empty)[0]) == 0


@pytest.mark.parametrize("radius", [-1, 256])
def test_a_radius_out_of_range_is_named(radius):
    with pytest.raises(ValueError, match=f"radius is {radius}"):
        candidate_pairs(np.zeros((2, 32), np.uint8), radius)


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"queries are uint8 of shape \(2, 31\)"):
        candidate_pairs(np.zeros((2, 32), np.uint8), 3, np.zeros((2, 31), np.uint8))
