"""Lesions told as boxes or run-length codes, drawn as masks."""

import json

import numpy as np
import pytest

from workflow_scripts.cxrcam.images.lesion_regions import LesionRegions, lesion_regions_of
from workflow_scripts.cxrcam.images.limits import UnreadableImage

LIMIT = 10**8


def drawn(width: int, height: int, size: int = 64, **told: object) -> np.ndarray:
    return LesionRegions(json.dumps(told), width, height).mask(size, LIMIT)


def test_boxes_are_told_from_the_left_upper_corner_and_joined():
    boxes = [["Mass", 0, 16, 32, 16], ["Nodule", 48, 48, 16, 16]]
    expected = np.zeros((64, 64), dtype=bool)
    expected[16:32, :32] = expected[48:, 48:] = True
    assert (drawn(64, 64, frame=None, boxes=boxes) == expected).all()


def test_boxes_are_stretched_as_images_are():
    # Twice as wide as high, and told in the image's own pixels.
    mask = drawn(256, 128, frame=None, boxes=[["Mass", 128, 0, 128, 64]])
    assert mask[:32, 32:].all() and mask.sum() == 32 * 32


def test_a_frame_of_its_own_does_not_depend_on_the_size_of_the_file():
    told = {"frame": [1024, 1024], "boxes": [["Mass", 512, 0, 512, 1024]]}
    assert (drawn(224, 224, **told) == drawn(1024, 1024, **told)).all()
    assert drawn(224, 224, **told)[:, 32:].all()


def test_runs_are_gaps_and_lengths_down_the_columns():
    # Mask of 32 x 16 pixels (width x height): two pixels of the first column, three of the second.
    mask = drawn(32, 16, size=32, frame=[32, 16], runs=["3 2 11 3"])
    expected = np.zeros((16, 32), dtype=bool)
    expected[3:5, 0] = expected[0:3, 1] = True
    assert (mask == expected.repeat(2, axis=0)).all()


def test_several_codes_of_an_image_are_joined():
    mask = drawn(16, 16, size=16, frame=[16, 16], runs=["0 1", "255 1"])
    assert mask[0, 0] and mask[-1, -1] and mask.sum() == 2


def test_a_box_a_little_over_the_edge_is_cut_off_and_one_far_out_is_refused():
    mask = drawn(100, 100, frame=None, boxes=[["Mass", -3, 50, 103, 53]])
    assert mask[32:].all() and not mask[:32].any()
    with pytest.raises(UnreadableImage, match=r"'Mass' .*left 300.*100 x 100 pixels.*resized"):
        drawn(100, 100, frame=None, boxes=[["Mass", 300, 50, 20, 20]])


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        "{}",
        '{"frame": null}',
        '{"frame": [64], "boxes": []}',
        '{"frame": null, "boxes": [["Mass", 1, 2, 3]]}',
        '{"frame": null, "boxes": [["Mass", 1, 2, 3, "x"]]}',
        '{"frame": null, "boxes": [["Mass", 1, 2, NaN, 4]]}',
        '{"frame": null, "boxes": [["Mass", 1, 2, Infinity, 4]]}',
        '{"frame": [64, 64], "runs": ["1 2 3"]}',
        '{"frame": [64, 64], "runs": ["1 x"]}',
        '{"frame": [64, 64], "runs": ["-1 5"]}',
        '{"frame": [64, 64], "runs": ["4000 500"]}',
        '{"frame": [1000000, 1000000], "runs": ["1 1"]}',
    ],
)
def test_what_cannot_be_drawn_is_refused(text):
    with pytest.raises(UnreadableImage):
        LesionRegions(text, 64, 64).mask(32, LIMIT)


@pytest.mark.parametrize("text", [None, "", float("nan")])
def test_an_image_may_have_none(text):
    assert lesion_regions_of({"width": 64, "height": 64, "lesion_regions": text}) is None
    assert lesion_regions_of({"width": 64, "height": 64}) is None
