"""Stored fingerprints: of the readable images only, in the order of their names."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.cxrcam.contracts import FACTS, POINTS_BYTES, THUMBNAIL_SIDE, WORDS_BYTES
from workflow_scripts.cxrcam.duplicates.stored import stored_fingerprints
from workflow_scripts.cxrcam.images.keypoints import MOST_KEYPOINTS, WORDS


def fact(name: str, grey: int, reason: str | None = None) -> dict:
    row = dict.fromkeys(FACTS.names) | {"image_id": name, "quarantine_reason": reason}
    if reason is None:
        row |= {"pixel_sha256": f"sha-{grey}", "words": bytes([grey]) * WORDS_BYTES}
        row["points"] = bytes([grey, 0]) * (POINTS_BYTES // 2)
        row["thumbnail"] = bytes([grey, 0]) * (THUMBNAIL_SIDE**2 // 2)
    return row


def stored(folder: Path, *shards: list[dict]) -> list[Path]:
    files = [folder / f"shard-{number}.parquet" for number in range(len(shards))]
    for file, rows in zip(files, shards, strict=True):
        pq.write_table(pa.Table.from_pylist(rows, schema=FACTS), file)
    return files


def test_readable_images_come_in_the_order_of_their_names(tmp_path):
    shards = [fact("c", 3), fact("b", 0, "cannot be opened")], [], [fact("a", 1)]
    found = stored_fingerprints(stored(tmp_path, *shards))
    assert found.image_ids == ["a", "c"]
    assert found.pixel_sha256 == ["sha-1", "sha-3"]
    words, points = found.keypoints
    assert words.shape == (2, MOST_KEYPOINTS, WORDS) and points.shape == (2, MOST_KEYPOINTS, 2)
    assert (words[0] == 0x01010101).all() and (words[1] == 0x03030303).all()
    assert (points[0] == 1).all() and (points[1] == 3).all()
    assert found.thumbnails.shape == (2, THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    assert found.thumbnails[1, 0, 0] == 3


def test_a_data_set_without_a_readable_image_is_empty(tmp_path):
    found = stored_fingerprints(stored(tmp_path, [fact("a", 0, "cannot be opened")]))
    assert found.image_ids == []
    assert found.thumbnails.shape == (0, THUMBNAIL_SIDE, THUMBNAIL_SIDE)
