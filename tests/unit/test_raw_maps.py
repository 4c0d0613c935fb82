"""Raw maps on disk, and laid over pictures."""

import numpy as np
import pytest

from workflow_scripts.cxrcam.maps.placement import place_map
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps, read_raw_maps, write_raw_maps

CLASSES = ["a", "b & c"]


def some_maps(n: int = 3) -> RawMaps:
    values = np.random.default_rng(0).normal(size=(n, 2, 4, 5)).astype(np.float32)
    return RawMaps(values, 129, 32, 15.5)


def test_maps_come_back_bit_for_bit_in_the_order_asked_for(tmp_path):
    maps = some_maps()
    write_raw_maps(tmp_path / "maps.parquet", ["x", "y", "z"], CLASSES, maps)
    found = read_raw_maps(tmp_path / "maps.parquet", ["z", "x"], CLASSES)
    assert (found.values == maps.values[[2, 0]]).all()
    assert (found.input_size, found.stride, found.offset) == (129, 32.0, 15.5)


def test_an_image_without_a_map_is_an_error(tmp_path):
    write_raw_maps(tmp_path / "maps.parquet", ["x", "y", "z"], CLASSES, some_maps())
    with pytest.raises(KeyError, match="nowhere"):
        read_raw_maps(tmp_path / "maps.parquet", ["nowhere"], CLASSES)


def test_each_image_shows_the_map_of_its_own_class():
    maps = some_maps(2)
    placed = maps.placed(np.array([1, 0]), 20)
    for row, which in enumerate([1, 0]):
        alone = place_map(maps.values[row, which], 20, input_size=129, stride=32, offset=15.5)
        assert np.allclose(placed[row], alone)


def test_some_of_the_images_keep_their_maps_and_places():
    maps = some_maps(3)
    some = maps.of_images([2, 0])
    assert (some.values == maps.values[[2, 0]]).all()
    placed = maps.placed(np.array([1, 0, 1]), 20)
    assert (some.placed(np.array([1, 1]), 20) == placed[[2, 0]]).all()
