"""Thumbnails compared: in one piece, tile by tile, and at the best crop and shift."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import pearsonr

from workflow_scripts.cxrcam.data.fingerprints import difference_bits
from workflow_scripts.cxrcam.duplicates import thumbnail_alignment, thumbnail_correlation
from workflow_scripts.cxrcam.duplicates.thumbnail_alignment import (
    aligned_correlations,
    cropped_thumbnails,
)
from workflow_scripts.cxrcam.duplicates.thumbnail_correlation import (
    distinct_rows,
    normalised_thumbnails,
    pair_correlations,
    tile_correlations,
)
from workflow_scripts.cxrcam.duplicates.thumbnail_hashes import thumbnail_dhashes
from workflow_scripts.cxrcam.workers import Workers


def structured(seed: int, side: int = 32) -> np.ndarray:
    """Picture with structure at several scales."""
    generator = np.random.default_rng(seed)
    total = np.zeros((side, side))
    for coarse in (4, 8, 16, 32):
        grid = Image.fromarray(generator.integers(0, 256, (coarse, coarse), dtype=np.uint8))
        total += np.asarray(grid.resize((side, side), Image.Resampling.BICUBIC), float) / coarse
    return np.interp(total, (total.min(), total.max()), (10, 240)).round().astype(np.uint8)


@pytest.fixture(scope="module")
def thumbnails() -> np.ndarray:
    pictures = np.stack([structured(seed) for seed in range(30)])
    pictures[7] = 40  # one grey
    pictures[8, :, 16:] = 40
    return pictures


ALL_PAIRS = np.array([(i, j) for i in range(30) for j in range(30)])


def test_long_lists_of_pairs_are_correlated_piece_by_piece(thumbnails, monkeypatch):
    ready = normalised_thumbnails(thumbnails)
    whole = pair_correlations(ALL_PAIRS, ready, ready)
    monkeypatch.setattr(thumbnail_correlation, "PAIRS_AT_ONCE", 7)
    np.testing.assert_allclose(pair_correlations(ALL_PAIRS, ready, ready), whole, atol=1e-6)


@given(st.lists(st.integers(0, 19), max_size=30))
@settings(max_examples=30)
def test_distinct_rows_are_those_of_numpy(rows):
    found = distinct_rows(np.array(rows, np.int64), 20)
    expected = np.unique(np.array(rows, np.int64), return_inverse=True)
    assert np.array_equal(found[0], expected[0]) and np.array_equal(found[1], expected[1])


# --- tiles ----------------------------------------------------------------------------------------


def test_tile_correlation_is_of_pearson_s_the_median_of_64_and_upper_quartile_of_16(thumbnails):
    ready = normalised_thumbnails(thumbnails)
    a, b = (ready.codes[row].reshape(32, 32).astype(float) for row in (0, 1))
    small, large = (
        [
            pearsonr(
                a[y : y + side, x : x + side].ravel(), b[y : y + side, x : x + side].ravel()
            ).statistic
            for y in range(0, 32, side)
            for x in range(0, 32, side)
        ]
        for side in (4, 8)
    )
    expected = (np.median(small) + np.percentile(large, 75)) / 2
    found = tile_correlations(np.array([[0, 1], [0, 0], [0, 7], [7, 7]]), ready, ready)
    np.testing.assert_allclose(found, [expected, 1, 0, 0], atol=1e-5)


def test_spoiling_a_third_of_the_tiles_hardly_shows(thumbnails):
    spoilt = thumbnails[:1].copy()
    spoilt[:, 20:] = structured(99)[20:]
    left, right = normalised_thumbnails(thumbnails[:1]), normalised_thumbnails(spoilt)
    pair = np.array([[0, 0]])
    assert tile_correlations(pair, left, right)[0] > 0.95
    assert pair_correlations(pair, left, right)[0] < 0.75


# --- alignment ------------------------------------------------------------------------------------


def test_the_best_whole_shift_is_that_of_trying_each(thumbnails, monkeypatch):
    monkeypatch.setattr(
        "workflow_scripts.cxrcam.duplicates.thumbnail_alignment.SHIFTS", np.arange(-1, 2)
    )
    monkeypatch.setattr(
        "workflow_scripts.cxrcam.duplicates.thumbnail_alignment.CROP_SCALES", (1.0,)
    )
    pairs = ALL_PAIRS[ALL_PAIRS[:, 0] < ALL_PAIRS[:, 1]]
    codes = normalised_thumbnails(thumbnails).codes.reshape(-1, 32, 32).astype(float)
    lengths = np.maximum(np.linalg.norm(codes, axis=(1, 2)), 1)
    unit = codes / lengths[:, None, None]
    tried = [
        (unit[pairs[:, 0]] * np.roll(unit, (y, x), (1, 2))[pairs[:, 1]]).sum(axis=(1, 2))
        for y in (-1, 0, 1)
        for x in (-1, 0, 1)
    ]
    found = aligned_correlations(pairs, thumbnails, thumbnails)
    np.testing.assert_allclose(found, np.max(tried, axis=0), atol=1e-5)


def test_aligning_never_lowers_the_correlation_and_is_symmetric(thumbnails):
    pairs = ALL_PAIRS[::11]
    ready = normalised_thumbnails(thumbnails)
    aligned = aligned_correlations(pairs, thumbnails, thumbnails)
    assert (aligned >= pair_correlations(pairs, ready, ready) - 1e-5).all()
    back = aligned_correlations(pairs[:, ::-1], thumbnails, thumbnails)
    np.testing.assert_allclose(back, aligned, atol=1e-5)
    assert aligned.max() <= 1 + 1e-5


def test_shifted_and_cropped_copies_are_recognised_when_aligned():
    large = [Image.fromarray(structured(seed, 64)).resize((320, 320)) for seed in range(12)]
    whole = [0, 0, 320, 320]
    cuts = {"shifted": [10, 0, 330, 320], "cropped": [10, 10, 310, 310], "corner": [0, 0, 310, 310]}
    for cut in cuts.values():
        left, right = (
            np.stack([np.array(p.crop(box).resize((32, 32), Image.Resampling.BOX)) for p in large])
            for box in (whole, cut)
        )
        same = np.stack([np.arange(12)] * 2, axis=1)
        other = np.stack([np.arange(12), np.roll(np.arange(12), 1)], axis=1)
        assert aligned_correlations(same, left, right).min() > 0.75
        assert aligned_correlations(same, right, left).min() > 0.75
        assert aligned_correlations(other, left, right).max() < 0.5


def test_pieces_of_many_pairs_are_aligned_alike(thumbnails, monkeypatch):
    whole = aligned_correlations(ALL_PAIRS, thumbnails, thumbnails)
    for name, size in (("HELD_SPECTRA", 8), ("SPECTRA_AT_ONCE", 3), ("PAIRS_AT_ONCE", 7)):
        monkeypatch.setattr(thumbnail_alignment, name, size)
    with Workers(3) as workers:
        pieces = aligned_correlations(ALL_PAIRS, thumbnails, thumbnails, workers)
    np.testing.assert_allclose(pieces, whole, atol=1e-6)


def test_two_sets_are_aligned_as_one(thumbnails):
    pairs = np.array([(i, j) for i in range(12) for j in range(18)])
    apart = aligned_correlations(pairs, thumbnails[:12], thumbnails[12:])
    together = aligned_correlations(pairs + np.array([0, 12]), thumbnails, thumbnails)
    np.testing.assert_allclose(apart, together, atol=1e-6)


@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.sampled_from([2, 8, 64]))
@settings(max_examples=40)
def test_groups_of_pairs_hold_few_images_and_each_pair_once(seed, n, held):
    ends = np.random.default_rng(seed).integers(0, 50, (n, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(thumbnail_alignment, "HELD_SPECTRA", held)
        groups = list(thumbnail_alignment._groups(ends))
    assert sorted(row for group in groups for row in group.tolist()) == list(range(n))
    assert all(len(np.unique(ends[group])) <= held for group in groups)


def test_no_pairs_are_no_correlations(thumbnails):
    assert aligned_correlations(np.empty((0, 2), np.int64), thumbnails, thumbnails).shape == (0,)


def test_a_picture_of_one_grey_resembles_nothing_when_aligned(thumbnails):
    assert not aligned_correlations(
        np.array([[7, 7], [7, 0], [0, 7]]), thumbnails, thumbnails
    ).any()


def test_cropping_a_ramp_makes_it_flatter_around_its_centre():
    ramp = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (1, 32, 1))
    assert np.array_equal(cropped_thumbnails(ramp, 1.0), ramp)
    expected = 124 + (np.arange(32) - 15.5) * 8 * 0.5
    assert np.abs(cropped_thumbnails(ramp, 0.5)[0] - expected).max() <= 0.5


@pytest.mark.parametrize("scale", [0.0, 1.01])
def test_a_crop_that_leaves_nothing_or_more_than_all_is_named(scale):
    with pytest.raises(ValueError, match=f"scale is {scale}"):
        cropped_thumbnails(np.zeros((1, 32, 32), np.uint8), scale)


# --- hashes of thumbnails -------------------------------------------------------------------------


def test_hashes_of_a_thumbnail_are_those_of_its_halved_rows_and_shrunk_columns(thumbnails):
    pairs_of_rows = thumbnails[0].reshape(16, 2, 32).sum(axis=1)
    # Each of 17 columns is the mean of 32 / 17 columns: repeat all 17 times, average 32 at a time.
    small = np.repeat(pairs_of_rows, 17, axis=1).reshape(16, 17, 32).sum(axis=2)
    for variant, picture in (
        (thumbnails[:1], small),
        (thumbnails[:1, :, ::-1], small[:, ::-1]),
        (255 - thumbnails[:1], -small.astype(int)),
    ):
        expected = np.packbits(difference_bits(picture)).tobytes()
        assert thumbnail_dhashes(variant).tobytes() == expected


def test_what_is_no_thumbnail_has_no_hash():
    with pytest.raises(ValueError, match="thumbnails are"):
        thumbnail_dhashes(np.zeros((1, 16, 16), np.uint8))
