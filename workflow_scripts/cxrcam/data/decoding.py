"""Decode each image once: its pixels, small and grey, and what is to be known of the file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from workflow_scripts.cxrcam.contracts import FACTS
from workflow_scripts.cxrcam.data.fingerprints import (
    REDUCING_GAP,
    THUMBNAIL_SIDE,
    ReducedImage,
    file_sha256,
    perceptual_fingerprints,
    pixel_sha256,
    reduced_image,
)
from workflow_scripts.cxrcam.images.files import read_encoded, read_grey
from workflow_scripts.cxrcam.images.limits import UnreadableImage
from workflow_scripts.cxrcam.images.resizing import Resampling, resize_grey
from workflow_scripts.cxrcam.workers import Workers

DECODED_SIDES = 2  # pixels decoded for each one kept, a side: Pillow's own choice for thumbnails
HASHED_SIDE = REDUCING_GAP * THUMBNAIL_SIDE  # that the fingerprints start from
FILES_AT_ONCE = 64  # their pixels, 3 MB at 224 px, stay near the processor until they are written


@dataclass(frozen=True)
class DecodedImage:
    """What one reading of an image file gives: its facts, and its pixels where it is readable.

    Attributes
    ----------
    facts : dict
        Columns of `contracts.FACTS`.
    pixels : uint8 array, shape (size, size), or None
    reduced : ReducedImage or None
        From which perceptual fingerprints are taken, of many images at once.
    """

    facts: dict[str, Any]
    pixels: npt.NDArray[np.uint8] | None = None
    reduced: ReducedImage | None = None


def least_decoded_side(size: int) -> int:
    """Pixels a side that a JPEG is not reduced below while it is decoded, for images of `size`."""
    return DECODED_SIDES * max(size, HASHED_SIDE)


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
        An unreadable image has a ``quarantine_reason`` and no pixels. Nothing is raised for a bad
        file.
    """
    image = _read_image(image_id, path, size, resampling, max_pixels, threads=1)
    _add_perceptual_fingerprints([image])
    return image


def _read_image(
    image_id: str, path: Path, size: int, resampling: Resampling, max_pixels: int, threads: int
) -> DecodedImage:
    """As `decode_image`, but for the perceptual fingerprints."""
    facts: dict[str, Any] = dict.fromkeys(FACTS.names)
    facts["image_id"] = image_id
    try:
        encoded = read_encoded(path, max_pixels)
        facts["file_sha256"] = file_sha256(encoded)
        image = read_grey(path, max_pixels, encoded, least_decoded_side(size), threads)
    except UnreadableImage as error:
        facts["quarantine_reason"] = str(error)
        return DecodedImage(facts)
    pixels = resize_grey(image.pixels, size, resampling)  # first: the image is still in the cache
    facts |= {
        "width": image.width,
        "height": image.height,
        "mode": image.mode,
        "pixel_sha256": pixel_sha256(image.pixels),
    }
    return DecodedImage(facts, pixels, reduced_image(image.pixels))


def _add_perceptual_fingerprints(images: Sequence[DecodedImage]) -> None:
    """Add difference hashes and thumbnails to the facts of the readable images."""
    readable = [(image.facts, image.reduced) for image in images if image.reduced is not None]
    dhashes, thumbnails = perceptual_fingerprints([reduced for _, reduced in readable])
    for (facts, _), dhash, thumbnail in zip(readable, dhashes, thumbnails, strict=True):
        facts |= {"dhash": dhash.tobytes(), "thumbnail": thumbnail.tobytes()}


def decoded_batches(
    files: Sequence[tuple[str, Path]],
    size: int,
    resampling: Resampling,
    max_pixels: int,
    threads: int,
) -> Iterator[tuple[pa.Table, list[str], npt.NDArray[np.uint8]]]:
    """Decode many images, `FILES_AT_ONCE` of them after the other; memory does not grow with them.

    Memory that a process has not touched before is dear: with all pixels of a shard in one array,
    a sixth of the time went there.

    Parameters
    ----------
    files : sequence of (image_id, path)
        In the order in which they are to be kept.
    size, resampling, max_pixels
        As in `decode_image`.
    threads : int
        Resizers and, where there are many threads, decoders release Python's lock, so threads are
        enough. The result does not depend on their number.

    Yields
    ------
    facts : pa.Table
        One row an image, schema `contracts.FACTS`.
    image_ids : list of str
        The readable ones.
    pixels : uint8 array, shape (readable images, size, size)
        Valid until the next batch is asked for, which takes its place in memory.
    """
    pixels = np.empty((min(FILES_AT_ONCE, len(files)), size, size), dtype=np.uint8)

    def decode(file: tuple[str, Path]) -> DecodedImage:
        return _read_image(*file, size, resampling, max_pixels, threads)

    with Workers(threads) as workers:
        decoded = workers.map(decode, files)
        for start in range(0, len(files), FILES_AT_ONCE):
            images = []
            readable: list[str] = []
            for image in islice(decoded, min(FILES_AT_ONCE, len(files) - start)):
                if image.pixels is not None:
                    pixels[len(readable)] = image.pixels
                    readable.append(image.facts["image_id"])
                images.append(replace(image, pixels=None))  # the next one takes their memory
            _add_perceptual_fingerprints(images)
            table = pa.Table.from_pylist([image.facts for image in images], schema=FACTS)
            yield table, readable, pixels[: len(readable)]


def decode_images(
    files: Sequence[tuple[str, Path]],
    size: int,
    resampling: Resampling,
    max_pixels: int,
    threads: int,
) -> tuple[pa.Table, list[str], npt.NDArray[np.uint8]]:
    """All that `decoded_batches` yields, at once; for as many images as memory holds.

    Returns
    -------
    facts : pa.Table
        One row an image, schema `contracts.FACTS`.
    image_ids : list of str
        The readable ones.
    pixels : uint8 array, shape (readable images, size, size)
    """
    pixels = np.empty((len(files), size, size), dtype=np.uint8)
    facts = [FACTS.empty_table()]
    readable: list[str] = []
    for some_facts, names, some_pixels in decoded_batches(
        files, size, resampling, max_pixels, threads
    ):
        pixels[len(readable) : len(readable) + len(names)] = some_pixels
        facts.append(some_facts)
        readable += names
    return pa.concat_tables(facts), readable, pixels[: len(readable)]
