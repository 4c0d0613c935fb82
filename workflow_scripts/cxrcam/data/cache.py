"""Decode each image once; keep its pixels, small and grey, in Parquet shards.

Pixels are stored as uint8, one channel, never normalised: float32 in three channels would be twelve
times the bytes, and normalising on the device costs nothing. Fixed-size binary without compression
is read at the speed of memory.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.cxrcam.contracts import FACTS, cache_schema
from workflow_scripts.cxrcam.data.fingerprints import (
    file_sha256,
    perceptual_fingerprints,
    pixel_sha256,
)
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.images.files import read_grey
from workflow_scripts.cxrcam.images.limits import UnreadableImage
from workflow_scripts.cxrcam.images.resizing import Resampling, resize_grey


class CacheError(InputError):
    """A cache shard lacks an image or was made for another image size."""


@dataclass(frozen=True)
class DecodedImage:
    """What one reading of an image file gives: its facts, and its pixels where it is readable."""

    facts: dict[str, Any]
    pixels: npt.NDArray[np.uint8] | None


def decode_image(
    image_id: str, path: Path, size: int, resampling: Resampling, max_pixels: int
) -> DecodedImage:
    """Read one image file once: checksums, fingerprints and resized pixels.

    Parameters
    ----------
    image_id : str
        Name under which it is kept.
    path : Path
        Image file.
    size : int
        Pixels a side of the result.
    resampling : {"bilinear", "lanczos", "bicubic", "box"}
        Filter, see `images.resize_grey`.
    max_pixels : int
        Larger images are not decoded.

    Returns
    -------
    DecodedImage
        ``facts`` has the columns of `contracts.FACTS`; an unreadable image has a
        ``quarantine_reason`` and no pixels. Nothing is raised for a bad file.
    """
    facts: dict[str, Any] = dict.fromkeys(FACTS.names)
    facts["image_id"] = image_id
    try:
        encoded = path.read_bytes()
    except OSError as error:
        facts["quarantine_reason"] = f"cannot be opened: {error.strerror}"
        return DecodedImage(facts, None)
    facts["file_sha256"] = file_sha256(encoded)
    try:
        image = read_grey(path, max_pixels, encoded=encoded)
    except UnreadableImage as error:
        facts["quarantine_reason"] = str(error)
        return DecodedImage(facts, None)
    dhash, thumbnail = perceptual_fingerprints(image.pixels)
    facts |= {
        "width": image.width,
        "height": image.height,
        "mode": image.mode,
        "pixel_sha256": pixel_sha256(image.pixels),
        "dhash": dhash,
        "thumbnail": thumbnail.tobytes(),
    }
    return DecodedImage(facts, resize_grey(image.pixels, size, resampling))


def decode_images(
    files: Sequence[tuple[str, Path]],
    size: int,
    resampling: Resampling,
    max_pixels: int,
    threads: int,
) -> tuple[pa.Table, list[str], npt.NDArray[np.uint8]]:
    """Decode many images; the result does not depend on the number of threads.

    Parameters
    ----------
    files : sequence of (image_id, path)
        In the order in which they are to be kept.
    size, resampling, max_pixels
        As in `decode_image`.
    threads : int
        Decoders and resizers release Python's lock, so threads are enough.

    Returns
    -------
    facts : pa.Table
        One row an image, schema `contracts.FACTS`.
    image_ids : list of str
        The readable ones.
    pixels : uint8 array, shape (readable images, size, size)
    """
    pixels = np.empty((len(files), size, size), dtype=np.uint8)
    facts: list[dict[str, Any]] = []
    readable: list[str] = []
    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        decoded = pool.map(
            lambda item: decode_image(item[0], item[1], size, resampling, max_pixels), files
        )
        for (image_id, _), image in zip(files, decoded, strict=True):
            facts.append(image.facts)
            if image.pixels is not None:
                pixels[len(readable)] = image.pixels
                readable.append(image_id)
    return pa.Table.from_pylist(facts, schema=FACTS), readable, pixels[: len(readable)]


def write_shard(
    path: Path,
    image_ids: Sequence[str],
    pixels: npt.NDArray[np.uint8],
    metadata: Mapping[str, str],
) -> None:
    """Write one cache shard, whole or not at all.

    Parameters
    ----------
    path : Path
        Parquet file.
    image_ids : sequence of str
        Names, in the order of `pixels`.
    pixels : uint8 array, shape (n, size, size)
    metadata : mapping of str to str
        Goes into the schema metadata: size, filter, mean, std, source fingerprint.
    """
    n, size, _ = pixels.shape
    buffer = pa.py_buffer(np.ascontiguousarray(pixels).reshape(-1))
    column = pa.FixedSizeBinaryArray.from_buffers(pa.binary(size * size), n, [None, buffer])
    schema = cache_schema(size).with_metadata({k: str(v) for k, v in sorted(metadata.items())})
    table = pa.Table.from_arrays([pa.array(list(image_ids), pa.string()), column], schema=schema)
    with atomic_path(path) as temporary:
        pq.write_table(
            table,
            temporary,
            compression="none",
            use_dictionary=False,
            write_statistics=False,
        )


def read_pixels(
    shards: Sequence[Path], image_ids: Sequence[str], size: int
) -> npt.NDArray[np.uint8]:
    """Pixels of some images, in the order asked for, whatever shards they lie in.

    Parameters
    ----------
    shards : sequence of Path
        All cache shards of the data set.
    image_ids : sequence of str
        Images wanted.
    size : int
        Pixels a side that the shards must have.

    Returns
    -------
    uint8 array, shape (len(image_ids), size, size)

    Raises
    ------
    CacheError
        A shard of another image size, or an image that no shard has.
    """
    wanted = {image_id: row for row, image_id in enumerate(image_ids)}
    pixels = np.empty((len(image_ids), size, size), dtype=np.uint8)
    found = np.zeros(len(image_ids), dtype=bool)
    for shard in shards:
        table = pq.read_table(shard, memory_map=True)
        stored = table.schema.field("pixels").type.byte_width
        if stored != size * size:
            raise CacheError(
                f"The cache file {shard} holds images of {stored} bytes, not {size} × {size}: "
                "delete it, and the next run makes it anew."
            )
        for batch in table.to_batches():
            names = batch.column("image_id").to_pylist()
            array = batch.column("pixels")
            rows = np.frombuffer(array.buffers()[1], dtype=np.uint8).reshape(-1, size, size)
            rows = rows[array.offset : array.offset + len(array)]
            pairs = [(wanted[name], k) for k, name in enumerate(names) if name in wanted]
            if pairs:
                target, origin = np.array(pairs).T
                pixels[target] = rows[origin]
                found[target] = True
    if not found.all():
        missing = [image_ids[k] for k in np.flatnonzero(~found)[:3]]
        raise CacheError(
            f"{int((~found).sum())} of {len(image_ids)} images are in no cache file, for example "
            f"{', '.join(missing)}: delete the data set's cache folder, and run again."
        )
    return pixels
