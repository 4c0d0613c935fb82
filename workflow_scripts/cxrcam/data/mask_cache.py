"""Lung and lesion masks of a data set, read once and kept small: one bit a pixel."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.cxrcam.arrays import BoolArray
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.images.lesion_regions import LesionRegions
from workflow_scripts.cxrcam.images.limits import UnreadableImage
from workflow_scripts.cxrcam.images.masks import read_mask

MASK_SIDE = 128  # pixels; finer than any map, and 2 KiB a mask
KINDS = ("lung", "lesion")
IMAGES_AT_ONCE = 4096  # whose masks are packed and kept together: 16 MB

SCHEMA = pa.schema(
    [("image_id", pa.string())] + [(kind, pa.binary(MASK_SIDE**2 // 8)) for kind in KINDS]
)


def pack_masks(
    image_ids: Sequence[str],
    masks: Mapping[str, Sequence[str | LesionRegions | None]],
    max_pixels: int,
    threads: int,
) -> tuple[pa.Table, list[str]]:
    """Read the masks of many images.

    `masks` has the mask file of each of n images by kind (`KINDS`), or the regions to draw it from;
    None where there is neither.

    Returns
    -------
    table : pa.Table
        Columns of `SCHEMA`, one row an image that has a mask, null where a kind is missing.
    unreadable : list of str
        One line a mask that could not be read or drawn; it counts as missing.
    """
    unreadable = []

    def packed(image_id: str, given: str | LesionRegions | None, kind: str) -> bytes | str | None:
        if given is None:
            return None
        try:
            if isinstance(given, LesionRegions):
                mask = given.mask(MASK_SIDE, max_pixels)
            else:
                mask = read_mask(Path(given), MASK_SIDE, max_pixels)
        except (UnreadableImage, OSError) as error:
            return f"{given if isinstance(given, str) else image_id}: {error}"
        # Lesions may be absent; lungs are not, nor do they fill the image.
        if kind == "lung" and mask.all() == mask.any():
            return f"{given}: The lung mask is one grey throughout."
        return np.packbits(mask).tobytes()

    columns = {}
    with ThreadPoolExecutor(threads) as pool:
        for kind in KINDS:
            found = list(pool.map(packed, image_ids, masks[kind], repeat(kind)))
            unreadable += [entry for entry in found if isinstance(entry, str)]
            columns[kind] = [entry if isinstance(entry, bytes) else None for entry in found]
    rows = [k for k in range(len(image_ids)) if any(columns[kind][k] for kind in KINDS)]
    table = pa.table(
        {
            "image_id": [image_ids[k] for k in rows],
            **{kind: [columns[kind][k] for k in rows] for kind in KINDS},
        },
        schema=SCHEMA,
    )
    return table, unreadable


def write_masks(file: Path, tables: Iterable[pa.Table]) -> int:
    """Write packed masks, whole or not at all.

    The tables, as from `pack_masks`, become row groups. Made one at a time, `IMAGES_AT_ONCE` images
    each, a million masks need the memory of a few thousand.

    Returns
    -------
    int
        Number of images that have a mask.
    """
    rows = 0
    with atomic_path(file) as temporary, pq.ParquetWriter(temporary, SCHEMA) as writer:
        for table in tables:
            writer.write_table(table)
            rows += table.num_rows
    return rows


def masks_of(
    file: Path, image_ids: Sequence[str], kind: str, size: int = MASK_SIDE
) -> tuple[BoolArray, BoolArray]:
    """Masks of some images, in the order asked for.

    Parameters
    ----------
    file : Path
        As from `write_masks`.
    image_ids : sequence of str, length n
    kind : {"lung", "lesion"}
    size : int
        Pixels a side; nearest neighbour from the 128 that are kept.

    Returns
    -------
    has_mask : bool array, shape (n,)
    masks : bool array, shape (n, size, size)
        False throughout where there is no mask.
    """
    wanted = {name: row for row, name in enumerate(image_ids)}
    has_mask = np.zeros(len(image_ids), dtype=bool)
    masks = np.zeros((len(image_ids), size, size), dtype=bool)
    nearest = (np.arange(size) * MASK_SIDE + MASK_SIDE // 2) // size
    for names, packed in _row_groups(file, image_ids, kind):
        found = [
            (wanted[name], bits)
            for name, bits in zip(names, packed, strict=True)
            if name in wanted and bits is not None
        ]
        if found:
            rows = [row for row, _ in found]
            bits = np.frombuffer(b"".join(bits for _, bits in found), np.uint8)
            whole = np.unpackbits(bits).reshape(-1, MASK_SIDE, MASK_SIDE).astype(bool)
            has_mask[rows] = True
            masks[rows] = whole[:, nearest[:, None], nearest[None, :]]
    return has_mask, masks


def _row_groups(
    file: Path, image_ids: Sequence[str], kind: str
) -> Iterator[tuple[list[str], list[bytes | None]]]:
    """Names and packed masks of the row groups that may hold some of the images."""
    with pq.ParquetFile(file) as stored:
        for number in range(stored.num_row_groups if len(image_ids) else 0):
            held = stored.metadata.row_group(number).column(0).statistics
            if held is not None and held.has_min_max:
                if held.max < min(image_ids) or held.min > max(image_ids):
                    continue
            table = stored.read_row_group(number, columns=["image_id", kind])
            yield table["image_id"].to_pylist(), table[kind].to_pylist()
