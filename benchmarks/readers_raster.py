"""Raster files for `benchmarks.readers`: every kind that the tests know, and one of each format."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from benchmarks.readers_case import Case
from tests.unit.raster_kinds import all_kinds
from workflow_scripts.cxrcam.images.files import read_grey
from workflow_scripts.cxrcam.phantom.dataset import draw_phantom, phantom_rng
from workflow_scripts.cxrcam.phantom.traits import PhantomSettings

MOST_PIXELS = 10**8
SIDE = 1024  # of the X-ray whose reading is timed, in pixels


def cases() -> Iterator[Case]:
    """Each kind of file, and what is right."""
    for name, kind in all_kinds().items():
        refused = isinstance(kind.wanted, str)
        yield Case(
            *("raster", name, lambda content=kind.content: content),
            pixels=None if refused else kind.wanted,
            words=kind.wanted if refused else None,
            near=kind.near,
            on_average=True,
            file_name="image",
        )


def speeds(seconds: Callable[[Callable[[], object]], float]) -> Iterator[tuple[str, float, float]]:
    """Seconds of our reader and of the bare library."""
    grey = draw_phantom("Normal", phantom_rng(0, "Normal", 1), PhantomSettings(size=SIDE)).image
    for name, content in files_of(grey).items():
        ours = seconds(lambda content=content: read_grey(Path("image"), MOST_PIXELS, content))
        yield name, ours, seconds(lambda content=content: bare(content))


def bare(content: bytes) -> np.ndarray:
    """Nothing but the library: Pillow, or tifffile for TIFF."""
    if content[:2] in (b"II", b"MM"):
        return tifffile.imread(io.BytesIO(content))
    with Image.open(io.BytesIO(content)) as image:
        return np.array(image if image.mode.startswith("I") else image.convert("L"))


def files_of(grey: np.ndarray) -> dict[str, bytes]:
    """One file of each format."""
    image = Image.fromarray(grey)
    deep = grey.astype(np.uint16) * 16
    files: dict[str, bytes] = {}

    def add(name: str, kind: str, picture: Image.Image, **options: object) -> None:
        stream = io.BytesIO()
        picture.save(stream, kind, **options)
        files[name] = stream.getvalue()

    def add_tiff(name: str, values: np.ndarray, **options: object) -> None:
        stream = io.BytesIO()
        tifffile.imwrite(stream, values, **options)
        files[name] = stream.getvalue()

    add("PNG", "PNG", image)
    add("PNG, 16 bits", "PNG", Image.fromarray(deep))
    add("PNG, RGB", "PNG", image.convert("RGB"))
    add("JPEG", "JPEG", image, quality=90)
    add("JPEG, RGB", "JPEG", image.convert("RGB"), quality=90)
    add("JPEG, progressive", "JPEG", image, quality=90, progressive=True)
    add("BMP", "BMP", image)
    add("WebP", "WEBP", image.convert("RGB"), lossless=True)
    add("GIF", "GIF", image)
    add("PGM", "PPM", image)
    add("JPEG 2000", "JPEG2000", image)
    add_tiff("TIFF", grey)
    add_tiff("TIFF, 16 bits", deep)
    add_tiff("TIFF, 16 bits, LZW", deep, compression="lzw")
    add_tiff("TIFF, float, deflate, big-endian", deep / 7, compression="zlib", byteorder=">")
    add_tiff("TIFF, JPEG", grey, compression="jpeg")
    return files
