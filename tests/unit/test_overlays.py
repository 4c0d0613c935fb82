"""Pictures of maps: the scale is shared, cold pixels stay X-ray, texts stay inside."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from workflow_scripts.cxrcam.figures.captions import caption_font, shorten_middle
from workflow_scripts.cxrcam.maps.overlays import (
    LESION_COLOUR,
    LUNG_COLOUR,
    captioned_overlay,
    colour_bar,
    heat_colours,
    mask_outline,
    overlay,
    overlay_with_contours,
    png_bytes,
    save_png,
)
from workflow_scripts.cxrcam.maps.placement import heat_scale, normalise_map, upsample_map

GREY = np.random.default_rng(0).integers(0, 256, size=(64, 64), dtype=np.uint8)


def caption(image_id="COVID/COVID-1", label="COVID", predicted="COVID", **other):
    values = {"probability": 0.973, "scale_max": 6.0} | other
    return captioned_overlay(
        np.full((256, 256), 90, dtype=np.uint8),
        np.zeros((256, 256)),
        image_id=image_id,
        label=label,
        predicted=predicted,
        **values,
    )


@pytest.mark.parametrize(("h", "w", "size"), [(7, 7, 224), (7, 7, 299), (8, 5, 33), (1, 1, 9)])
def test_upsampling_equals_torch_without_aligned_corners(h, w, size):
    raw = np.random.default_rng(1).normal(size=(3, h, w)).astype(np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(raw)[:, None], size=(size, size), mode="bilinear", align_corners=False
    )[:, 0].numpy()
    batch = upsample_map(raw, size)
    np.testing.assert_allclose(batch, expected, atol=1e-5)
    np.testing.assert_array_equal(upsample_map(raw[1], size), batch[1])


@given(hnp.arrays(np.float32, (2, 4, 4), elements=st.floats(-50, 50, width=32)), st.integers(4, 40))
@settings(max_examples=25)
def test_upsampling_invents_no_value_outside_the_map(raw, size):
    result = upsample_map(raw, size)
    assert result.shape == (2, size, size)
    tolerance = 1e-4
    assert (result.max(axis=(1, 2)) <= raw.max(axis=(1, 2)) + tolerance).all()
    assert (result.min(axis=(1, 2)) >= raw.min(axis=(1, 2)) - tolerance).all()


def test_one_scale_keeps_a_faint_map_faint():
    strong, faint = np.array([[0.0, 8.0]]), np.array([[0.0, 2.0]])
    scale = heat_scale([strong, faint], quantile=1.0)
    assert scale == 8.0
    assert normalise_map(strong, scale).max() == 1.0
    assert normalise_map(faint, scale).max() == 0.25


def test_evidence_against_the_class_is_no_heat():
    heat = normalise_map([[-3.0, 0.0, 1.0, 9.0]], 4.0)
    assert heat.dtype == np.float32
    assert heat.tolist() == [[0.0, 0.0, 0.25, 1.0]]


def test_the_scale_looks_at_positive_values_only_and_is_never_zero():
    values = np.r_[np.linspace(-100, -1, 999), 5.0]
    assert heat_scale(values) == 5.0
    assert heat_scale(-np.ones(5)) == 1.0
    assert heat_scale(np.arange(1001.0), quantile=0.5) == pytest.approx(500.5)


def test_pixels_without_heat_keep_exactly_their_grey():
    heat = np.zeros((64, 64))
    heat[:20, :20] = 1.0
    picture = overlay(GREY, heat)
    assert picture.dtype == np.uint8
    assert picture.shape == (64, 64, 3)
    cold = heat == 0
    np.testing.assert_array_equal(picture[cold], np.repeat(GREY[cold][:, None], 3, axis=1))
    hot = picture[~cold].astype(int)
    assert (np.ptp(hot, axis=1) > 20).all()


def test_opacity_grows_with_heat_and_the_anatomy_shows_through():
    ramp = np.broadcast_to(np.linspace(0, 1, 64), (64, 64))
    black = overlay(np.zeros((64, 64), np.uint8), ramp).astype(int)
    white = overlay(np.full((64, 64), 255, np.uint8), ramp).astype(int)
    # What is left of the contrast between black and white is what the heat lets through.
    left = (white - black).mean(axis=(0, 2)) / 255
    assert left[0] == 1.0
    assert (np.diff(left) <= 0.005).all()
    assert left[-1] == pytest.approx(0.35, abs=0.01)
    np.testing.assert_array_equal(overlay(GREY, ramp, opacity=0.0)[..., 0], GREY)


def test_colours_grow_in_lightness():
    lightness = heat_colours().astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > -1.0).all()
    assert lightness[-1] - lightness[0] > 150


def test_the_colour_bar_is_drawn_like_the_overlay():
    bar = colour_bar(101, 3)
    assert bar.shape == (3, 101, 3)
    assert bar[0, 0].tolist() == [128, 128, 128]
    hot = overlay(np.full((1, 1), 128, np.uint8), np.ones((1, 1)))[0, 0]
    assert bar[0, -1].tolist() == hot.tolist()


def test_outlines_are_thin_lie_inside_and_leave_the_image_border_open():
    mask = np.zeros((20, 20), bool)
    mask[5:15, 0:10] = True
    line = mask_outline(mask)
    assert not (line & ~mask).any()
    assert line[5, 3]
    assert line[10, 9]
    assert not line[10, 8]
    assert not line[10, 0]
    assert mask_outline(mask, width=2)[10, 8]


def test_lung_and_lesion_outlines_have_their_own_colours():
    lung = np.zeros((64, 64), bool)
    lung[10:50, 10:50] = True
    lesion = np.zeros((64, 64), bool)
    lesion[20:30, 20:30] = True
    heat = np.zeros((64, 64))
    picture = overlay_with_contours(GREY, heat, lung_mask=lung, lesion_mask=lesion)
    assert tuple(picture[10, 30]) == LUNG_COLOUR
    assert tuple(picture[20, 25]) == LESION_COLOUR
    assert LUNG_COLOUR != LESION_COLOUR
    np.testing.assert_array_equal(overlay_with_contours(GREY, heat), overlay(GREY, heat))
    with pytest.raises(ValueError, match="lung_mask has shape"):
        overlay_with_contours(GREY, heat, lung_mask=lung[:9])


@given(st.text(max_size=200), st.integers(20, 300))
@settings(max_examples=20)
def test_a_shortened_text_always_fits(text, width):
    font = caption_font(13)
    assert font.getlength(shorten_middle(text, width, font)) <= width


def test_both_ends_of_a_long_id_survive():
    short = shorten_middle("hospital_A_" + "x" * 200 + "_0042", 150, caption_font(13))
    assert short.startswith("hospital")
    assert short.endswith("_0042")
    assert "…" in short


def test_long_names_do_not_change_the_size_or_touch_the_notice():
    plain, long = caption(), caption(image_id="W" * 500, label="M" * 300, predicted="M" * 300)
    assert plain.size == long.size
    # The notice at the top right is the same picture, and the last pixels at the right are free.
    left = plain.width - 8 - round(caption_font(11).getlength("research use only"))
    box = (left, 0, plain.width, 26)
    assert png_bytes(plain.crop(box)) == png_bytes(long.crop(box))
    assert np.asarray(long)[-60:, -6:].min() == 255


def test_mistakes_are_marked_by_word_and_not_by_colour():
    right, wrong, other = caption(), caption(predicted="Normal"), caption(probability=0.5)
    strip = np.asarray(wrong)[-62:, :256]
    assert np.ptp(strip.astype(int), axis=2).max() == 0, "the text is grey"
    # The third line of the strip holds the verdict and nothing else.
    verdict = (0, right.height - 22, 256, right.height)
    assert png_bytes(right.crop(verdict)) != png_bytes(wrong.crop(verdict))
    assert png_bytes(right.crop(verdict)) == png_bytes(other.crop(verdict))


def test_small_images_are_enlarged_so_that_the_caption_fits():
    mask = GREY > 200
    picture = captioned_overlay(
        GREY,
        np.zeros((64, 64)),
        image_id="phantom_1",
        label="a",
        predicted="b",
        probability=0.5,
        scale_max=1.0,
        lung_mask=mask,
        lesion_mask=mask,
    )
    assert picture.width >= 512


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: normalise_map([1.0], 0.0), "scale_max is 0.0"),
        (lambda: normalise_map([np.nan], 1.0), "nan"),
        (lambda: heat_scale([np.inf]), "inf"),
        (lambda: heat_scale([1.0], quantile=0.0), "quantile is 0.0"),
        (lambda: upsample_map([1.0], 4), r"\(1,\)"),
        (lambda: upsample_map([[1.0]], 0), "size is 0"),
        (lambda: overlay(GREY.astype(float), np.zeros((64, 64))), "float64"),
        (lambda: overlay(GREY, np.zeros((7, 7))), r"\(7, 7\)"),
        (lambda: overlay(GREY, np.full((64, 64), 3.0)), "outside"),
        (lambda: overlay(GREY, np.full((64, 64), np.nan)), "nan"),
        (lambda: overlay(GREY, np.zeros((64, 64)), 1.5), "opacity is 1.5"),
        (lambda: caption(probability=97.3), "97.3"),
    ],
)
def test_bad_values_are_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()


def test_a_saved_picture_is_the_picture_and_the_same_bytes_twice(tmp_path):
    picture = caption()
    for name in ("a.png", "b.png"):
        save_png(picture, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    np.testing.assert_array_equal(Image.open(tmp_path / "a.png"), picture)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]
    assert Image.open(io.BytesIO(png_bytes(GREY))).mode == "L"
