"""What is computed of pixels does not depend on how they are divided into shards."""

from pathlib import Path

import numpy as np
import pytest

from tests.shards import write_shard
from workflow_scripts.cxrcam.audit.acquisition import grey_level_features, spectrum_features
from workflow_scripts.cxrcam.data import cache
from workflow_scripts.cxrcam.data.cached_pixels import cached_pixels
from workflow_scripts.cxrcam.data.pixel_stream import at_most, stream_features
from workflow_scripts.cxrcam.floors.features import FEATURES
from workflow_scripts.cxrcam.floors.floors import FLOORS, floor_predictions

SIZE, N = 35, 61  # odd, so that vectors and blocks have ends
NAMES = [f"{k:02d}" for k in range(N)]
PIXELS = np.random.default_rng(0).integers(0, 256, (N, SIZE, SIZE), dtype=np.uint8)
PIXELS[::2, :20] //= 2
FUNCTIONS = {"grey_levels": grey_level_features, "spectrum": spectrum_features, **FEATURES}


def shards(folder: Path, count: int) -> list[Path]:
    """Cache files in which the images lie in another order."""
    order = np.random.default_rng(count).permutation(N)
    files = [folder / f"{count}-{number}.parquet" for number in range(count)]
    for file, rows in zip(files, np.array_split(order, count), strict=True):
        write_shard(file, [NAMES[k] for k in rows], PIXELS[rows], {})
    return files


@pytest.mark.parametrize("name", FUNCTIONS)
def test_features_are_the_same_bytes_from_one_shard_and_from_many(tmp_path, name):
    wanted = np.arange(N) % 5 != 0
    expected = FUNCTIONS[name](PIXELS[wanted])
    for count in (1, 8, N):
        parts = cached_pixels(shards(tmp_path, count), NAMES, SIZE)
        found = stream_features(parts, wanted, {name: FUNCTIONS[name]})[name]
        assert found.dtype == expected.dtype
        assert found.tobytes() == expected.tobytes(), f"{count} shards"


def test_floors_are_the_same_bytes_from_one_shard_and_from_many(tmp_path):
    labels, test = np.arange(N) % 2, np.arange(N) >= 40
    found = [
        floor_predictions(
            cached_pixels(shards(tmp_path, count), NAMES, SIZE),
            *(labels, ~test, test, 2),
            dict.fromkeys(FLOORS, np.random.SeedSequence(0)),
        )
        for count in (1, 8)
    ]
    for name in FLOORS:
        assert found[0][name].tobytes() == found[1][name].tobytes(), name


def test_no_more_than_a_part_of_the_images_is_held_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "ROWS_AT_ONCE", 10)
    parts = cached_pixels(shards(tmp_path, 2), NAMES, SIZE)
    sizes = [len(pixels) for _, pixels in parts(np.ones(N, bool))]
    assert max(sizes) == 10 and sum(sizes) == N


def test_of_too_many_images_some_are_drawn_the_same_each_time():
    wanted = np.arange(100) % 2 == 0
    drawn = [at_most(wanted, 20, np.random.default_rng(1)) for _ in range(2)]
    assert drawn[0].sum() == 20 and not (drawn[0] & ~wanted).any()
    assert np.array_equal(*drawn)
    assert np.array_equal(at_most(wanted, 50, np.random.default_rng(1)), wanted)
