"""Lung and lesion masks of a data set, read once and kept small: one bit a pixel."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.images.limits import UnreadableImage
from workflow_scripts.cxrcam.images.masks import read_mask

MASK_SIDE = 128  # pixels; finer than any map, and 2 KiB a mask
KINDS = ("lung", "lesion")

SCHEMA = pa.schema(
    [("image_id", pa.string())] + [(kind, pa.binary(MASK_SIDE**2 // 8)) for kind in KINDS]
)


def pack_masks(
    image_ids: Sequence[str],
    paths: Mapping[str, Sequence[str | None]],
    max_pixels: int,
    threads: int,
) -> tuple[pa.Table, list[str]]:
    """Read the masks of many images.

    Parameters
    ----------
    image_ids : sequence of str, length n
    paths : mapping of str to sequence of str or None
        Mask file of each image by kind (`KINDS`), None where there is none.
    max_pixels : int
        As for `masks.read_mask`.
    threads : int

    Returns
    -------
    table : pa.Table
        Columns of `SCHEMA`, one row an image that has a mask, null where a kind is missing.
    unreadable : list of str
        One line a mask that could not be read; it counts as missing.
    """
    unreadable = []

    def packed(path: str | None) -> bytes | str | None:
        if path is None:
            return None
        try:
            return np.packbits(read_mask(Path(path), MASK_SIDE, max_pixels)).tobytes()
        except (UnreadableImage, OSError) as error:
            return f"{path}: {error}"

    columns = {}
    with ThreadPoolExecutor(threads) as pool:
        for kind in KINDS:
            found = list(pool.map(packed, paths[kind]))
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


def write_masks(file: Path, table: pa.Table) -> None:
    """Write packed masks, whole or not at all."""
    with atomic_path(file) as temporary:
        pq.write_table(table, temporary)


def masks_of(
    file: Path, image_ids: Sequence[str], kind: str, size: int = MASK_SIDE
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
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
    table = pq.read_table(file, columns=["image_id", kind])
    row_of = {name: row for row, name in enumerate(table["image_id"].to_pylist())}
    packed = table[kind].to_pylist()
    chosen = [packed[row_of[name]] if name in row_of else None for name in image_ids]
    has_mask = np.array([entry is not None for entry in chosen], dtype=bool)
    masks = np.zeros((len(chosen), size, size), dtype=bool)
    if has_mask.any():
        bits = np.frombuffer(b"".join(entry for entry in chosen if entry is not None), np.uint8)
        whole = np.unpackbits(bits).reshape(-1, MASK_SIDE, MASK_SIDE).astype(bool)
        nearest = (np.arange(size) * MASK_SIDE + MASK_SIDE // 2) // size
        masks[has_mask] = whole[:, nearest[:, None], nearest[None, :]]
    return has_mask, masks
