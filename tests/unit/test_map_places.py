"""Where maps point: each score of the images that can be scored, and a reason where none can."""

import numpy as np
import pytest

from workflow_scripts.cxrcam.data.mask_cache import MASK_SIDE
from workflow_scripts.cxrcam.map_tests.places import place_scores

N = 6
HALF = MASK_SIDE // 2
GROUPS = np.arange(N)
NONE = np.zeros(N, dtype=bool), np.zeros((N, MASK_SIDE, MASK_SIDE), dtype=bool)


def seed_of(part: str) -> np.random.SeedSequence:
    return np.random.SeedSequence(len(part))


@pytest.fixture
def heat() -> np.ndarray:
    """Three maps hot in the left half, three in the right one."""
    maps = np.zeros((N, MASK_SIDE, MASK_SIDE), dtype=np.float32)
    maps[:3, :, :HALF] = maps[3:, :, HALF:] = 1.0
    return maps


@pytest.fixture
def left() -> tuple[np.ndarray, np.ndarray]:
    """Masks of the left half, for all images but the last."""
    masks = np.zeros((N, MASK_SIDE, MASK_SIDE), dtype=bool)
    masks[:5, :, :HALF] = True
    return np.arange(N) < 5, masks


ALL = np.ones(N, dtype=bool)


def test_only_images_with_a_mask_are_scored_against_their_own_chance(heat, left):
    lungs = place_scores(heat, left, NONE, ALL, GROUPS, {}, seed_of)["lung_share"]
    assert (lungs["n"], lungs["value"], lungs["chance"]) == (5, pytest.approx(3 / 5), 0.5)
    assert lungs["interval"][0] < 3 / 5 < lungs["interval"][1]
    assert lungs["per_class"] == {}


def test_the_map_of_a_wrong_class_is_not_asked_for_the_lesion(heat, left):
    right = np.array([True, False, True, False, True, True])
    scores = place_scores(heat, NONE, left, right, GROUPS, {}, seed_of)
    for name in ("pointing_game", "intersection_over_union"):
        assert scores[name]["n"] == 3
        assert scores[name]["value"] == pytest.approx(2 / 3, abs=0.02)


def test_parts_are_summarised_on_their_own(heat, left):
    parts = {"first": np.arange(N) < 3, "last": np.arange(N) == 5}
    lungs = place_scores(heat, left, NONE, ALL, GROUPS, parts, seed_of)["lung_share"]
    assert set(lungs["per_class"]) == {"first"}  # the last image has no mask
    assert lungs["per_class"]["first"]["value"] == 1.0


def test_what_cannot_be_scored_says_why(heat):
    scores = place_scores(heat, NONE, NONE, ALL, GROUPS, {}, seed_of)
    assert scores["lung_share"] == {"reason": "no test image has a lung mask"}
    assert "lesion" in scores["pointing_game"]["reason"]
    assert scores["border_share"]["n"] == N
