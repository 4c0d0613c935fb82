"""Lung masks: what is inside, before and after resizing."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workflow_scripts.cxrcam.images.limits import UnreadableImage
from workflow_scripts.cxrcam.images.masks import read_mask

MAX_PIXELS = 1_000_000


def mask_file(folder: Path, values: np.ndarray) -> Path:
    path = folder / "mask.png"
    Image.fromarray(values).convert("RGB").save(path)  # the database ships colour masks
    return path


def test_mask_is_inside_above_127(tmp_path):
    values = np.full((20, 20), 127, np.uint8)
    values[:, 10:] = 128
    assert np.array_equal(read_mask(mask_file(tmp_path, values), None, MAX_PIXELS), values == 128)


def test_resized_mask_is_inside_where_half_of_the_area_is(tmp_path):
    values = np.zeros((32, 32), np.uint8)
    values[:, :9] = 255  # of output column 4, covering columns 8 and 9, exactly half
    inside = read_mask(mask_file(tmp_path, values), 16, MAX_PIXELS)
    assert inside.dtype == bool and inside[:, :5].all() and not inside[:, 5:].any()


def test_mask_of_zeros_and_ones_is_refused_rather_than_empty(tmp_path):
    values = np.zeros((20, 20), np.uint8)
    assert not read_mask(mask_file(tmp_path, values), None, MAX_PIXELS).any()
    values[5, 5] = 1
    with pytest.raises(UnreadableImage, match="largest value is 1"):
        read_mask(mask_file(tmp_path, values), None, MAX_PIXELS)
