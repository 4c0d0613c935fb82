"""Faithfulness: a network whose reason is known, closed forms, and degenerate maps."""

import numpy as np
import pytest

from workflow_scripts.cxrcam.map_tests.faithfulness import (
    FRACTIONS,
    TESTS,
    assess_faithfulness,
    blurred_images,
    control_maps,
    curve_areas,
    faithfulness_curves,
    hottest_first,
    summarise_faithfulness,
)

SIZE = 20
PATCH = (slice(None), slice(2, 8), slice(11, 17))  # 9 % of the image, off the centre


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture
def pixels() -> np.ndarray:
    """Dark images with a fine bright chequered patch in one place."""
    images = rng(1).integers(20, 60, (10, SIZE, SIZE)).astype(np.uint8)
    images[PATCH] = 40 + 200 * (np.indices((6, 6)).sum(axis=0) % 2)
    return images


@pytest.fixture
def true_heat() -> np.ndarray:
    heat = np.zeros((10, SIZE, SIZE), dtype=np.float32)
    heat[PATCH] = 1.0
    return heat


def patch_network(images: np.ndarray) -> np.ndarray:
    """Class 1 is as probable as the patch is rough."""
    assert images.dtype == np.uint8
    roughness = images[PATCH].astype(float).std(axis=(1, 2)) / 100.0
    return np.stack([1 - roughness, roughness], axis=1)


ONES = np.ones(10, dtype=np.int64)


def test_areas_are_those_of_trapezoids_divided_by_the_range():
    areas = curve_areas(np.array([[1.0, 0.5, 0.0], [0.3, 0.3, 0.3]]), (0.1, 0.5))
    assert areas == pytest.approx([(0.75 * 0.1 + 0.25 * 0.4) / 0.5, 0.3])


def test_the_first_point_is_the_image_itself_or_its_blur(pixels, true_heat):
    for test in TESTS:
        curves = faithfulness_curves(test, pixels, true_heat, ONES, patch_network, rng())
        start = blurred_images(pixels) if test == "insertion" else pixels
        np.testing.assert_allclose(curves[:, 0], patch_network(start)[:, 1])
        assert curves.shape == (10, 1 + len(FRACTIONS))


def test_all_pixels_inserted_give_the_image_and_all_deleted_its_blur(pixels, true_heat):
    ends = {"insertion": pixels, "deletion": blurred_images(pixels)}
    for test, end in ends.items():
        curves = faithfulness_curves(
            test, pixels, true_heat, ONES, patch_network, rng(), fractions=(1.0,)
        )
        np.testing.assert_allclose(curves[:, 1], patch_network(end)[:, 1])


def test_exactly_the_stated_share_of_the_hottest_pixels_is_deleted(pixels):
    heat = rng(2).permutation(SIZE * SIZE).astype(np.float32).reshape(1, SIZE, SIZE)
    heat = heat.repeat(10, axis=0)
    seen = []

    def watch(images: np.ndarray) -> np.ndarray:
        seen.append(images != flipped)
        return patch_network(images)

    # A bright image on whose blur no pixel is equal: changed pixels are seen as changed.
    flipped = np.where(np.indices((SIZE, SIZE)).sum(axis=0) % 2, 0, 255).astype(np.uint8)
    flipped = flipped[None].repeat(10, axis=0)
    faithfulness_curves("deletion", flipped, heat, ONES, watch, rng(), fractions=(0.05, 0.3))
    assert [changed[0].sum() for changed in seen] == [0, 20, 120]
    for changed, share in zip(seen[1:], (20, 120), strict=True):
        np.testing.assert_array_equal(changed[0], heat[0] >= SIZE * SIZE - share)


def test_the_true_reason_beats_all_controls_in_all_tests(pixels, true_heat):
    areas = assess_faithfulness(pixels, true_heat, ONES, patch_network, rng())
    rows = summarise_faithfulness(areas, groups=None, seed=0)
    assert {(row["test"], row["map"]) for row in rows} == {
        (test, name) for test in TESTS for name in ("map", "centre", "blurred", "random")
    }
    for row in rows:
        if row["map"] == "map":
            assert row["advantage"] is None
        elif row["map"] != "blurred":  # the smoothed patch is nearly as good, as it should be
            assert row["advantage"]["interval"][0] > 0, row


def test_the_opposite_of_the_reason_loses_to_random_maps(pixels, true_heat):
    areas = assess_faithfulness(pixels, -true_heat, ONES, patch_network, rng())
    for row in summarise_faithfulness(areas, groups=None, seed=0):
        if row["map"] == "random":
            assert row["advantage"]["mean"] < 0, row


def test_a_map_has_no_advantage_over_itself(pixels, true_heat):
    # The blurred control of a constant map is that map, and ties and noise are drawn alike.
    areas = assess_faithfulness(pixels, np.ones_like(true_heat), ONES, patch_network, rng())
    rows = summarise_faithfulness(areas, groups=None, seed=0)
    advantages = [row["advantage"]["mean"] for row in rows if row["map"] == "blurred"]
    assert advantages == pytest.approx([0.0, 0.0, 0.0], abs=1e-12)


def test_the_probability_of_each_images_own_class_is_watched(pixels, true_heat):
    classes = np.arange(10) % 2
    curves = faithfulness_curves("deletion", pixels, true_heat, classes, patch_network, rng())
    start = patch_network(pixels)
    np.testing.assert_allclose(curves[:, 0], start[np.arange(10), classes])


def test_ties_are_broken_at_random_and_order_is_by_signed_heat():
    heat = np.zeros((2, SIZE, SIZE), dtype=np.float32)
    heat[1, 0, 0], heat[1, 5, 5] = -9.0, 0.5
    order = hottest_first(heat, rng())
    assert sorted(order[0].tolist()) == list(range(SIZE * SIZE))
    assert order[0].tolist() != list(range(SIZE * SIZE))
    assert order[1, 0] == 5 * SIZE + 5
    assert order[1, -1] == 0
    ripple = (0.1 * (1 + 1e-7 * rng(5).uniform(-1, 1, heat.shape))).astype(np.float32)
    np.testing.assert_array_equal(hottest_first(ripple, rng()), order[[0, 0]])
    # Ties of different maps are broken in the same way.
    common = [place for place in order[0].tolist() if place not in (0, 5 * SIZE + 5)]
    assert order[1, 1:-1].tolist() == common


def test_controls_do_not_depend_on_the_network_and_lie_on_the_grid():
    heat = rng(3).normal(size=(11, SIZE, SIZE)).astype(np.float32)
    controls = control_maps(heat, rng())
    assert all(c.shape == heat.shape and c.dtype == np.float32 for c in controls.values())
    centre = controls["centre"][0]
    np.testing.assert_allclose(centre, centre[::-1, ::-1])
    assert np.unravel_index(centre.argmax(), centre.shape) == (9, 9)
    np.testing.assert_array_equal(controls["random"][0], controls["random"][8])
    assert not np.array_equal(controls["random"][0], controls["random"][1])
    assert controls["blurred"][0].std() < 0.5 * heat[0].std()


def test_blank_maps_and_one_or_no_image_have_a_defined_result(pixels):
    for n in (0, 1):
        heat = np.zeros((n, SIZE, SIZE), dtype=np.float32)
        areas = assess_faithfulness(pixels[:n], heat, ONES[:n], patch_network, rng())
        for row in summarise_faithfulness(areas, groups=None, seed=0):
            assert row["area"]["n"] == n
            assert row["area"]["interval"] is None
            assert (row["area"]["mean"] is None) == (n == 0)


def test_the_same_seed_gives_the_same_curves(pixels, true_heat):
    first, second = (
        assess_faithfulness(pixels, true_heat, ONES, patch_network, rng(4)) for _ in range(2)
    )
    for key, areas in first.items():
        np.testing.assert_array_equal(areas, second[key])


def test_a_map_that_is_not_finite_is_refused(true_heat):
    with pytest.raises(ValueError, match="nan"):
        hottest_first(true_heat * np.nan, rng())


def test_the_network_is_asked_once_about_the_same_images():
    rng = np.random.default_rng(5)
    pixels = rng.integers(0, 256, (2, 32, 32), dtype=np.uint8)
    asked = []

    def probabilities_of(images):
        asked.append(images.tobytes())
        return np.full((len(images), 2), 0.5)

    heat = rng.normal(size=pixels.shape).astype(np.float32)
    areas = assess_faithfulness(
        pixels, heat, np.array([0, 1]), probabilities_of, rng, fractions=(0.2, 0.5)
    )
    assert len(asked) == len(set(asked))
    # Three tests of four maps, two changes each; before any change the image and its blurred copy.
    assert len(asked) == 3 * 4 * 2 + 2
    assert len(areas) == 3 * 4 and all(area == pytest.approx(0.5) for area in areas.values())
