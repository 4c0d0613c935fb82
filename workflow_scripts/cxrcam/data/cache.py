"""Pixels of images, small and grey, in Parquet shards.

Pixels are stored as uint8, one channel, never normalised: float32 in three channels would be twelve
times the bytes, and normalising on the device costs nothing. Fixed-size binary without compression
is read at the speed of memory.

Checksums are XXH3's, ten times as fast as Parquet's own (CRC-32) and as SHA-256: they tell damage
and change, and are no seal against forgery.
"""

import json
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from workflow_scripts.cxrcam.arrays import Int64Array, UInt8Array
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.workers import slices

ROWS_AT_ONCE = 64  # a row group: what is written, read and checked at once, 3 MB at 224 px
CHECKSUMS = b"checksums"  # key of a file's metadata: of each column, one a row group


class CacheError(InputError):
    """A cache shard lacks an image or was made for another image size."""


class _Damaged(Exception):
    """What a shard holds is not what was written."""


WriteRows = Callable[[Sequence[str], Mapping[str, UInt8Array]], None]
WriteImages = Callable[[Sequence[str], UInt8Array], None]


@contextmanager
def rows_writer(
    path: Path, widths: Mapping[str, int], metadata: Mapping[str, object]
) -> Iterator[WriteRows]:
    """Write rows of bytes as fixed-size binary with checksums; the file is whole or not there.

    Metadata has the checksums as well, of names and bytes together: see `_checksum`.

    Parameters
    ----------
    path : Path
        Parquet file.
    widths : mapping of str to int
        Columns, and how many bytes a row of each has.
    metadata : mapping of str to object
        Goes into the metadata of the file when it is complete: values may be added until then.

    Yields
    ------
    callable
        Takes the names of some rows, and for each column a uint8 array, shape (rows, width). What
        it was given may be overwritten afterwards.
    """
    kinds = {name: pa.binary(width) for name, width in widths.items()}
    schema = pa.schema([("image_id", pa.string()), *kinds.items()])
    checksums: dict[str, list[str]] = {name: [] for name in widths}
    with (
        atomic_path(path) as temporary,
        pq.ParquetWriter(
            temporary,
            schema,
            compression="none",
            use_dictionary=False,
            write_statistics=False,
            # Types are clear without it, and it would hide the metadata that are added at the end.
            store_schema=False,
        ) as file,
    ):

        def write(image_ids: Sequence[str], columns: Mapping[str, UInt8Array]) -> None:
            flat = {name: np.ascontiguousarray(columns[name]) for name in kinds}
            for rows in slices(len(image_ids), ROWS_AT_ONCE):
                some = list(image_ids[rows])
                arrays = [pa.array(some, pa.string())]
                for name, kind in kinds.items():
                    content = flat[name][rows].reshape(-1)
                    buffers = [None, pa.py_buffer(content)]
                    arrays.append(pa.FixedSizeBinaryArray.from_buffers(kind, len(some), buffers))
                    checksums[name].append(_checksum(some, content))
                file.write_table(pa.Table.from_arrays(arrays, schema=schema))

        yield write
        about = {key: str(metadata[key]) for key in sorted(metadata)}
        file.add_key_value_metadata({**about, CHECKSUMS.decode(): json.dumps(checksums)})


def _checksum(image_ids: Sequence[str], rows: UInt8Array) -> str:
    """128-bit XXH3 of the names and one column of a row group, hexadecimal."""
    digest = xxhash.xxh3_128("\x1f".join(image_ids).encode())
    digest.update(rows.data)
    return str(digest.hexdigest())


def _row_groups(path: Path, column: str, width: int) -> Iterator[tuple[list[str], UInt8Array]]:
    """Names and rows of one column of a file by `rows_writer`, their checksums verified."""
    with pq.ParquetFile(path) as file:
        stored = file.schema_arrow.field(column).type.byte_width
        if stored != width:
            raise CacheError(
                f"The cache file {path} holds {stored} bytes an image in {column}, not {width}: "
                "delete it, and the next run makes it anew."
            )
        about = file.schema_arrow.metadata or {}
        if CHECKSUMS not in about:
            raise _Damaged("it has no checksums")
        checksums = json.loads(about[CHECKSUMS])[column]
        for number in range(file.num_row_groups):
            group = file.read_row_group(number, columns=["image_id", column])
            names = group["image_id"].to_pylist()
            rows = _bytes_of(group[column], width)
            if _checksum(names, rows) != checksums[number]:
                raise _Damaged(f"a checksum of row group {number} does not match")
            yield names, rows.reshape(-1, width)


def _bytes_of(column: pa.ChunkedArray, width: int) -> UInt8Array:
    """Bytes of one row group's fixed-size binary, not copied and without a Python object a row."""
    (array,) = column.chunks  # Arrow reads a row group in one piece
    content = np.frombuffer(array.buffers()[1], np.uint8)
    return content[array.offset * width :][: len(array) * width]


def read_rows(
    shards: Sequence[Path],
    image_ids: Sequence[str],
    column: str,
    width: int,
    target: UInt8Array | None = None,
) -> UInt8Array:
    """Rows of bytes of some images, in the order asked for, whatever shards they lie in.

    Parameters
    ----------
    shards : sequence of Path
        All shards of the data set; each thread holds `ROWS_AT_ONCE` rows of one in memory.
    image_ids : sequence of str
        Images wanted.
    width : int
        Bytes a row that the shards must have.
    target : uint8 array, shape (len(image_ids), width), optional
        Filled and returned, for example a file mapped into memory.

    Raises
    ------
    CacheError
        A shard that is damaged or has rows of another width, or an image that no shard has.
    """
    result = np.empty((len(image_ids), width), dtype=np.uint8) if target is None else target
    wanted = _places(image_ids)

    def copy(shard: Path) -> list[Int64Array]:
        filled = []
        for to, rows in _wanted_rows(shard, wanted, column, width):
            result[to] = rows
            filled.append(to)
        return filled

    # Checksums and copies release Python's lock. As many threads as the job has: Snakemake says it
    # in OMP_NUM_THREADS, which Arrow obeys.
    with ThreadPoolExecutor(pa.cpu_count()) as pool:
        _check_found(image_ids, [to for filled in pool.map(copy, shards) for to in filled])
    return result


def row_parts(
    shards: Sequence[Path], image_ids: Sequence[str], column: str, width: int
) -> Iterator[tuple[Int64Array, UInt8Array]]:
    """Rows of bytes of some images in the order in which they are stored, some hundred at a time.

    Parameters and errors are those of `read_rows`.

    Yields
    ------
    positions : int64 array, shape (k,)
        Which of `image_ids` these are.
    rows : uint8 array, shape (k, width)
    """
    wanted = _places(image_ids)
    found = []
    for shard in shards:
        for to, rows in _wanted_rows(shard, wanted, column, width):
            found.append(to)
            yield to, rows
    _check_found(image_ids, found)


def _places(image_ids: Sequence[str]) -> dict[str, int]:
    return {image_id: row for row, image_id in enumerate(image_ids)}


def _wanted_rows(
    shard: Path, wanted: Mapping[str, int], column: str, width: int
) -> Iterator[tuple[Int64Array, UInt8Array]]:
    """Rows of the wanted images that one shard has, and their places."""
    try:
        for names, rows in _row_groups(shard, column, width):
            to = np.array([wanted.get(name, -1) for name in names])
            if (to >= 0).all():
                yield to, rows
            elif (to >= 0).any():
                yield to[to >= 0], rows[to >= 0]
    except (OSError, pa.ArrowException, LookupError, TypeError, ValueError, _Damaged) as error:
        raise CacheError(
            f"The cache file {shard} is damaged ({error}): delete it, and the next run makes it "
            "anew."
        ) from error


def _check_found(image_ids: Sequence[str], found: Sequence[Int64Array]) -> None:
    """Raise a `CacheError` where an image is at none of the places that were found."""
    lacking = np.ones(len(image_ids), dtype=bool)
    for places in found:
        lacking[places] = False
    if lacking.any():
        missing = [image_ids[k] for k in np.flatnonzero(lacking)[:3]]
        raise CacheError(
            f"{int(lacking.sum())} of {len(image_ids)} images are in no cache file, for example "
            f"{', '.join(missing)}: delete the data set's cache folder, and run again."
        )


def content_fingerprint(image_ids: Sequence[str], pixels: UInt8Array) -> str:
    """Hash of the names and pixels of a shard: of the images themselves, not of times of files.

    It is the sum of a hash an image, so that shards can be added up (`joined_fingerprint`) to one
    number for all images, however they were divided.

    Parameters
    ----------
    image_ids : sequence of str, length n
    pixels : uint8 array, shape (n, size, size)

    Returns
    -------
    str
        Sum of 128-bit XXH3 modulo 2¹²⁸, hexadecimal.
    """
    hashes = (
        xxhash.xxh3_128_hexdigest(image_id.encode() + b"\x1f" + np.ascontiguousarray(picture).data)
        for image_id, picture in zip(image_ids, pixels, strict=True)
    )
    return joined_fingerprint(hashes)


def joined_fingerprint(fingerprints: Iterable[str]) -> str:
    """Fingerprint of the images of all shards, from that of each (`content_fingerprint`)."""
    return f"{sum(int(each, 16) for each in fingerprints) % 2**128:032x}"


@contextmanager
def shard_writer(path: Path, size: int, metadata: Mapping[str, object]) -> Iterator[WriteImages]:
    """Write one shard of pixels, uint8 and row by row, some images after the other.

    Parameters
    ----------
    path : Path
        Parquet file.
    size : int
        Pixels a side.
    metadata : mapping of str to object
        Size, filter, mean, std. ``content_fingerprint`` is added.

    Yields
    ------
    callable
        Takes names, and pixels of shape (n, size, size).
    """
    about = dict(metadata)
    fingerprints = []
    with rows_writer(path, {"pixels": size * size}, about) as write_rows:

        def write(image_ids: Sequence[str], pixels: UInt8Array) -> None:
            fingerprints.append(content_fingerprint(image_ids, pixels))
            write_rows(image_ids, {"pixels": pixels.reshape(-1, size * size)})

        yield write
        about["content_fingerprint"] = joined_fingerprint(fingerprints)


def read_pixels(
    shards: Sequence[Path],
    image_ids: Sequence[str],
    size: int,
    target: UInt8Array | None = None,
) -> UInt8Array:
    """Pixels of some images, in the order asked for, whatever shards they lie in.

    As `read_rows`, with `size` pixels a side; a `target` has the shape (n, size · size).

    Returns
    -------
    uint8 array, shape (len(image_ids), size, size)
    """
    rows = read_rows(shards, image_ids, "pixels", size * size, target)
    return rows.reshape(len(image_ids), size, size)


def cached_size(shards: Sequence[Path]) -> int:
    """Pixels a side of the images of some shards, as the first one says.

    Raises
    ------
    CacheError
        It is damaged.
    """
    try:
        return math.isqrt(pq.read_schema(shards[0]).field("pixels").type.byte_width)
    except (OSError, pa.ArrowException, LookupError) as error:
        raise CacheError(
            f"The cache file {shards[0]} is damaged ({error}): delete it, and the next run makes "
            "it anew."
        ) from error


def read_pixels_within(
    shards: Sequence[Path], image_ids: Sequence[str], size: int, memory_mb: float
) -> UInt8Array:
    """As `read_pixels`, but in a file mapped into memory where the pixels exceed `memory_mb`.

    The file lies in the system's folder for temporary files and has no name there, so that it is
    gone with the process, however that ends. Rows are then read from the disk as they are asked
    for: any order is as good as any other, and the memory that it takes can be taken back.
    """
    if len(image_ids) * size**2 <= memory_mb * 2**20:
        return read_pixels(shards, image_ids, size)
    with tempfile.TemporaryFile(prefix="cxrcam-pixels-") as file:
        # The mapping keeps the file's space after it was closed.
        mapped = np.memmap(file, np.uint8, "w+", shape=(len(image_ids), size * size))
    return read_pixels(shards, image_ids, size, mapped)
