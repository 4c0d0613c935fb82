"""The picture of map methods: each map over its own X-ray, and every name fits."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from PIL import Image

from tests.unit.figure_layout import assert_nothing_is_cut_off_or_overlaps
from workflow_scripts.cxrcam.configuration.map_methods import TITLES
from workflow_scripts.cxrcam.figures.map_methods import compared_maps_figure, map_method_figure
from workflow_scripts.cxrcam.maps.overlays import overlay
from workflow_scripts.cxrcam.maps.placement import heat_scale
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps
from workflow_scripts.cxrcam.maps.run_pictures import PICTURE_SIDE

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


def test_the_first_image_of_each_class_is_drawn_on_the_scale_of_all(tmp_path):
    files = []
    for k, shade in enumerate((50, 100, 150)):
        files.append(str(tmp_path / f"{k}.png"))
        Image.fromarray(np.full((64, 64), shade, np.uint8)).save(files[-1])
    index = pd.DataFrame(
        {"path": files, "mask_path": None, "lesion_mask_path": None}, index=["x", "y", "z"]
    )
    records = pd.DataFrame(
        {"image_id": ["y", "x", "z"], "label": ["b", "a", "b"], "predicted": ["b", "b", "b"]}
        | {"probability": [0.9, 0.8, 0.7]}
    )
    values = np.zeros((3, 2, 2, 2), dtype=np.float32)
    values[:, 0, 0, 0], values[:, 1, 1, 1] = [1.0, 2.0, 200.0], [3.0, 3.0, 3.0]
    maps = RawMaps(values, 64, 32.0, 15.5)
    figure = compared_maps_figure(
        maps, records, index, ["a", "b", "c"], ["exact", "eigen_cam"], 10**6
    )
    pictures = [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]
    assert [int(pictures[k].max()) for k in (0, 3)] == [50, 100], "x for a, then y for b"
    words = [text.get_text() for text in figure.findobj(Text)]
    assert "x: called b, probability 0.800" in words
    side = PICTURE_SIDE
    placed = maps.of_images([1]).placed(np.array([0]), side)[0] / heat_scale(values[:, 0])
    np.testing.assert_array_equal(pictures[1], overlay(np.full((side, side), 50, np.uint8), placed))
