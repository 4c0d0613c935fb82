"""Bounds of correlations: none is too low, so that no pair of alike images is missed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_scripts.cxrcam.data.fingerprints import THUMBNAIL_SIDE
from workflow_scripts.cxrcam.duplicates import correlation_bounds
from workflow_scripts.cxrcam.duplicates.correlation_bounds import (
    MARGIN,
    HashedThumbnails,
    are_crowded,
    bounded_pair_blocks,
    bounding_vectors,
    principal_axes,
)
from workflow_scripts.cxrcam.duplicates.thumbnail_correlation import (
    normalised_thumbnails,
    pair_correlations,
)
from workflow_scripts.cxrcam.duplicates.thumbnail_hashes import thumbnail_dhashes
from workflow_scripts.cxrcam.workers import ALONE, Workers


def alike(seed: int, n: int) -> np.ndarray:
    """Thumbnails of one anatomy: what all share, what some share, and what is each one's own."""
    generator = np.random.default_rng(seed)
    shared, traits = generator.normal(size=(1, 1024)), generator.normal(size=(6, 1024))
    own = generator.normal(size=(n, 1024)) * generator.choice([0.05, 0.5, 1], (n, 1))
    pictures = shared + generator.normal(size=(n, 6)) @ traits + own
    pictures = np.interp(pictures, (pictures.min(), pictures.max()), (5, 250))
    return pictures.reshape(n, THUMBNAIL_SIDE, THUMBNAIL_SIDE).round().astype(np.uint8)


def hashed(thumbnails: np.ndarray) -> HashedThumbnails:
    return HashedThumbnails(thumbnail_dhashes(thumbnails), normalised_thumbnails(thumbnails))


def all_pairs(n: int) -> np.ndarray:
    return np.array([(i, j) for i in range(n) for j in range(n)])


@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.sampled_from([1, 20, 255]))
@settings(max_examples=25)
def test_no_correlation_exceeds_its_bound(seed, n, width):
    thumbnails = alike(seed, n)
    thumbnails[0] = 90  # one grey
    ready = normalised_thumbnails(thumbnails)
    vectors = bounding_vectors(ready, principal_axes(ready)[:, :width], ALONE)
    assert vectors.shape == (n, width + 1) and vectors.dtype == np.float32
    correlations = pair_correlations(all_pairs(n), ready, ready).reshape(n, n)
    assert (vectors @ vectors.T >= correlations - MARGIN).all()


def test_more_axes_bound_more_tightly_and_hold_what_images_share():
    ready = normalised_thumbnails(alike(1, 300))
    axes = principal_axes(ready)
    np.testing.assert_allclose(axes.T @ axes, np.eye(255), atol=1e-4)
    rests = [bounding_vectors(ready, axes[:, :k], ALONE)[:, -1].mean() for k in (8, 32, 128, 255)]
    assert rests == sorted(rests, reverse=True) and rests[-1] < 0.1


def expected(left, right, radius, minimum, one_set):
    """Pairs within the radius that correlate, by looking at each."""
    bits = [np.unpackbits(side.hashes, axis=1).astype(int) for side in (left, right)]
    distances = (bits[0][:, None] != bits[1][None]).sum(axis=2)
    n = len(left)
    correlations = pair_correlations(all_pairs(n), left.normalised, right.normalised)
    near = (distances <= radius) & (correlations.reshape(n, n) >= minimum)
    i, j = np.nonzero(near)
    wanted = i < j if one_set else i != j
    return set(zip(i[wanted].tolist(), j[wanted].tolist(), strict=True)), distances


@pytest.mark.parametrize("variant", ["itself", "mirrored", "blended"])
@pytest.mark.parametrize("threads", [1, 3])
def test_no_pair_is_missed_invented_or_repeated(variant, threads, monkeypatch):
    for name, size in (("ROWS", 8), ("COLUMNS", 32), ("HELD_PAIRS", 50)):
        monkeypatch.setattr(correlation_bounds, name, size)
    thumbnails = alike(2, 90)
    thumbnails[40:60] = thumbnails[:20, :, ::-1]
    right = hashed(thumbnails)
    left = {
        "itself": lambda: right,
        "mirrored": lambda: hashed(thumbnails[:, :, ::-1]),
        "blended": lambda: hashed(thumbnails // 2 + np.roll(thumbnails, 1, axis=0) // 2),
    }[variant]()
    axes = principal_axes(right.normalised)
    with Workers(threads) as workers:
        blocks = list(
            bounded_pair_blocks(workers, left, right, 90, 0.5, axes, variant != "blended")
        )
    assert len(blocks) > 1
    pairs = np.concatenate([block for block, _ in blocks])
    found = set(map(tuple, pairs.tolist()))
    there, distances = expected(left, right, 90, 0.5, variant == "itself")
    assert len(there) > 15 and there <= found and len(found) == len(pairs)
    stated = np.concatenate([block for _, block in blocks])
    np.testing.assert_array_equal(stated, distances[pairs[:, 0], pairs[:, 1]])
    assert stated.max() <= 90 and (pairs[:, 0] != pairs[:, 1]).all()


def test_crowds_are_told_from_strangers():
    generator = np.random.default_rng(3)
    strangers = generator.integers(0, 256, (3000, THUMBNAIL_SIDE, THUMBNAIL_SIDE), dtype=np.uint8)
    crowd = np.clip(strangers[:1] // 2 + strangers // 16, 0, 255).astype(np.uint8)
    assert not are_crowded(thumbnail_dhashes(strangers), 36)
    assert are_crowded(thumbnail_dhashes(crowd), 36)
    assert not are_crowded(thumbnail_dhashes(crowd[:50]), 36)  # axes would not pay
