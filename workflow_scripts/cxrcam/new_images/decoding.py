"""New images, decoded by the code of the cache, some while the network works on those before."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from workflow_scripts.cxrcam.arrays import UInt8Array
from workflow_scripts.cxrcam.data.decoding import decode_images
from workflow_scripts.cxrcam.images.blanking import blanked
from workflow_scripts.cxrcam.images.dicom_tags import Accept
from workflow_scripts.cxrcam.images.drawn_mark import MARK_END, has_drawn_mark
from workflow_scripts.cxrcam.images.resizing import Resampling
from workflow_scripts.cxrcam.new_images.listing import NewImage

AT_ONCE = 128  # images: few enough that the first ones are soon there


@dataclass(frozen=True)
class Batch:
    """Some decoded images.

    Attributes
    ----------
    facts : pa.Table
        One row a file, schema `contracts.FACTS`, with ``path``, ``contrast``, the standard
        deviation of the resized grey levels (0 to 127.5), and ``is_drawn``: the file is a phantom.
    pixels : uint8 array, shape (readable images, size, size)
        In the order of the readable rows.
    """

    facts: pa.Table
    pixels: UInt8Array


def decoded_batches(
    images: Sequence[NewImage],
    size: int,
    resampling: Resampling,
    max_pixels: int,
    threads: int,
    accept: Accept = "any",
    blank: str = "none",
) -> Iterator[Batch]:
    """Decode images ahead of whoever asks for them.

    Parameters
    ----------
    images : sequence of NewImage
    size, resampling, max_pixels, threads, accept
        As in `data.decoding.decode_images`.
    blank : {"none", "corners"}
        What is then blanked, see `images.blanking.blanked`; facts are those of the whole image.

    Yields
    ------
    Batch
        In the order of the images; unreadable ones have a ``quarantine_reason``.
    """
    parts = [images[start : start + AT_ONCE] for start in range(0, len(images), AT_ONCE)]
    settings = size, resampling, max_pixels, threads, accept, blank
    with ThreadPoolExecutor(max_workers=1) as ahead:
        waiting = None
        for part in [*parts, None]:
            following = None if part is None else ahead.submit(_decoded, part, *settings)
            if waiting is not None:
                yield waiting.result()
            waiting = following


def _decoded(
    images: Sequence[NewImage],
    size: int,
    resampling: Resampling,
    max_pixels: int,
    threads: int,
    accept: Accept,
    blank: str,
) -> Batch:
    files = [(image.image_id, Path(image.path)) for image in images]
    facts, _, pixels = decode_images(files, size, resampling, max_pixels, threads, accept)
    readable = np.array([reason is None for reason in facts["quarantine_reason"].to_pylist()])
    contrast = np.zeros(len(images))
    contrast[readable] = pixels.std(axis=(1, 2)) if len(pixels) else 0.0
    # Names that no table takes are kept as bytes: the file is opened once more when it is drawn.
    paths = [bytes(path) for _, path in files]
    facts = facts.append_column("path", pa.array(paths, pa.binary()))
    facts = facts.append_column("contrast", pa.array(contrast, pa.float64()))
    drawn = [ok and _is_drawn(path) for ok, (_, path) in zip(readable, files, strict=True)]
    facts = facts.append_column("is_drawn", pa.array(drawn, pa.bool_()))
    return Batch(facts, blanked(pixels, blank))


def _is_drawn(path: Path) -> bool:
    """Whether a file is a phantom; one that is gone by now is none."""
    try:
        with path.open("rb") as file:
            return has_drawn_mark(file.read(MARK_END))
    except OSError:
        return False
