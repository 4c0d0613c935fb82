"""Scores of maps: closed forms, chance levels, and images that make no claim."""

from dataclasses import fields

import numpy as np
import pytest

from workflow_scripts.cxrcam.images.covering import border_mask
from workflow_scripts.cxrcam.map_tests.scores import (
    MapScore,
    border_share,
    dilate,
    energy_share,
    intersection_over_union,
    pointing_game,
)
from workflow_scripts.cxrcam.map_tests.summaries import summarise

SIZE = 20


def box(top: int, left: int, height: int, width: int, size: int = SIZE) -> np.ndarray:
    mask = np.zeros((1, size, size), dtype=bool)
    mask[0, top : top + height, left : left + width] = True
    return mask


def scores_of(heat: np.ndarray, masks: np.ndarray) -> dict[str, MapScore]:
    return {
        "energy": energy_share(heat, masks),
        "pointing": pointing_game(heat, masks, 2),
        "overlap": intersection_over_union(heat, masks),
    }


def test_energy_share_is_the_positive_sum_inside_over_the_positive_sum():
    heat = np.array([[[3.0, 1.0], [-8.0, 0.0]]], dtype=np.float32)
    mask = np.array([[[True, False], [True, False]]])
    score = energy_share(heat, mask)
    assert score.values == pytest.approx([0.75])  # the -8 inside the mask is no evidence
    assert score.chance == pytest.approx([0.5])


def test_a_map_without_preference_scores_chance_everywhere():
    # 0.1 is not exact in float32, and a ripple as interpolation leaves it is added.
    ripple = 1 + 1e-7 * np.random.default_rng(0).integers(-1, 2, (2, SIZE, SIZE))
    heat = (0.1 * ripple).astype(np.float32)
    masks = np.concatenate([box(2, 3, 5, 7), box(10, 0, 4, 4)])
    for name, score in scores_of(heat, masks).items():
        assert score.values == pytest.approx(score.chance, abs=1e-6), name
        assert (score.chance > 0).all()


def test_scores_do_not_depend_on_the_scale_of_a_map():
    generator = np.random.default_rng(1)
    heat = generator.normal(size=(6, SIZE, SIZE)).astype(np.float32)
    masks = np.repeat(box(2, 3, 9, 7), 6, axis=0)
    for name, score in scores_of(heat, masks).items():
        scaled = scores_of(heat * np.float32(1024.0), masks)[name]
        np.testing.assert_allclose(scaled.values, score.values, rtol=1e-6)


def test_each_image_is_scored_with_its_own_mask():
    generator = np.random.default_rng(2)
    heat = generator.normal(size=(5, SIZE, SIZE)).astype(np.float32)
    masks = generator.random((5, SIZE, SIZE)) < np.array([0.01, 0.2, 0.4, 0.6, 0.9])[:, None, None]
    together = scores_of(heat, masks)
    for image in range(5):
        alone = scores_of(heat[image : image + 1], masks[image : image + 1])
        for name, score in alone.items():
            assert score.values[0] == pytest.approx(together[name].values[image], abs=1e-12)
            assert score.chance[0] == pytest.approx(together[name].chance[image], abs=1e-12)


def test_blank_maps_and_empty_masks_are_counted_and_never_nan():
    heat = np.ones((4, SIZE, SIZE), dtype=np.float32)
    heat[0], heat[1] = 0.0, -2.0
    masks = np.repeat(box(0, 0, 4, 4), 4, axis=0)
    masks[2] = False
    for score in scores_of(heat, masks).values():
        np.testing.assert_array_equal(score.without_energy, [True, True, False, False])
        np.testing.assert_array_equal(score.without_region, [False, False, True, False])
        np.testing.assert_array_equal(score.scored, [False, False, False, True])
        assert all(np.isfinite(getattr(score, field.name)).all() for field in fields(score))
        assert (score.values[:3] == 0).all()
        summary = summarise(score, seed=0)
        assert (summary["n"], summary["without_energy"], summary["without_region"]) == (1, 2, 1)
        assert summary["ratio"] == pytest.approx(1.0)
        assert summary["interval"] is None


def test_no_images_give_an_empty_score_and_no_mean():
    heat, masks = np.zeros((0, SIZE, SIZE)), np.zeros((0, SIZE, SIZE), dtype=bool)
    for score in [*scores_of(heat, masks).values(), border_share(heat)]:
        assert score.values.shape == score.chance.shape == score.scored.shape == (0,)
        summary = summarise(score, seed=0)
        assert (summary["n"], summary["value"], summary["ratio"]) == (0, None, None)
        assert summary["ratio_interval"] is None


def test_the_border_has_the_area_of_its_ring():
    ring = border_mask(SIZE, 0.1)
    assert ring.sum() == SIZE**2 - (SIZE - 4) ** 2
    assert ring[1, 10]
    assert not ring[2, 10]
    heat = np.zeros((2, SIZE, SIZE), dtype=np.float32)
    heat[0, 0, 5], heat[0, 10, 10] = 1.0, 3.0
    heat[1, 10, 18] = 1.0
    score = border_share(heat)
    assert score.values == pytest.approx([0.25, 1.0])
    assert score.chance == pytest.approx([ring.mean()] * 2)


def test_pointing_game_hits_within_the_tolerance_and_not_beyond():
    lesion = box(8, 8, 2, 2)
    heat = np.zeros((1, SIZE, SIZE), dtype=np.float32)
    heat[0, 8, 13] = 1.0  # four pixels right of the lesion's last column
    assert pointing_game(heat, lesion).values == [0.0]
    assert pointing_game(heat, lesion, 3.99).values == [0.0]
    assert pointing_game(heat, lesion, 4).values == [1.0]
    heat[0, 8, 8] = 1.1
    assert pointing_game(heat, lesion).values == [1.0]


def test_two_equal_maxima_share_the_hit():
    heat = np.zeros((1, SIZE, SIZE), dtype=np.float32)
    heat[0, 0, 0] = heat[0, 9, 9] = 2.0
    assert pointing_game(heat, box(8, 8, 3, 3)).values == [0.5]


def test_chance_of_the_pointing_game_grows_with_the_tolerance_as_a_disc():
    score = pointing_game(np.ones((1, SIZE, SIZE)), box(10, 10, 1, 1), 2)
    assert score.chance == pytest.approx([13 / SIZE**2])  # a disc of radius 2 has 13 pixels


def test_random_maps_reach_the_chance_level_on_average():
    generator = np.random.default_rng(4)
    heat = generator.random((4000, 12, 12)).astype(np.float32)
    masks = np.repeat(box(3, 4, 5, 4, size=12), 4000, axis=0)
    for name, score in scores_of(heat, masks).items():
        assert score.values.mean() == pytest.approx(score.chance.mean(), abs=0.025), name


def test_dilation_equals_distances_computed_by_hand_and_images_do_not_leak():
    masks = np.random.default_rng(3).random((4, 15, 15)) < 0.03
    masks[2] = False
    grown = dilate(masks, 3.5)
    grid = np.stack(np.indices((15, 15)), axis=-1).reshape(-1, 2)
    for mask, result in zip(masks, grown, strict=True):
        marked = np.argwhere(mask)
        distance = np.linalg.norm(grid[:, None] - marked[None], axis=-1).min(axis=1, initial=np.inf)
        np.testing.assert_array_equal(result, (distance <= 3.5).reshape(15, 15))
    assert not grown[2].any()
    assert grown[0].any()


def test_overlap_of_shifted_boxes_has_its_closed_form():
    lesion = box(4, 4, 4, 6)
    heat = box(4, 6, 4, 6).astype(np.float32)  # two columns to the right: 16 of 24 in common
    assert intersection_over_union(heat, lesion).values == pytest.approx([16 / 32])
    assert intersection_over_union(lesion * 3.0, lesion).values == pytest.approx([1.0])
    assert intersection_over_union(box(15, 15, 2, 2) * 1.0, lesion).values == [0.0]


def test_only_as_many_pixels_as_the_lesion_has_are_taken():
    lesion = box(5, 5, 2, 2)
    heat = np.ones((1, SIZE, SIZE), dtype=np.float32)
    heat += lesion
    heat[0, 0, 0] = 9.0
    # The hottest four: (0, 0) and three quarters of the lesion, which tie for three places.
    assert intersection_over_union(heat, lesion).values == pytest.approx([3 / 5])


def test_a_map_with_fewer_positive_pixels_than_the_lesion_is_not_filled_up():
    lesion = box(5, 5, 2, 4)
    heat = -np.ones((1, SIZE, SIZE), dtype=np.float32)
    heat[0, 5, 5:7] = 1.0
    heat[0, 0, 0] = 1.0
    assert intersection_over_union(heat, lesion).values == pytest.approx([2 / 9])


def test_a_map_that_is_not_finite_is_refused():
    for score in (energy_share, pointing_game, intersection_over_union):
        with pytest.raises(ValueError, match="nan"):
            score(np.full((1, SIZE, SIZE), np.nan), box(1, 1, 2, 2))
