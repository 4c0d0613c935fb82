"""The picture of map methods: each map over its own X-ray, and every name fits."""

import numpy as np
import pytest

from tests.unit.figure_layout import assert_nothing_is_cut_off_or_overlaps
from workflow_scripts.cxrcam.figures.map_methods import map_method_figure
from workflow_scripts.cxrcam.maps.method_names import TITLES
from workflow_scripts.cxrcam.maps.overlays import overlay

CLASSES = ["$a_1^2$ vs $b$", "Bilateral interstitial pneumonia of unknown origin", "COVID"]
GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.integers(0, 256, (3, 32, 32)).astype(np.uint8)
MAPS = GENERATOR.normal(size=(3, len(TITLES), 32, 32)).astype(np.float32)
MASK = np.zeros((32, 32), dtype=bool)
MASK[8:20, 8:20] = True
SAID = ["COVID/a very long name of an image " * 5, "b: called COVID, probability 0.99", "c"]


def drawn(k: int = 3, m: int = len(TITLES), masks=(None, None, None)):
    return map_method_figure(
        *(IMAGES[:k], MAPS[:k, :m], list(TITLES.values())[:m], CLASSES[:k], SAID[:k]),
        *(masks[:k], masks[:k]),
    )


@pytest.mark.parametrize("m", [2, 3, len(TITLES)])
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("masks", [(None, None, None), (None, MASK, MASK)])
def test_nothing_is_cut_off_or_overlaps_for_any_number_of_methods(k, m, masks):
    figure = drawn(k, m, masks)
    assert_nothing_is_cut_off_or_overlaps(figure)
    assert figure.get_figwidth() <= 7.21


def test_a_row_shows_the_xray_and_then_each_method_on_it():
    pictures = [np.asarray(axes.images[0].get_array()) for axes in drawn().axes if axes.images]
    width = 1 + len(TITLES)
    np.testing.assert_array_equal(pictures[width], IMAGES[1])
    np.testing.assert_array_equal(pictures[width + 3], overlay(IMAGES[1], MAPS[1, 2]))
