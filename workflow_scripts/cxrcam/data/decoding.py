"""Decode each image once: its pixels, small and grey, and what is to be known of the file."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from workflow_scripts.cxrcam.arrays import UInt8Array
from workflow_scripts.cxrcam.contracts import FACTS, THUMBNAIL_SIDE
from workflow_scripts.cxrcam.data.fingerprints import (
    REDUCING_GAP,
    pixel_sha256,
    thumbnail,
)
from workflow_scripts.cxrcam.data.pseudonyms import dicom_facts
from workflow_scripts.cxrcam.images.dicom_tags import Accept
from workflow_scripts.cxrcam.images.files import read_encoded, read_grey
from workflow_scripts.cxrcam.images.keypoints import SIDES, keypoints
from workflow_scripts.cxrcam.images.limits import UnreadableImage
from workflow_scripts.cxrcam.images.resizing import Resampling, resize_grey
from workflow_scripts.cxrcam.workers import Workers

DECODED_SIDES = 2  # pixels decoded for each one kept, a side: Pillow's own choice for thumbnails
# That the thumbnail and the keypoints start from.
FINGERPRINTED_SIDE = max(REDUCING_GAP * THUMBNAIL_SIDE, *SIDES)
BLANK = "The image is of one grey level throughout: it shows nothing."
FILES_AT_ONCE = 64  # their pixels take 3 MB at 224 px


def least_decoded_side(size: int) -> int:
    """Pixels a side that a JPEG is not reduced below while it is decoded, for images of `size`."""
    return DECODED_SIDES * max(size, FINGERPRINTED_SIDE)


def decode_image(
    image_id: str,
    path: Path,
    size: int,
    resampling: Resampling,
    max_pixels: int,
    accept: Accept = "any",
    key: bytes | None = None,
) -> tuple[dict[str, Any], UInt8Array | None]:
    """Read one image file once: checksums, fingerprints and resized pixels.

    Parameters
    ----------
    image_id : str
        Name under which it is kept.
    path : Path
    size : int
        Pixels a side of the result.
    resampling : {"bilinear", "lanczos", "bicubic", "box"}
        Filter, see `images.resize_grey`.
    max_pixels : int
        Larger images are not decoded.
    accept : {"any", "frontal_chest"}
        The second sets DICOM files apart that say of themselves that they show something else.
    key : bytes, optional
        Key of the hashes of patients and institutions, see `data.pseudonyms`.

    Returns
    -------
    facts : dict
        Columns of `contracts.FACTS`; a bad file has a ``quarantine_reason``, nothing is raised.
    pixels : uint8 array, shape (size, size), or None
        None for a bad file.
    """
    facts: dict[str, Any] = dict.fromkeys(FACTS.names)
    facts["image_id"] = image_id
    try:
        encoded = read_encoded(path, max_pixels)
        facts["file_sha256"] = hashlib.sha256(encoded).hexdigest()
        image = read_grey(path, max_pixels, encoded, least_decoded_side(size), accept)
        if image.pixels.min() == image.pixels.max():
            raise UnreadableImage(BLANK)
    except UnreadableImage as error:
        facts["quarantine_reason"] = str(error)
        return facts, None
    found = keypoints(image.pixels)
    facts |= {
        "width": image.width,
        "height": image.height,
        "mode": image.mode,
        "colourfulness": image.colourfulness,
        "pixel_sha256": pixel_sha256(image.pixels),
        "thumbnail": thumbnail(image.pixels).tobytes(),
        "words": found.words.tobytes(),
        "points": found.points.tobytes(),
        **dicom_facts(image.tags, image.notes, key),
    }
    return facts, resize_grey(image.pixels, size, resampling)


def decoded_batches(
    files: Sequence[tuple[str, Path]],
    size: int,
    resampling: Resampling,
    max_pixels: int,
    threads: int,
    accept: Accept = "any",
    key: bytes | None = None,
) -> Iterator[tuple[pa.Table, list[str], UInt8Array]]:
    """Decode many images, `FILES_AT_ONCE` of them after the other; memory does not grow with them.

    Parameters
    ----------
    files : sequence of (image_id, path)
        In the order in which they are to be kept.
    size, resampling, max_pixels, accept, key
        As in `decode_image`.
    threads : int
        Pillow releases Python's lock while it decodes and resizes, so threads are enough. The
        result does not depend on their number.

    Yields
    ------
    facts : pa.Table
        One row an image, schema `contracts.FACTS`.
    image_ids : list of str
        The readable ones.
    pixels : uint8 array, shape (readable images, size, size)
    """

    def decode(file: tuple[str, Path]) -> tuple[dict[str, Any], UInt8Array | None]:
        image_id, path = file
        return decode_image(image_id, path, size, resampling, max_pixels, accept, key)

    with Workers(threads) as workers:
        decoded = workers.map(decode, files)
        while images := list(islice(decoded, FILES_AT_ONCE)):
            facts = pa.Table.from_pylist([facts for facts, _ in images], schema=FACTS)
            names = [facts["image_id"] for facts, pixels in images if pixels is not None]
            readable = [pixels for _, pixels in images if pixels is not None]
            yield facts, names, np.array(readable, dtype=np.uint8).reshape(-1, size, size)


def decode_images(
    files: Sequence[tuple[str, Path]],
    size: int,
    resampling: Resampling,
    max_pixels: int,
    threads: int,
    accept: Accept = "any",
) -> tuple[pa.Table, list[str], UInt8Array]:
    """All that `decoded_batches` yields, at once; for as many images as memory holds."""
    facts = [FACTS.empty_table()]
    readable: list[str] = []
    pixels = [np.empty((0, size, size), dtype=np.uint8)]
    for some_facts, names, some_pixels in decoded_batches(
        files, size, resampling, max_pixels, threads, accept
    ):
        facts.append(some_facts)
        readable += names
        pixels.append(some_pixels)
    return pa.concat_tables(facts), readable, np.concatenate(pixels)
