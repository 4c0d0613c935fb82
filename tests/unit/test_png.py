"""The quick way for plain grey PNGs gives what Pillow gives, pixels or fault."""

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from tests.unit.pictures import MAX_PIXELS, encoded, picture, png_chunk
from workflow_scripts.cxrcam.images import png, raster
from workflow_scripts.cxrcam.images.files import read_grey
from workflow_scripts.cxrcam.images.limits import UnreadableImage
from workflow_scripts.cxrcam.images.png import PNG_SIGNATURE, plain_grey_image

END = png_chunk(b"IEND", b"")


def header(width: int, height: int, *form: int) -> bytes:
    return png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, *(form or png.PLAIN_HEADER)))


def compressed(rows: np.ndarray, filters: list[int]) -> bytes:
    """Rows as a PNG holds them: each with the number of its filter, here of bytes as they come."""
    kinds = np.resize(np.array(filters, np.uint8), (len(rows), 1))
    return zlib.compress(np.hstack([kinds, rows]).tobytes())


def file_of(rows: np.ndarray, filters: list[int], *extra: bytes) -> bytes:
    height, width = rows.shape
    data = png_chunk(b"IDAT", compressed(rows, filters))
    return b"".join([PNG_SIGNATURE, header(width, height), *extra, data, END])


def noise(height: int = 20, width: int = 24, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def outcome(content: bytes, threads: int = 1) -> object:
    """Pixels, mode and size; or the reason why not."""
    try:
        image = read_grey(Path("x.png"), MAX_PIXELS, content, threads=threads)
    except UnreadableImage as error:
        return error.reason
    return image.pixels.tobytes(), image.pixels.shape, image.mode, (image.width, image.height)


def pillows(monkeypatch: pytest.MonkeyPatch, content: bytes) -> object:
    with monkeypatch.context() as patch:
        patch.setattr(raster, "plain_grey_image", lambda *_: None)
        return outcome(content)


def is_plain(content: bytes) -> bool:
    return plain_grey_image(content, MAX_PIXELS) is not None


# --- plain files ----------------------------------------------------------------------------------


def test_what_pillow_writes_is_plain_and_has_its_pixels():
    content = encoded(Image.fromarray(picture()))
    pixels = plain_grey_image(content, MAX_PIXELS)
    assert pixels is not None and pixels.flags.c_contiguous and pixels.dtype == np.uint8
    assert np.array_equal(pixels, picture())


@given(
    st.integers(16, 70), st.integers(16, 70), st.lists(st.integers(0, 4), min_size=1, max_size=7)
)
def test_every_filter_is_taken_off_as_pillow_does(height: int, width: int, filters: list[int]):
    content = file_of(noise(height, width), filters)
    assert is_plain(content)
    with pytest.MonkeyPatch.context() as patch:
        assert outcome(content) == pillows(patch, content)


@pytest.mark.parametrize("height, width", [(300, 400), (257, 254), (255, 256), (1000, 16)])
def test_larger_images_and_odd_sides(monkeypatch: pytest.MonkeyPatch, height: int, width: int):
    content = file_of(noise(height, width), [4, 1, 2])
    assert is_plain(content)
    assert outcome(content) == pillows(monkeypatch, content)


def test_neutral_blocks_and_rows_in_several_chunks(monkeypatch: pytest.MonkeyPatch):
    rows = compressed(noise(), [0, 4])
    pieces = [png_chunk(b"IDAT", rows[k : k + 100]) for k in range(0, len(rows), 100)]
    neutral = [png_chunk(kind, bytes(n)) for kind, n in png.NEUTRAL_CHUNKS.items()]
    content = b"".join([PNG_SIGNATURE, header(24, 20), *neutral, *pieces, END])
    assert len(pieces) > 2 and is_plain(content)
    assert outcome(content) == pillows(monkeypatch, content)


def test_what_follows_the_end_is_ignored():
    assert is_plain(file_of(noise(), [1]) + b"trailing")


# --- all others are Pillow's ----------------------------------------------------------------------


def with_orientation() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(Image.fromarray(picture()), exif=exif)


def with_text() -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "an X-ray")
    return encoded(Image.fromarray(picture()), pnginfo=text)


GREY = Image.fromarray(picture())
ROWS = compressed(noise(), [0, 4])
NOT_PLAIN = {
    "JPEG": encoded(GREY, "JPEG"),
    "colour": encoded(GREY.convert("RGB")),
    "16 bits": encoded(Image.fromarray(picture().astype(np.uint16) * 100)),
    "1 bit": encoded(GREY.convert("1")),
    "grey and alpha": encoded(GREY.convert("LA")),
    "palette": encoded(GREY.convert("P")),
    "a transparent grey": encoded(GREY, transparency=7),
    "on its side": with_orientation(),
    "text": with_text(),
    "too small": file_of(noise(15, 40), [0]),
    "too large": file_of(noise(1001, 1000), [0]),
    "a filter that does not exist": file_of(noise(), [0, 5]),
    "a row missing": PNG_SIGNATURE + header(24, 21) + png_chunk(b"IDAT", ROWS) + END,
    "a row too many": PNG_SIGNATURE + header(24, 19) + png_chunk(b"IDAT", ROWS) + END,
    "bytes behind its stream": PNG_SIGNATURE
    + header(24, 20)
    + png_chunk(b"IDAT", ROWS + b"x")
    + END,
    "a wrong sum of its rows": (
        PNG_SIGNATURE + header(24, 20) + png_chunk(b"IDAT", ROWS[:-1] + b"\0") + END
    ),
    "its stream is cut off": PNG_SIGNATURE + header(24, 20) + png_chunk(b"IDAT", ROWS[:-9]) + END,
    "no rows": PNG_SIGNATURE + header(24, 20) + END,
    "no end": file_of(noise(), [0])[: -len(END)],
    "no header": PNG_SIGNATURE + png_chunk(b"IDAT", ROWS) + END,
    "two headers": PNG_SIGNATURE + 2 * header(24, 20) + png_chunk(b"IDAT", ROWS) + END,
    "a short header": (
        PNG_SIGNATURE + png_chunk(b"IHDR", bytes(12)) + png_chunk(b"IDAT", ROWS) + END
    ),
    "a neutral block that is too short": file_of(noise(), [0], png_chunk(b"pHYs", bytes(8))),
    "a neutral block with a wrong sum": file_of(
        noise(), [0], png_chunk(b"gAMA", b"abcd")[:-1] + b"?"
    ),
    "an unknown block": file_of(noise(), [0], png_chunk(b"xxXx", b"abcd")),
    "rows in two places": b"".join(
        [
            *(PNG_SIGNATURE, header(24, 20), png_chunk(b"IDAT", ROWS[:50])),
            *(png_chunk(b"gAMA", bytes(4)), png_chunk(b"IDAT", ROWS[50:]), END),
        ]
    ),
    "interlaced": PNG_SIGNATURE + header(24, 20, 8, 0, 0, 0, 1) + png_chunk(b"IDAT", ROWS) + END,
    "another compression": (
        PNG_SIGNATURE + header(24, 20, 8, 0, 1, 0, 0) + png_chunk(b"IDAT", ROWS) + END
    ),
    "nothing": b"",
}


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_what_is_not_plain_or_not_sound_is_left_to_pillow(name: str):
    assert not is_plain(NOT_PLAIN[name])


def test_large_images_are_left_to_pillow(monkeypatch: pytest.MonkeyPatch):
    content = file_of(noise(), [4])
    monkeypatch.setattr(png, "MAXIMUM_PLAIN_PIXELS", 20 * 24)
    assert is_plain(content)
    monkeypatch.setattr(png, "MAXIMUM_PLAIN_PIXELS", 20 * 24 - 1)
    assert not is_plain(content)
    assert outcome(content) == pillows(monkeypatch, content)


def test_many_threads_leave_all_to_pillow(monkeypatch: pytest.MonkeyPatch):
    content = file_of(noise(), [4])
    quick = outcome(content)

    def unwanted(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(raster, "plain_grey_image", unwanted)
    assert outcome(content, threads=raster.QUICK_THREADS + 1) == quick
    assert outcome(content, threads=raster.QUICK_THREADS) != quick


def test_a_stream_that_never_ends_is_not_inflated(tmp_path: Path):
    bomb = zlib.compress(bytes(500_000_000))
    file = tmp_path / "x.png"
    file.write_bytes(PNG_SIGNATURE + header(24, 20) + png_chunk(b"IDAT", bomb) + END)
    # In a process of its own, as only the largest memory that a process ever had is known.
    read = (
        "import resource, sys; from pathlib import Path\n"
        "from workflow_scripts.cxrcam.images.files import read_grey\n"
        "used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = used(); read_grey(Path(sys.argv[1]), 10**6); print(used() - before)"
    )
    added = subprocess.run([sys.executable, "-c", read, file], check=True, capture_output=True)
    assert int(added.stdout) < 20_000  # KiB


def sound_again(content: bytes) -> bytes:
    """The same chunks with checksums that match: damage that only the pixels' decoder can see."""
    position, pieces = len(PNG_SIGNATURE), [content[: len(PNG_SIGNATURE)]]
    while position + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, position)
        if position + 12 + length > len(content):
            break
        pieces.append(
            png_chunk(content[position + 4 : position + 8], content[position + 8 :][:length])
        )
        position += 12 + length
    return b"".join([*pieces, content[position:]])


@given(st.integers(8, 700), st.integers(0, 255), st.booleans())
def test_a_damaged_file_comes_out_as_with_pillow_alone(place: int, value: int, mended: bool):
    content = bytearray(file_of(noise(), [4, 0, 3], png_chunk(b"gAMA", bytes(4))))
    content[place % len(content)] = value
    damaged = sound_again(bytes(content)) if mended else bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        assert outcome(damaged) == pillows(patch, damaged)
