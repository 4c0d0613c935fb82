"""Blanked corners: exactly the corners go, and whoever looks at an image sees the same."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.unit.export_example import example_card, example_network
from tests.unit.test_export import pictures
from workflow_scripts.cxrcam.export.graph import PixelsToMaps
from workflow_scripts.cxrcam.floors.features import corners
from workflow_scripts.cxrcam.images.blanking import blanked, corner_mask
from workflow_scripts.cxrcam.new_images.decoding import decoded_batches
from workflow_scripts.cxrcam.new_images.listing import list_new_images


def test_exactly_four_boxes_become_black():
    pixels = np.full((2, 40, 40), 7, np.uint8)
    pixels[1] = 200
    seen = blanked(pixels, "corners")
    black = np.zeros((40, 40), dtype=bool)
    for rows in (slice(0, 4), slice(36, 40)):
        for columns in (slice(0, 10), slice(30, 40)):
            black[rows, columns] = True
    np.testing.assert_array_equal(seen == 0, np.broadcast_to(black, seen.shape))
    np.testing.assert_array_equal(seen[:, ~black], pixels[:, ~black])
    assert (pixels > 0).all()  # what was given stays as it was


def test_nothing_is_blanked_unless_asked_for():
    pixels = np.full((1, 8, 8), 7, np.uint8)
    assert blanked(pixels, "none") is pixels


@pytest.mark.parametrize("size", [1, 3, 32, 99, 224])
def test_the_boxes_are_the_same_in_every_corner_of_every_size(size):
    mask = corner_mask(size)
    assert mask[0, 0] and mask.shape == (size, size)
    np.testing.assert_array_equal(mask, mask[::-1])
    np.testing.assert_array_equal(mask, mask[:, ::-1])


def test_blanking_twice_is_blanking_once():
    once = blanked(pictures(2, 50), "corners")
    np.testing.assert_array_equal(blanked(once, "corners"), once)


def test_the_floor_that_sees_the_corners_sees_nothing_any_more():
    for size in (32, 64, 224, 512):
        pixels = pictures(3, size)
        assert corners(pixels).any()
        assert not corners(blanked(pixels, "corners")).any()


def test_new_images_are_blanked_and_measured_as_they_were(tmp_path: Path):
    picture = pictures(1, 64)[0]
    Image.fromarray(picture).save(tmp_path / "new.png")
    images = list_new_images(str(tmp_path))
    of_kind = {
        blank: next(iter(decoded_batches(images, 64, "bilinear", 10**6, 1, "any", blank)))
        for blank in ("none", "corners")
    }
    np.testing.assert_array_equal(of_kind["none"].pixels[0], picture)
    np.testing.assert_array_equal(
        of_kind["corners"].pixels, blanked(of_kind["none"].pixels, "corners")
    )
    # Else a blank image would pass for one that shows something, by its black corners.
    assert of_kind["corners"].facts.equals(of_kind["none"].facts)


def test_an_exported_graph_blanks_by_itself():
    card, network = example_card("resnet18", 64), example_network("resnet18")
    pixels = pictures(2, 64)
    whole, black = (
        torch.from_numpy(seen)[:, None].float() for seen in (pixels, blanked(pixels, "corners"))
    )
    with torch.no_grad():
        plain = PixelsToMaps(network, card)
        expected, unblanked = plain(black), plain(whole)
        found = PixelsToMaps(network, card, "corners")(whole)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert not torch.equal(found[0], unblanked[0])
