"""Pictures in every file format, and what comes out when they are read."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workflow_scripts.cxrcam.images.files import GreyImage, read_grey
from workflow_scripts.cxrcam.images.limits import UnreadableImage

MAX_PIXELS = 1_000_000
NOWHERE = Path("does-not-exist.png")

LIBRARY_WORDS = ("PIL", "Pillow", "pydicom", "zlib", "struct", "Error", "Traceback", "numpy", "0x")


def picture(height: int = 40, width: int = 60) -> np.ndarray:
    """A smooth picture with some noise: neither flat nor incompressible."""
    y, x = np.mgrid[:height, :width]
    smooth = 120 + 80 * np.sin(x / 9) * np.cos(y / 7)
    return (smooth + np.random.default_rng(7).normal(0, 6, smooth.shape)).clip(0, 255).astype("u1")


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def read(content: bytes, path: Path = NOWHERE, max_pixels: int = MAX_PIXELS) -> GreyImage:
    return read_grey(path, max_pixels, content)


def reason(content: bytes, path: Path = NOWHERE, max_pixels: int = MAX_PIXELS) -> str:
    with pytest.raises(UnreadableImage) as caught:
        read(content, path, max_pixels)
    assert_plain(str(caught.value))
    return str(caught.value)


def assert_plain(sentence: str) -> None:
    assert sentence.endswith(".") and sentence[0].isupper() and "\n" not in sentence
    assert not any(word in sentence for word in LIBRARY_WORDS), sentence


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
