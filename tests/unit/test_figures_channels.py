"""The strongest channels: numbers and pictures are those given, on one scale."""

import numpy as np
import pytest
from matplotlib.text import Text

from tests.unit.figure_layout import assert_nothing_is_cut_off_or_overlaps
from workflow_scripts.cxrcam.figures.channels import channel_caption, channel_figure
from workflow_scripts.cxrcam.maps.overlays import overlay
from workflow_scripts.cxrcam.maps.placement import heat_scale, normalise_map

CLASSES = [
    "$a_1^2$ vs $b$",
    "Bilateral interstitial pneumonia of unknown origin",
    "Lung_Opacity_with_a_very_long_unbroken_name_that_goes_on",
    "COVID",
    "x",
    "Normal",
]


def inputs(k=3, top=4, size=20):
    generator = np.random.default_rng(k)
    return {
        "images": generator.integers(0, 256, (k, size, size)).astype(np.uint8),
        "activations": generator.gamma(1.0, 2.0, (k, top, size, size)),
        "contributions": np.linspace(1.25, -0.5, k * top).reshape(k, top),
        "channels": np.arange(k * top).reshape(k, top) + 100,
        "classes": CLASSES[:k],
    }


def words(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


@pytest.mark.parametrize(("k", "top"), [(1, 1), (2, 3), (3, 8), (6, 5)])
def test_nothing_is_cut_off_or_overlaps(k, top):
    figure = channel_figure(**inputs(k, top))
    assert_nothing_is_cut_off_or_overlaps(figure)


def test_each_picture_has_its_channel_and_contribution():
    given = inputs()
    texts = words(channel_figure(**given))
    assert [text for text in texts if text.startswith("channel ")] == [
        f"channel {number}" for number in range(100, 112)
    ]
    assert "+1.25 logits" in texts
    assert "−0.50 logits" in texts


def test_all_pictures_share_one_scale():
    given = inputs()
    given["activations"][1] *= 0.1
    pictures = [np.asarray(axes.images[0].get_array()) for axes in channel_figure(**given).axes]
    heat = normalise_map(given["activations"], heat_scale(given["activations"]))
    for row in range(3):
        np.testing.assert_array_equal(pictures[5 * row], given["images"][row])
        for column in range(4):
            np.testing.assert_array_equal(
                pictures[5 * row + 1 + column], overlay(given["images"][row], heat[row, column])
            )


def test_the_caption_stands_alone():
    given = inputs()
    caption = channel_caption(
        given["contributions"],
        given["classes"],
        model="ResNet18",
        source="the phantoms",
        n_channels=512,
    )
    for part in (*given["classes"], "4 strongest of 512", "ResNet18", "phantoms", "-0.5 to 1.25"):
        assert part in caption
