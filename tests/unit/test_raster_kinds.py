"""Every kind of raster file is read right, or refused for its true reason."""

import io
import subprocess
import sys
import zlib

import imagecodecs
import numpy as np
import pytest
import simplejpeg
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.unit.pictures import (
    MAX_PIXELS,
    NOWHERE,
    assert_plain,
    encoded,
    picture,
    png_chunk,
    read,
    reason,
)
from tests.unit.raster_kinds import (
    RGB,
    all_kinds,
    broken,
    jpeg_file,
    packed,
    png_file,
    rounded,
    stretched,
    tiff_file,
    without,
)
from workflow_scripts.cxrcam.images.files import read_grey
from workflow_scripts.cxrcam.images.jpeg import check_jpeg
from workflow_scripts.cxrcam.images.limits import UnreadableImage

KINDS = all_kinds()
DAMAGE = ("damaged", "cut off", "lost", "missing", "checksum")
GOOD_BUT_NOT_READ = (
    *("TIFF: complex numbers", "TIFF: CIELAB", "TIFF: compressed as JBIG", "TIFF: old JPEG"),
    *("TIFF: several pages", "TIFF: 8 x 40", "JPEG: of 12 bits", "JPEG: lossless"),
    *("JPEG: hierarchical", "PNG: 16-bit RGB, one colour transparent", "BMP of 4, 4 and 4 bits"),
)


@pytest.mark.parametrize(
    "name", [name for name, kind in KINDS.items() if not isinstance(kind.wanted, str)]
)
def test_a_kind_that_is_read_has_its_grey_levels(name):
    kind = KINDS[name]
    image = read(kind.content)
    assert image.pixels.dtype == np.uint8 and image.pixels.flags.c_contiguous
    assert (image.height, image.width) == image.pixels.shape == kind.wanted.shape
    difference = np.abs(image.pixels.astype(int) - kind.wanted)
    assert difference.mean() <= kind.near and (kind.near or not difference.any())


@pytest.mark.parametrize(
    "name", [name for name, kind in KINDS.items() if isinstance(kind.wanted, str)]
)
def test_a_kind_that_is_refused_says_why(name):
    said = reason(KINDS[name].content)
    assert KINDS[name].wanted in said


@pytest.mark.parametrize("name", GOOD_BUT_NOT_READ)
def test_a_good_file_of_a_kind_that_is_not_read_is_not_called_damaged(name):
    assert not any(word in reason(KINDS[name].content) for word in DAMAGE)


# --- TIFF -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", ["lzw", "zlib", "packbits", "zstd"])
@pytest.mark.parametrize("number", ["u1", "u2", "i2", "u4", "f4"])
def test_compressed_tiff_of_any_byte_order(order, compression, number):
    values = picture().astype(number)
    stream = io.BytesIO()
    predictor = compression != "packbits"
    tifffile.imwrite(stream, values, byteorder=order, compression=compression, predictor=predictor)
    wanted = values if number == "u1" else stretched(values)
    assert np.array_equal(read(stream.getvalue()).pixels, wanted)


def test_tiff_in_tiles_and_in_many_strips():
    grey = picture(100, 130)
    for options in ({"tile": (32, 48)}, {"rowsperstrip": 7}):
        stream = io.BytesIO()
        tifffile.imwrite(stream, grey, compression="zlib", **options)
        assert np.array_equal(read(stream.getvalue()).pixels, grey)


@pytest.mark.parametrize("colour", [False, True])
def test_jpeg_in_tiff_is_read_and_refused_where_it_lost_data(colour):
    grey = picture(128, 160)
    values = np.dstack([grey] * 3) if colour else grey
    stream = io.BytesIO()
    tifffile.imwrite(stream, values, compression="jpeg", compressionargs={"level": 92})
    content = stream.getvalue()
    assert np.abs(read(content).pixels.astype(int) - grey).mean() < 3
    scan = content.index(b"\xff\xda")
    assert "lost" in reason(content[: scan + 400] + b"\xff\xd9" + content[scan + 402 :])


def test_a_stack_of_imagej_is_several_images():
    stream = io.BytesIO()
    description = "ImageJ=1.54f\nimages=3\nslices=3\n"
    tifffile.imwrite(stream, picture(), description=description, metadata=None)
    assert "several frames" in reason(stream.getvalue())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_tiff_is_turned_upright(orientation):
    grey = picture()
    whole = np.stack([grey, stretched(grey)])
    same, deep = {
        **{1: whole, 2: whole[..., ::-1], 3: whole[:, ::-1, ::-1], 4: whole[:, ::-1]},
        **{5: whole.mT, 6: whole.mT[..., ::-1], 7: whole.mT[:, ::-1, ::-1], 8: whole.mT[:, ::-1]},
    }[orientation]
    tag = {274: [orientation]}
    image = read(tiff_file(grey, tags=tag))
    assert np.array_equal(image.pixels, same)
    assert (image.width, image.height) == same.shape[::-1]
    assert np.array_equal(read(tiff_file(grey.astype("u2") * 7, tags=tag)).pixels, deep)
    for mode in ("RGB", "CMYK", "YCbCr"):
        for compression in ("raw", "tiff_lzw"):
            content = encoded(
                Image.fromarray(grey).convert(mode),
                "TIFF",
                compression=compression,
                tiffinfo={274: orientation},
            )
            assert np.abs(read(content).pixels.astype(int) - same).mean() < 1


def test_modes_of_tiff_are_those_of_pillow():
    """Acquisition is compared by them."""
    grey = picture()
    for image in (
        *(Image.fromarray(grey).convert(mode) for mode in ("1", "L", "LA", "RGB", "RGBA", "P")),
        *(Image.fromarray(grey.astype(number)) for number in ("u2", "i4", "f4")),
        Image.fromarray(grey).convert("CMYK"),
    ):
        assert read(encoded(image, "TIFF")).mode == image.mode


def test_a_tiff_is_refused_for_its_size_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(tifffile.TiffPage, "asarray", lambda *_, **__: pytest.fail("decoded"))
    small = tiff_file(picture(100, 100))
    assert "100 x 100 pixels, more than the limit of 9999" in reason(small, max_pixels=9999)


def test_a_strip_that_expands_beyond_its_rows_takes_no_memory(tmp_path):
    file = tmp_path / "x.tif"
    file.write_bytes(tiff_file(picture(), compression=8, strip=zlib.compress(bytes(500_000_000))))
    # In a process of its own, as only the largest memory that a process ever had is known.
    read_it = (
        "import resource, sys; from pathlib import Path\n"
        "import imagecodecs, tifffile\n"
        "from workflow_scripts.cxrcam.images.files import read_grey\n"
        "used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = used()\n"
        "try: read_grey(Path(sys.argv[1]), 10**6)\n"
        "except ValueError: pass\n"
        "print(used() - before)"
    )
    added = subprocess.run([sys.executable, "-c", read_it, file], check=True, capture_output=True)
    assert int(added.stdout) < 30_000  # KiB


def test_colours_of_tiff_are_found():
    colour = np.zeros((40, 60, 3), "u1")
    colour[..., 0] = picture()
    for planar in (False, True):
        content = tiff_file(colour, RGB, planar=planar)
        assert read(content).colourfulness > 0.3
    grey = tiff_file(np.dstack([picture()] * 3).astype("u2") * 9, RGB, planar=True)
    assert read(grey).colourfulness == 0


def test_damaged_lzw_ends_in_words_and_not_the_process(monkeypatch):
    """tifffile's own decoding of it now and then ends in a segmentation fault: it is not asked."""
    monkeypatch.setattr(tifffile.TiffPage, "asarray", lambda *_, **__: pytest.fail("tifffile"))
    stream = io.BytesIO()
    tifffile.imwrite(stream, picture(100, 130), compression="lzw")
    content, rng = stream.getvalue(), np.random.default_rng(1)
    for _ in range(500):
        damaged = bytearray(content)
        for place in rng.integers(300, len(content), 3):
            damaged[place] = rng.integers(256)
        try:
            read(bytes(damaged))
        except UnreadableImage as error:
            assert_plain(str(error))


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 10, 12, 14])
def test_packed_bits_can_be_compressed(bits):
    values = picture(40, 61)
    values = values >> (8 - bits) if bits < 8 else values.astype("u2") << (bits - 8)
    strip = imagecodecs.lzw_encode(packed(values, bits, ">"))
    wanted = rounded(values * (255 / (2**bits - 1))) if bits < 8 else stretched(values)
    content = tiff_file(values, bits=bits, compression=5, strip=strip)
    assert np.array_equal(read(content).pixels, wanted)


@given(st.integers(4, 2600), st.integers(0, 255))
@settings(max_examples=150)
def test_a_damaged_tiff_is_read_or_refused_in_words(place, value):
    content = bytearray(tiff_file(picture().astype("u2") * 9, compression=8, order=">"))
    content[place % len(content)] = value
    try:
        assert min(read(bytes(content)).pixels.shape) >= 16
    except UnreadableImage as error:
        assert_plain(str(error))


# --- JPEG -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("least_side", [None, 20])
def test_jpeg_has_the_pixels_that_pillow_decodes(colour, least_side):
    content = jpeg_file(colour)
    with Image.open(io.BytesIO(content)) as image:
        if least_side:
            image.draft("RGB" if colour else "L", (least_side, least_side))
        wanted = np.array(image.convert("L"))
    found = read_grey(NOWHERE, MAX_PIXELS, content, least_side)
    assert np.array_equal(found.pixels, wanted)
    assert (found.width, found.height) == (160, 120)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 5}])
@pytest.mark.parametrize("colour", [False, True])
def test_a_jpeg_that_lost_data_and_kept_its_end_is_refused(colour, options):
    """Wherever it lost them."""
    content = jpeg_file(colour, **options)
    # What the last scans of a progressive file add can be missing without a trace.
    for share in (0.05, 0.3) if "progressive" in options else (0.05, 0.3, 0.6, 0.9):
        broken_one = without(content, share, len(content) // 20)
        assert broken_one.endswith(b"\xff\xd9")
        assert reason(broken_one)
        with pytest.raises(UnreadableImage):
            check_jpeg(broken_one)
    check_jpeg(content)


def test_jpeg_that_cannot_be_checked_is_left_to_others():
    for name in ("of 12 bits", "lossless", "hierarchical"):
        check_jpeg(KINDS[f"JPEG: {name}"].content)
    check_jpeg(b"")
    check_jpeg(b"\xff\xd8\xff\xd9")


def test_simplejpeg_still_refuses_by_default_what_we_rely_on():
    with pytest.raises(ValueError, match="premature end of data segment"):
        simplejpeg.decode_jpeg(KINDS["JPEG: half of it and an end"].content, "GRAY")


# --- PNG ------------------------------------------------------------------------------------------


def test_a_text_behind_damage_is_no_reason_to_lose_the_colours():
    colour = np.zeros((40, 60, 3), "u1")
    colour[..., 0] = picture()
    content = png_file(colour, 8, 2, [broken(png_chunk(b"tEXt", b"Comment\0x"))])
    assert read(content).colourfulness > 0.3


@given(st.integers(8, 3000), st.integers(0, 255))
@settings(max_examples=300)
def test_no_byte_of_a_png_with_texts_and_transparency_can_be_changed_unnoticed(place, value):
    grey = picture()
    text, clear = png_chunk(b"tEXt", b"Comment\0some words"), png_chunk(b"tRNS", b"\0\x80")
    content = bytearray(png_file(grey, extras=[text, clear, text], after=text))
    wanted = np.where(grey == 0x80, 0, grey)
    # Half of the changes within the chunks before the pixels.
    content[place % (130 if place % 2 else len(content))] = value
    try:
        assert np.array_equal(read(bytes(content)).pixels, wanted)
    except UnreadableImage as error:
        assert_plain(str(error))
