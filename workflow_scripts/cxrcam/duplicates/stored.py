"""Fingerprints of images as the cache jobs stored them, ready to be searched for copies."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workflow_scripts.cxrcam.arrays import UInt8Array
from workflow_scripts.cxrcam.contracts import POINTS_BYTES, THUMBNAIL_SIDE, WORDS_BYTES
from workflow_scripts.cxrcam.images.keypoints import MOST_KEYPOINTS, WORDS, Keypoints


class Fingerprints(NamedTuple):
    """Of n images, in the order of their names.

    Attributes
    ----------
    image_ids, pixel_sha256 : list of str, length n
    keypoints : Keypoints
        Shapes (n, keypoints, words) and (n, keypoints, 2).
    thumbnails : uint8 array, shape (n, 32, 32)
    """

    image_ids: list[str]
    pixel_sha256: list[str]
    keypoints: Keypoints
    thumbnails: UInt8Array


def stored_fingerprints(files: Sequence[str | Path]) -> Fingerprints:
    """Fingerprints of the readable images of some shards.

    Parameters
    ----------
    files : sequence of path
        Parquet files with the schema `contracts.FACTS`. One at a time is held in memory, beside
        the result, which takes 6 KiB an image.
    """
    names = ["image_id", "pixel_sha256", "quarantine_reason"]
    facts = pa.concat_tables([pq.read_table(file, columns=names) for file in files])
    order = pc.sort_indices(facts["image_id"]).to_numpy()
    order = order[facts["quarantine_reason"].is_null().to_numpy()[order]]
    place = np.full(len(facts), -1, dtype=np.int64)
    place[order] = np.arange(len(order))
    widths = {"words": WORDS_BYTES, "points": POINTS_BYTES, "thumbnail": THUMBNAIL_SIDE**2}
    columns = {name: np.empty((len(order), width), np.uint8) for name, width in widths.items()}
    start = 0
    for file in files:
        shard = pq.read_table(file, columns=list(widths))
        to = place[start : start + len(shard)]
        start += len(shard)
        for name, width in widths.items():
            columns[name][to[to >= 0]] = _bytes_of(shard[name], width)[to >= 0]
    ordered = facts.take(pa.array(order))
    return Fingerprints(
        ordered["image_id"].to_pylist(),
        ordered["pixel_sha256"].to_pylist(),
        Keypoints(
            columns["words"].view(np.uint32).reshape(-1, MOST_KEYPOINTS, WORDS),
            columns["points"].view(np.uint16).reshape(-1, MOST_KEYPOINTS, 2),
        ),
        columns["thumbnail"].reshape(-1, THUMBNAIL_SIDE, THUMBNAIL_SIDE),
    )


def stored_thumbnails(files: Sequence[str | Path], image_ids: Sequence[str]) -> UInt8Array:
    """Thumbnails of some images, uint8 of shape (n, 32, 32); nothing else of them is read."""
    row_of = {image_id: row for row, image_id in enumerate(image_ids)}
    result = np.empty((len(image_ids), THUMBNAIL_SIDE**2), np.uint8)
    for file in files:
        shard = pq.read_table(file, columns=["image_id", "thumbnail"])
        names = shard["image_id"].to_pylist()
        to = np.array([row_of.get(name, -1) for name in names], dtype=np.int64)
        result[to[to >= 0]] = _bytes_of(shard["thumbnail"], THUMBNAIL_SIDE**2)[to >= 0]
    return result.reshape(-1, THUMBNAIL_SIDE, THUMBNAIL_SIDE)


def _bytes_of(column: pa.ChunkedArray, width: int) -> UInt8Array:
    """Rows of a column of fixed-size binary, shape (n, width), without a Python object a row."""
    parts = [
        np.frombuffer(chunk.buffers()[1], np.uint8).reshape(-1, width)[chunk.offset :][: len(chunk)]
        for chunk in column.chunks
        if len(chunk)
    ]
    return np.concatenate([np.empty((0, width), np.uint8), *parts])
