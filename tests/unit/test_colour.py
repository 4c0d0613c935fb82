"""Whether an image is in colour, told while it is decoded: photographs are, radiographs are not."""

import warnings

import numpy as np
import pytest
from PIL import Image

from tests.unit.pictures import encoded, read
from tests.unit.test_dicom import dicom, dicom_bytes
from workflow_scripts.cxrcam.data.decoding import decode_image
from workflow_scripts.cxrcam.images.colour import COLOURED_SHARE, MOST_COLOUR, colourfulness
from workflow_scripts.cxrcam.images.files import read_grey
from workflow_scripts.cxrcam.phantom.dataset import draw_phantom, phantom_rng
from workflow_scripts.cxrcam.phantom.traits import PhantomSettings


def photo(side: int = 96) -> Image.Image:
    cells = np.random.default_rng(3).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize((side, side), Image.Resampling.BICUBIC)


def xray() -> Image.Image:
    """A phantom, stored as grey in three channels."""
    settings = PhantomSettings(size=160)
    grey = draw_phantom("Normal", phantom_rng(0, "Normal", 1), settings).image
    return Image.fromarray(grey).convert("RGB")


def colour_of(image: Image.Image, kind: str = "PNG", **options: object) -> float:
    return read(encoded(image, kind, **options)).colourfulness


# --- what is in colour ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF", "JPEG2000"])
def test_a_photograph_is_in_colour_whatever_it_is_stored_as(kind: str) -> None:
    assert colour_of(photo(), kind) > 2 * MOST_COLOUR


@pytest.mark.parametrize("mode", ["RGBA", "P", "CMYK"])
def test_a_photograph_is_in_colour_in_every_mode(mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    assert colour_of(photo().convert(mode), kind) > 2 * MOST_COLOUR


def test_dicom_in_colour_is_in_colour_and_grey_dicom_is_not() -> None:
    pixels = np.asarray(photo(64))
    assert read(dicom_bytes(dicom(pixels, "RGB"))).colourfulness > 2 * MOST_COLOUR
    assert read(dicom_bytes(dicom(pixels[..., 0], "MONOCHROME2"))).colourfulness == 0.0


def test_a_large_jpeg_at_a_fraction_is_as_colourful_as_the_whole(tmp_path) -> None:
    path = tmp_path / "photo.jpg"
    photo(1200).save(path, quality=90)
    whole, part = (read_grey(path, 10**7, least_side=side) for side in (None, 250))
    assert part.pixels.shape == (300, 300)
    assert part.colourfulness == pytest.approx(whole.colourfulness, abs=0.02)


# --- what is not ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "quality"), [("PNG", 0), ("JPEG", 95), ("JPEG", 20)])
def test_grey_in_three_channels_has_no_colour_at_all(kind: str, quality: int) -> None:
    assert colour_of(xray(), kind, quality=quality) == 0.0
    assert colour_of(xray().convert("P"), "GIF") == 0.0


def test_noise_in_the_colours_is_no_colour() -> None:
    noise = np.random.default_rng(0).normal(0, 15, (160, 160, 3))
    noisy = Image.fromarray(np.clip(np.asarray(xray()) + noise, 0, 255).astype(np.uint8))
    assert 0.0 < colour_of(noisy, "JPEG", quality=50) < MOST_COLOUR / 2


def test_a_coloured_marker_is_no_colour_until_it_covers_a_tenth() -> None:
    for share, is_colour in ((0.01, False), (0.08, False), (0.15, True)):
        marked, side = xray(), round(160 * share**0.5)
        marked.paste((255, 0, 0), (0, 0, side, side))
        assert (side / 160) ** 2 != pytest.approx(COLOURED_SHARE, abs=0.01)
        assert (colour_of(marked, "JPEG", quality=85) > MOST_COLOUR) is is_colour


def test_a_faint_tint_of_the_light_is_no_colour_and_a_strong_one_is() -> None:
    for weaker, is_colour in ((0.05, False), (0.3, True)):
        tinted = np.asarray(xray()) * np.array([1, 1 - weaker / 2, 1 - weaker])
        assert (colour_of(Image.fromarray(tinted.astype(np.uint8))) > MOST_COLOUR) is is_colour


# --- how it is asked ------------------------------------------------------------------------------


def test_grey_files_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object, **__: object) -> Image.Image:
        raise AssertionError("a grey image was looked at for colour")

    grey = xray().convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 99)
    monkeypatch.setattr(Image.Image, "resize", asked)
    assert [colour_of(grey, kind) for kind in ("PNG", "JPEG", "TIFF")] == [0.0] * 3
    assert [colour_of(image) for image in (grey.convert("LA"), grey.convert("1"), deep)] == [
        0.0
    ] * 3
    with pytest.raises(AssertionError, match="looked at"):
        colourfulness(photo())


def test_transparent_colours_of_a_palette_are_no_reason_to_warn() -> None:
    content = encoded(photo().convert("P"), transparency=bytes(range(256)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(content).colourfulness > MOST_COLOUR


def test_the_file_is_decoded_once_and_the_facts_keep_what_it_told(tmp_path, monkeypatch) -> None:
    path, opened = tmp_path / "photo.png", []
    photo().save(path)
    original = Image.open
    monkeypatch.setattr(Image, "open", lambda *a, **k: opened.append(1) or original(*a, **k))
    facts, _ = decode_image("A/photo", path, 32, "bilinear", 10**6)
    assert facts["colourfulness"] == read_grey(path, 10**6).colourfulness > 2 * MOST_COLOUR
    assert len(opened) == 2, "once for the facts, once for this test"
    (tmp_path / "cut.png").write_bytes(path.read_bytes()[:200])
    facts, _ = decode_image("A/cut", tmp_path / "cut.png", 32, "bilinear", 10**6)
    assert facts["quarantine_reason"] and facts["colourfulness"] is None
