"""Similarity of maps: against scipy, a window by hand, and closed forms."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from workflow_scripts.cxrcam.map_tests.similarity import (
    compare_maps,
    random_pair_floor,
    spearman_correlation,
    structural_similarity,
)
from workflow_scripts.cxrcam.maps.placement import upsample_map


@pytest.fixture
def maps() -> np.ndarray:
    raw = np.random.default_rng(0).normal(size=(5, 4, 4)).astype(np.float32)
    return upsample_map(raw, 24)


def ssim_by_hand(first: np.ndarray, second: np.ndarray) -> float:
    """One window at a time, from the definition in the paper."""
    offset = np.arange(-5, 6)
    window = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2 = 0.01**2, 0.03**2
    values = []
    for row in range(first.shape[0] - 10):
        for column in range(first.shape[1] - 10):
            x = first[row : row + 11, column : column + 11]
            y = second[row : row + 11, column : column + 11]
            mx, my = (window * x).sum(), (window * y).sum()
            vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
            cov = (window * (x - mx) * (y - my)).sum()
            values.append(
                (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
            )
    return float(np.mean(values))


def test_structural_similarity_equals_the_definition_window_by_window():
    generator = np.random.default_rng(1)
    first, second = generator.random(size=(2, 3, 16, 13))
    second = 0.6 * first + 0.4 * second
    expected = [ssim_by_hand(a, b) for a, b in zip(first, second, strict=True)]
    assert structural_similarity(first, second) == pytest.approx(expected, abs=1e-12)


def test_structural_similarity_of_constant_images_is_the_luminance_term():
    one, two = np.full((1, 12, 12), 0.2), np.full((1, 12, 12), 0.6)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.04 + 0.36 + 1e-4)
    assert structural_similarity(one, two) == pytest.approx([expected])
    assert structural_similarity(one, one) == pytest.approx([1.0])


def test_the_result_does_not_depend_on_the_batch(monkeypatch, maps):
    other = np.roll(maps, 1, axis=0)
    whole = compare_maps(maps, other)
    monkeypatch.setattr("workflow_scripts.cxrcam.map_tests.similarity._BATCH", 2)
    pieces = compare_maps(maps, other)
    np.testing.assert_array_equal(pieces.ssim, whole.ssim)
    np.testing.assert_array_equal(pieces.spearman, whole.spearman)


def test_rank_correlation_equals_scipy_with_ties():
    generator = np.random.default_rng(2)
    first, second = generator.integers(0, 6, (2, 4, 9, 7))
    second = second + first
    expected = [
        spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(first, second, strict=True)
    ]
    assert spearman_correlation(first, second) == pytest.approx(expected, abs=1e-12)


def test_equal_maps_and_their_multiples_are_alike_and_negatives_opposite(maps):
    same = compare_maps(maps, 1000.0 * maps)
    assert same.ssim == pytest.approx(1.0)
    assert same.spearman == pytest.approx(1.0)
    opposite = compare_maps(maps, -maps)
    assert opposite.spearman == pytest.approx(-1.0)
    assert (opposite.ssim < 0.1).all()


def test_constant_maps_are_named_and_never_nan(maps):
    # Interpolation leaves a ripple of rounding on a constant map; its ranks would be noise.
    constant = upsample_map(np.full((5, 4, 4), 0.1, dtype=np.float32), 24)
    assert np.ptp(constant) > 0
    one = compare_maps(maps, constant)
    assert one.constant.all()
    assert (one.spearman == 0).all()
    both = compare_maps(constant, np.zeros_like(constant))
    assert both.constant.all()
    assert (both.spearman == 1).all()
    assert np.isfinite(both.ssim).all()
    blank = compare_maps(np.zeros_like(maps), np.zeros_like(maps))
    assert blank.ssim == pytest.approx(1.0)
    assert not compare_maps(maps, maps).constant.any()


def test_no_maps_have_no_similarity(maps):
    nothing = compare_maps(maps[:0], maps[:0])
    assert nothing.ssim.shape == nothing.spearman.shape == nothing.constant.shape == (0,)


def test_the_floor_pairs_each_map_with_another_one_once():
    # Map i is one bright column at i: pairs are recognised by their similarity, equal maps by 1.
    maps = np.zeros((12, 12, 12))
    maps[np.arange(12), :, np.arange(12)] = 1.0
    for seed in range(20):
        floor = random_pair_floor(maps, np.random.default_rng(seed))
        assert floor.spearman.shape == (12,)
        assert floor.spearman == pytest.approx(-1 / 11)  # two disjoint columns of twelve
    twice = [random_pair_floor(maps, np.random.default_rng(3)).ssim for _ in range(2)]
    np.testing.assert_array_equal(*twice)


def test_the_floor_leaves_out_pairs_within_a_group(maps):
    duplicated = np.concatenate([maps, maps])
    groups = np.tile(np.arange(5), 2)
    for seed in range(20):
        floor = random_pair_floor(duplicated, np.random.default_rng(seed), groups=groups)
        assert (floor.ssim < 0.999).all()
        assert floor.ssim.size > 0


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_images_have_no_floor(maps, n):
    assert random_pair_floor(maps[:n], np.random.default_rng(0)).ssim.shape == (0,)


def test_bad_arguments_are_named(maps):
    with pytest.raises(ValueError, match="place the maps on the image grid"):
        compare_maps(np.zeros((1, 7, 7)), np.zeros((1, 7, 7)))
    with pytest.raises(ValueError, match="expected one"):
        compare_maps(maps, maps[:2])
    with pytest.raises(ValueError, match="inf"):
        compare_maps(maps, maps * np.inf)
