"""All tests of one network's maps: which images, and that a flip is undone before comparing."""

import numpy as np
import pytest
from torch import nn

from workflow_scripts.cxrcam.map_tests.explanation_tests import drawn_images, explanation_tests
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 16, 16), dtype=np.uint8)


def results_of(maps_of):
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1))
    return explanation_tests(
        model,
        model,
        lambda pixels: np.full((len(pixels), 2), 0.5, dtype=np.float32),
        lambda network, pixels, classes: RawMaps(maps_of(pixels), 16, 1.0, 0.0),
        PIXELS,
        np.arange(4),
        np.random.default_rng(0),
        np.random.SeedSequence(0),
    )


def test_maps_that_turn_with_the_image_are_alike_and_others_are_not():
    turning = results_of(lambda pixels: pixels[:, None].astype(np.float32))
    assert turning["flip"]["ssim"]["mean"] == pytest.approx(1.0)
    fixed = results_of(lambda pixels: PIXELS[:, None].astype(np.float32))
    assert fixed["flip"]["ssim"]["mean"] < 0.9


def test_the_result_has_every_test():
    result = results_of(lambda pixels: pixels[:, None].astype(np.float32))
    assert result["n"] == 4
    assert [row["block"] for row in result["randomisation"]] == ["2", "1", "0", "floor"]
    assert len(result["faithfulness"]) == 12


def test_images_are_drawn_without_replacement_and_in_order():
    drawn = drawn_images(10, 4, np.random.default_rng(0)).tolist()
    assert drawn == sorted(set(drawn)) and len(drawn) == 4
    assert drawn_images(3, 9, np.random.default_rng(0)).tolist() == [0, 1, 2]
