"""Pixels as they stream out of the cache. Apart, so that floors do not hang on how it is read."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from workflow_scripts.cxrcam.arrays import BoolArray, Int64Array, UInt8Array
from workflow_scripts.cxrcam.data.cache import row_parts
from workflow_scripts.cxrcam.data.pixel_stream import PixelStream


def cached_pixels(shards: Sequence[Path], image_ids: Sequence[str], size: int) -> PixelStream:
    """Pixels of some images as they lie in the cache, `cache.ROWS_AT_ONCE` at a time.

    Parameters
    ----------
    shards : sequence of Path
    image_ids : sequence of str, length n
    size : int
        Pixels a side that the shards must have.
    """

    def parts(wanted: BoolArray) -> Iterator[tuple[Int64Array, UInt8Array]]:
        positions = np.flatnonzero(wanted)
        names = [image_ids[k] for k in positions.tolist()]
        for to, rows in row_parts(shards, names, "pixels", size**2):
            yield positions[to], rows.reshape(-1, size, size)

    return parts
