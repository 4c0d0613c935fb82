"""Reading image files: every format that users have, and every way a file can be broken."""

import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, PngImagePlugin

from tests.unit.pictures import (
    MAX_PIXELS,
    assert_plain,
    encoded,
    picture,
    png_chunk,
    read,
    reason,
)
from workflow_scripts.cxrcam.images.files import read_grey
from workflow_scripts.cxrcam.images.limits import UnreadableImage
from workflow_scripts.cxrcam.images.resizing import resize_grey

# --- formats -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("PNG", "L", {}),
        ("PNG", "RGB", {}),
        ("PNG", "RGBA", {}),
        ("PNG", "LA", {}),
        ("PNG", "L", {"optimize": True}),
        ("TIFF", "L", {}),
        ("TIFF", "RGB", {"compression": "tiff_lzw"}),
        ("BMP", "L", {}),
        ("BMP", "RGB", {}),
        ("WEBP", "RGB", {"lossless": True}),
        ("JPEG2000", "L", {}),
        ("GIF", "L", {}),
        ("PPM", "L", {}),
    ],
)
def test_lossless_formats_give_the_exact_grey(kind, mode, options):
    pixels = picture()
    image = read(encoded(Image.fromarray(pixels).convert(mode), kind, **options))
    assert np.array_equal(image.pixels, pixels)
    assert (image.width, image.height) == (60, 40)
    assert image.pixels.dtype == np.uint8 and image.pixels.flags.c_contiguous


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1"])
def test_mode_is_that_of_the_file(mode):
    assert read(encoded(Image.fromarray(picture()).convert(mode))).mode == mode


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_is_close_to_the_grey_that_was_stored(mode):
    pixels = picture()
    image = read(encoded(Image.fromarray(pixels).convert(mode), "JPEG", quality=95))
    assert image.mode == mode
    assert np.abs(image.pixels.astype(int) - pixels).mean() < 3


def test_colour_becomes_itu_601_luma():
    colour = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    luma = colour @ np.array([0.299, 0.587, 0.114])
    grey = read(encoded(Image.fromarray(colour))).pixels
    assert np.abs(grey - luma).max() <= 0.51


def test_palette_colours_become_their_luma():
    image = Image.fromarray((np.arange(400).reshape(20, 20) % 2).astype("u1"), "P")
    image.putpalette([255, 0, 0, 0, 0, 255])
    assert set(np.unique(read(encoded(image)).pixels)) == {76, 29}


def test_one_bit_images_become_black_and_white():
    bits = picture() > 128
    assert np.array_equal(read(encoded(Image.fromarray(bits))).pixels, bits * np.uint8(255))


def test_transparency_shows_black_behind():
    pixels = np.full((20, 20), 200, np.uint8)
    alpha = np.full((20, 20), 255, np.uint8)
    alpha[:, :10] = 0
    alpha[0, 10] = 128
    layers = [Image.fromarray(pixels)] * 3 + [Image.fromarray(alpha)]
    grey = read(encoded(Image.merge("RGBA", layers))).pixels
    assert grey[5, 5] == 0 and grey[5, 15] == 200
    assert abs(int(grey[0, 10]) - 100) <= 1


def test_a_transparent_grey_level_shows_black():
    pixels = np.full((20, 20), 200, np.uint8)
    pixels[:, :5] = 255
    grey = read(encoded(Image.fromarray(pixels), transparency=255)).pixels
    assert grey[0, 0] == 0 and grey[0, 10] == 200


def test_sixteen_bits_are_stretched_over_the_image_s_own_range():
    """12-bit content in a 16-bit file must not come out black."""
    deep = (picture().astype(np.uint16) << 4) + 3
    image = read(encoded(Image.fromarray(deep)))
    assert image.mode == "I;16"
    assert image.pixels.min() == 0 and image.pixels.max() == 255
    low, high = int(deep.min()), int(deep.max())
    expected = np.rint((deep.astype(float) - low) * 255 / (high - low))
    assert np.array_equal(image.pixels, expected)


def test_a_flat_sixteen_bit_image_is_black_and_no_error():
    assert not read(encoded(Image.fromarray(np.full((20, 20), 999, np.uint16)))).pixels.any()


def test_float_tiff_is_stretched_and_not_a_number_is_refused():
    values = picture().astype(np.float32) / 7
    assert read(encoded(Image.fromarray(values), "TIFF")).pixels.max() == 255
    values[3, 3] = np.nan
    assert "not finite" in reason(encoded(Image.fromarray(values), "TIFF"))


def sixteen_bit_rgb_png(value: int) -> bytes:
    header = struct.pack(">IIBBBBB", 20, 20, 16, 2, 0, 0, 0)
    row = b"\0" + struct.pack(">H", value) * 60
    body = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(row * 20))
    return b"\x89PNG\r\n\x1a\n" + body + png_chunk(b"IEND", b"")


def test_dark_sixteen_bit_colour_is_refused_rather_than_read_as_black():
    assert "16-bit grey" in reason(sixteen_bit_rgb_png(0x0FFF))
    assert read(sixteen_bit_rgb_png(0x8FFF)).pixels.max() == 0x8F


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_exif_orientation_is_applied(kind):
    pixels = np.zeros((40, 60), np.uint8)
    pixels[:, :30] = 200
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    image = read(encoded(Image.fromarray(pixels), kind, exif=exif))
    assert (image.width, image.height) == (40, 60) == image.pixels.shape[::-1]
    assert image.pixels[:25].mean() > 190 and image.pixels[35:].mean() < 10


def large_scene() -> Image.Image:
    """A photograph-like picture, in colour, of 1200 by 900 pixels."""
    x, y = np.meshgrid(np.linspace(0, 12, 1200), np.linspace(0, 9, 900))
    grey = 120 + 60 * np.sin(x * y / 6) + 40 * np.cos(3 * x)
    return Image.fromarray(np.clip(np.stack([grey, grey - 20, grey + 20], 2), 0, 255).astype("u1"))


def test_a_large_jpeg_is_decoded_at_a_fraction_and_looks_the_same_small():
    content = encoded(large_scene(), "JPEG", quality=95)
    whole, part = (read_grey(Path("x"), 10 * MAX_PIXELS, content, side) for side in (None, 250))
    assert part.pixels.shape == (450, 600)
    assert (part.width, part.height, part.mode) == (whole.width, whole.height, whole.mode)
    assert (whole.width, whole.height, whole.mode) == (1200, 900, "RGB")
    small = [resize_grey(image.pixels, 129).astype(int) for image in (whole, part)]
    assert np.abs(small[0] - small[1]).mean() < 0.6
    assert np.abs(small[0] - small[1]).max() <= 4


def test_only_a_jpeg_with_pixels_to_spare_is_decoded_at_a_fraction():
    jpeg = encoded(large_scene(), "JPEG")
    assert read_grey(Path("x"), 10 * MAX_PIXELS, jpeg, least_side=451).pixels.shape == (900, 1200)
    png = encoded(large_scene(), "PNG")
    assert read_grey(Path("x"), 10 * MAX_PIXELS, png, least_side=100).pixels.shape == (900, 1200)


def test_a_jpeg_at_a_fraction_is_turned_upright_and_a_cut_one_refused():
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(large_scene(), "JPEG", exif=exif)
    image = read_grey(Path("x"), 10 * MAX_PIXELS, content, least_side=200)
    assert image.pixels.shape == (300, 225)
    assert (image.width, image.height) == (900, 1200)
    with pytest.raises(UnreadableImage, match="cut off"):
        read_grey(Path("x"), 10 * MAX_PIXELS, content[: len(content) // 2], least_side=200)


@pytest.mark.parametrize("suffix", [".jpg", ".dcm", ".txt", ""])
def test_files_are_recognised_by_content(suffix, tmp_path):
    path = tmp_path / f"image{suffix}"
    path.write_bytes(encoded(Image.fromarray(picture())))
    assert np.array_equal(read_grey(path, MAX_PIXELS).pixels, picture())


def test_bytes_in_hand_are_not_read_again():
    assert read(encoded(Image.fromarray(picture())), Path("/nowhere/at/all.png")).mode == "L"


@given(st.integers(16, 70), st.integers(16, 70), st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_png_round_trip_keeps_every_pixel(height, width, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    assert np.array_equal(read(encoded(Image.fromarray(pixels))).pixels, pixels)


# --- damage --------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*Corrupt EXIF:UserWarning")
@pytest.mark.filterwarnings("ignore:.*Truncated File:UserWarning")
@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("PNG", "L", {}),
        ("PNG", "RGB", {}),
        ("JPEG", "L", {}),
        ("JPEG", "RGB", {"progressive": True}),
        ("TIFF", "L", {}),
        ("BMP", "L", {}),
    ],
)
def test_cut_off_files_are_refused_or_complete(kind, mode, options):
    """At every tenth byte. Only the trailer of a file may be missing without a pixel being lost."""
    content = encoded(Image.fromarray(picture()).convert(mode), kind, **options)
    whole = read(content).pixels
    for length in range(0, len(content), 10):
        try:
            pixels = read(content[:length]).pixels
        except UnreadableImage as error:
            assert_plain(str(error))
        else:
            assert np.array_equal(pixels, whole)
            assert kind != "PNG" and length > 0.9 * len(content) - 300


def test_a_cut_off_file_stays_refused_when_another_library_allows_padding(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    content = encoded(Image.fromarray(picture(200, 200)), "JPEG")
    assert "cut off" in reason(content[: len(content) // 2])


def test_a_flipped_bit_in_png_pixels_is_noticed():
    content = encoded(Image.fromarray(picture()))
    for position in range(45, len(content) - 16, 29):
        damaged = bytearray(content)
        damaged[position] ^= 0x10
        assert reason(bytes(damaged))


@pytest.mark.filterwarnings("ignore:.*Corrupt EXIF:UserWarning")
@given(
    st.binary(max_size=300), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0"])
)
@settings(max_examples=150)
def test_arbitrary_bytes_raise_nothing_but_unreadable_image(junk, signature):
    reason(signature + junk)
    reason(signature + junk, Path("x.dcm"))


def test_files_that_are_no_files(tmp_path):
    cases = {
        "empty": tmp_path / "empty.png",
        "folder": tmp_path,
        "does not exist": tmp_path / "absent.png",
    }
    cases["empty"].touch()
    for words, path in cases.items():
        with pytest.raises(UnreadableImage, match=words) as caught:
            read_grey(path, MAX_PIXELS)
        assert_plain(str(caught.value))


def test_no_permission_is_a_reason(tmp_path, monkeypatch):
    path = tmp_path / "secret.png"
    path.write_bytes(b"x")

    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)  # root may read everything
    with pytest.raises(UnreadableImage, match="permission"):
        read_grey(path, MAX_PIXELS)


def test_a_named_pipe_does_not_block(tmp_path):
    import os

    path = tmp_path / "pipe.png"
    os.mkfifo(path)
    with pytest.raises(UnreadableImage, match="regular file"):
        read_grey(path, MAX_PIXELS)


def test_an_endless_file_is_refused_unread(tmp_path):
    path = tmp_path / "sparse.png"
    with path.open("wb") as stream:
        stream.truncate(100 * 2**20)
    with pytest.raises(UnreadableImage, match="more than an image"):
        read_grey(path, max_pixels=1000)


@pytest.mark.parametrize("content", [b"not an image", b"%PDF-1.7 ...", b"<svg></svg>", b"PK\3\4"])
def test_other_files_are_no_images(content):
    assert "not an image" in reason(content)


def test_a_file_whose_header_alone_is_left_says_so():
    assert "PNG image, but its header" in reason(b"\x89PNG\r\n\x1a\n")


def test_memory_errors_become_reasons(monkeypatch):
    def fail(self):
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
    assert "memory" in reason(encoded(Image.fromarray(picture()).convert("RGB")))


@pytest.mark.parametrize(
    "error",
    [
        KeyError("x"),
        RecursionError("deep"),
        zlib.error("bad"),
        NotImplementedError(),
        AttributeError("a"),
        SyntaxError("s"),
    ],
)
def test_whatever_a_decoder_raises_becomes_one_sentence(monkeypatch, error):
    def fail(self):
        raise error

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
    assert "damaged" in reason(encoded(Image.fromarray(picture()).convert("RGB")))


# --- sizes ---------------------------------------------------------------------------------------


def test_a_decompression_bomb_is_refused_before_it_is_decoded(monkeypatch):
    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 0, 0, 0, 0)
    body = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    content = b"\x89PNG\r\n\x1a\n" + body + png_chunk(b"IEND", b"")

    def never(self):
        raise AssertionError("decoded")

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", never)
    assert "more" in reason(content, max_pixels=10**12)
    small = encoded(Image.fromarray(picture(100, 100)))
    assert "100 x 100 pixels, more than the limit of 9999" in reason(small, max_pixels=9999)


def test_a_text_chunk_that_explodes_is_refused():
    content = encoded(Image.fromarray(picture()))
    bomb = png_chunk(b"zTXt", b"key\0\0" + zlib.compress(b"0" * 50_000_000))
    assert "expands" in reason(content[:33] + bomb + content[33:])


@pytest.mark.parametrize(("height", "width"), [(1, 1), (15, 200), (200, 15)])
def test_tiny_images_are_refused(height, width):
    assert "smaller than 16 pixels" in reason(encoded(Image.fromarray(picture(height, width))))


def test_sixteen_pixels_are_enough():
    assert read(encoded(Image.fromarray(picture(16, 16)))).width == 16


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF", "WEBP"])
def test_several_frames_are_refused(kind):
    frames = [Image.fromarray(picture()), Image.fromarray(255 - picture())]
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert "several frames" in reason(content)


def test_errors_and_images_cross_process_borders():
    error = pickle.loads(pickle.dumps(UnreadableImage("The file is empty (0 bytes).")))
    assert str(error) == "The file is empty (0 bytes)."
