"""Sample pictures: what is shown is what was given, with names that fit."""

import numpy as np
import pytest
from matplotlib.text import Text

from tests.unit.figure_layout import assert_nothing_is_cut_off_or_overlaps
from workflow_scripts.cxrcam.figures.samples import (
    augmentation_caption,
    augmentation_figure,
    map_caption,
    map_figure,
    sample_caption,
    sample_figure,
)
from workflow_scripts.cxrcam.maps.overlays import overlay

ODD = [
    "$a_1^2$ vs $b$",
    "_under^score",
    "Bilateral interstitial pneumonia of unknown origin",
    "Lung_Opacity_with_a_very_long_unbroken_name_that_goes_on",
    "COVID",
    "x",
]
GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.integers(0, 256, (6, 24, 24)).astype(np.uint8)
# Signed and beyond the scale, as maps are.
ACTIVATION = GENERATOR.normal(size=(6, 24, 24))


def maps(k, predicted):
    return map_figure(IMAGES[:k], ACTIVATION[:k], ODD[:k], predicted, [0.9] * k, 4.25)


EVERY = {
    "samples": lambda k: sample_figure(IMAGES[:k], ODD[:k]),
    "augmentation": lambda k: augmentation_figure(IMAGES[:k], IMAGES[:k, :, ::-1], ODD[:k]),
    "maps": lambda k: maps(k, [ODD[3]] * k),
}


def shown(figure):
    """Pictures of a figure in reading order."""
    pictures = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    return [np.asarray(picture) for picture in pictures]


def words(figure):
    texts = [text.get_text() for text in figure.findobj(Text) if text.get_text()]
    return [text.replace(r"\$", "$").replace("\n", " ") for text in texts]


@pytest.mark.parametrize("k", [1, 2, 3, 6])
@pytest.mark.parametrize("name", EVERY)
def test_nothing_is_cut_off_or_overlaps_for_any_number_of_classes(name, k):
    figure = EVERY[name](k)
    assert_nothing_is_cut_off_or_overlaps(figure)
    assert figure.get_figwidth() <= 7.21


@pytest.mark.parametrize("name", EVERY)
def test_panels_are_square(name):
    figure = EVERY[name](3)
    width, height = figure.get_size_inches()
    for axes in figure.axes[:3]:
        place = axes.get_position()
        assert place.width * width == pytest.approx(place.height * height)


def test_samples_are_shown_unchanged_under_their_names():
    figure = EVERY["samples"](3)
    np.testing.assert_array_equal(shown(figure), IMAGES[:3])
    assert words(figure) == ODD[:3]
    # Black is 0 and white 255 whatever an image holds: contrast is not stretched.
    assert all(axes.images[0].get_clim() == (0, 255) for axes in figure.axes)


def test_originals_stand_above_their_flipped_versions():
    figure = EVERY["augmentation"](2)
    pictures = shown(figure)
    np.testing.assert_array_equal(pictures[:2], IMAGES[:2])
    np.testing.assert_array_equal(pictures[2:], IMAGES[:2, :, ::-1])
    tops = [axes.get_position().y1 for axes in figure.axes]
    assert min(tops[:2]) > max(tops[2:])
    assert {"original", "flipped"} <= set(words(figure))


def test_maps_have_the_gallery_s_colours_and_say_what_was_predicted():
    figure = maps(3, [ODD[0], ODD[0], ODD[2]])
    pictures = shown(figure)
    for index in range(3):
        np.testing.assert_array_equal(pictures[2 * index], IMAGES[index])
        np.testing.assert_array_equal(
            pictures[2 * index + 1], overlay(IMAGES[index], ACTIVATION[index])
        )
    texts = words(figure)
    assert texts.count("✓ correct") == 2
    assert f"✗ called {ODD[0]}" in texts
    assert "probability 0.900" in texts
    assert "≥ 4.25" in texts
    assert any("logits" in text for text in texts)


def test_captions_stand_alone():
    sizes = [(24, 30)] * 5 + [(256, 256)]
    samples = sample_caption(ODD, sizes, "the phantoms")
    augmentation = augmentation_caption(ODD, sizes, "the phantoms")
    explained = map_caption(ODD, 4.25, model="ResNet18", source="the phantoms")
    for caption in (samples, augmentation, explained):
        assert all(name in caption for name in ODD)
        assert "the phantoms" in caption
    assert "n = 6" in samples
    assert "before resizing: 24 × 30, 256 × 256 pixels" in samples
    assert "24 × 30, 256 × 256 pixels" in augmentation
    assert "flipped" in augmentation
    assert "4.25 logits" in explained
    assert "The mean of a map plus the bias is the logit" in explained
    in_parts = map_caption(ODD, 4.25, model="ResNet18", source="the phantoms", decomposed=True)
    assert "plus a number of the image, the same at all places, is the logit" in in_parts
