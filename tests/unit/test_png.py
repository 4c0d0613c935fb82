"""PNG files that are damaged or lack a part are refused, however the damage is hidden."""

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.unit.pictures import assert_plain, encoded, picture, png_chunk, read, reason
from workflow_scripts.cxrcam.images.limits import UnreadableImage
from workflow_scripts.cxrcam.images.png import INTERLACED_PASSES, PNG_SIGNATURE

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
END = png_chunk(b"IEND", b"")


def header(width: int, height: int, depth: int = 8, colour: int = GREY, interlaced: int = 0):
    return png_chunk(
        b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    )


def noise(height: int = 20, width: int = 24) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)


def filtered(rows: np.ndarray, *filters: int) -> bytes:
    """Rows as a PNG holds them: each with the number of its filter, here of bytes as they come."""
    kinds = np.resize(np.array(filters or [0], np.uint8), (len(rows), 1))
    return np.hstack([kinds, rows]).tobytes()


def file_of(head: bytes, rows: bytes, *extra: bytes) -> bytes:
    return b"".join([PNG_SIGNATURE, head, *extra, png_chunk(b"IDAT", zlib.compress(rows)), END])


def interlaced_rows(pixels: np.ndarray) -> list[bytes]:
    return [
        b"\0" + row.tobytes()
        for column, first, across, down in INTERLACED_PASSES
        for row in pixels[first::down, column::across]
    ]


# --- whole files ----------------------------------------------------------------------------------


def test_rows_in_several_chunks_and_what_follows_the_end():
    rows = zlib.compress(filtered(noise()))
    pieces = [png_chunk(b"IDAT", rows[k : k + 100]) for k in range(0, len(rows), 100)]
    assert len(pieces) > 2
    content = b"".join([PNG_SIGNATURE, header(24, 20), *pieces, END, b"trailing"])
    assert np.array_equal(read(content).pixels, noise())


@pytest.mark.parametrize("size", [(16, 16), (17, 23), (33, 19)])
def test_interlaced_files_are_whole(size: tuple[int, int]):
    rows = b"".join(interlaced_rows(noise(*size)))
    content = file_of(header(*size[::-1], interlaced=1), rows)
    assert np.array_equal(read(content).pixels, noise(*size))


def test_bytes_after_the_last_row_are_no_harm():
    content = file_of(header(24, 20), filtered(noise(21)))
    assert np.array_equal(read(content).pixels, noise(21)[:20])


# --- rows that are missing ------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [1, 2, 19])
def test_a_grey_file_without_its_last_rows_is_refused(missing: int):
    content = file_of(header(24, 20), filtered(noise(20 - missing)))
    assert "cut off" in reason(content)


@pytest.mark.parametrize(
    ("depth", "colour", "row"),
    [
        *((1, GREY, 3), (2, GREY, 5), (4, GREY, 9), (16, GREY, 34), (8, RGB, 51), (16, RGB, 102)),
        *((8, PALETTE, 17), (4, PALETTE, 9), (8, GREY_ALPHA, 34), (8, RGBA, 68), (16, RGBA, 136)),
    ],
)
def test_a_row_is_missed_in_files_of_every_kind(depth: int, colour: int, row: int):
    """17 pixels wide: rows of less than 8 bits a pixel end within a byte."""
    palette = [png_chunk(b"PLTE", bytes(range(48)))] if colour == PALETTE else []
    rows = noise(20, row)
    if colour == PALETTE:
        rows &= 0x01
    head = header(17, 20, depth, colour)
    assert read(file_of(head, filtered(rows), *palette)).height == 20
    assert "cut off" in reason(file_of(head, filtered(rows[:-1]), *palette))


@pytest.mark.parametrize("missing", [1, 10, 200])
def test_an_interlaced_file_without_its_last_rows_is_refused(missing: int):
    """Narrow and high: the passes have many more rows, and so bytes, than the image."""
    rows = interlaced_rows(noise(200, 16))
    assert "cut off" in reason(file_of(header(16, 200, interlaced=1), b"".join(rows[:-missing])))


# --- other damage ---------------------------------------------------------------------------------

ROWS = zlib.compress(filtered(noise(), 0, 4))
WHOLE = PNG_SIGNATURE + header(24, 20) + png_chunk(b"IDAT", ROWS) + END
BROKEN = {
    "no end": (WHOLE[: -len(END)], "cut off"),
    "half an end": (WHOLE[:-6], "cut off"),
    "half the rows": (WHOLE[: len(WHOLE) // 2], "cut off"),
    "no rows": (PNG_SIGNATURE + header(24, 20) + END, ""),
    "a wrong checksum": (WHOLE.replace(ROWS, ROWS[:-1] + bytes([ROWS[-1] ^ 1])), "checksum"),
    "its stream is cut off": (
        PNG_SIGNATURE + header(24, 20) + png_chunk(b"IDAT", ROWS[:-9]) + END,
        "cut off",
    ),
    "no stream": (PNG_SIGNATURE + header(24, 20) + png_chunk(b"IDAT", b"abcd") + END, "damaged"),
    "no header": (PNG_SIGNATURE + png_chunk(b"IDAT", ROWS) + END, ""),
    "a short header": (
        PNG_SIGNATURE + png_chunk(b"IHDR", bytes(12)) + png_chunk(b"IDAT", ROWS) + END,
        "",
    ),
    "a filter that does not exist": (file_of(header(24, 20), filtered(noise(), 5)), "damaged"),
    "rows in two places": (
        PNG_SIGNATURE
        + header(24, 20)
        + png_chunk(b"IDAT", ROWS[:50])
        + png_chunk(b"gAMA", struct.pack(">I", 45455))
        + png_chunk(b"IDAT", ROWS[50:])
        + END,
        "cut off",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_in_words(name: str):
    content, words = BROKEN[name]
    assert words in reason(content)


def test_the_file_that_the_broken_ones_are_made_of_is_sound():
    assert read(WHOLE).mode == "L"


def test_a_stream_that_never_ends_is_not_inflated(tmp_path: Path):
    bomb = zlib.compress(bytes(500_000_000))
    file = tmp_path / "x.png"
    file.write_bytes(PNG_SIGNATURE + header(24, 20) + png_chunk(b"IDAT", bomb) + END)
    # In a process of its own, as only the largest memory that a process ever had is known.
    read_it = (
        "import resource, sys; from pathlib import Path\n"
        "from workflow_scripts.cxrcam.images.files import read_grey\n"
        "used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = used(); read_grey(Path(sys.argv[1]), 10**6); print(used() - before)"
    )
    added = subprocess.run([sys.executable, "-c", read_it, file], check=True, capture_output=True)
    assert int(added.stdout) < 20_000  # KiB


@given(st.integers(8, 3000), st.integers(0, 255))
def test_no_byte_of_a_file_can_be_changed_unnoticed(place: int, value: int):
    """Whatever is read of a damaged file are the pixels that were in it."""
    pixels = picture()
    content = bytearray(encoded(Image.fromarray(pixels)))
    content[place % len(content)] = value
    try:
        found = read(bytes(content)).pixels
    except UnreadableImage as error:
        assert_plain(str(error))
    else:
        assert np.array_equal(found, pixels)
