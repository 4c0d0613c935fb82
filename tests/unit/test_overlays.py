"""Pictures of evidence: the scale is shared, the X-ray stays readable, texts stay inside."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from workflow_scripts.cxrcam.drawing.captions import caption_font, shorten_middle
from workflow_scripts.cxrcam.maps.captioned_overlay import captioned_overlay
from workflow_scripts.cxrcam.maps.frames import draw_legend, legend_height
from workflow_scripts.cxrcam.maps.overlays import (
    AGAINST_COLOUR,
    EVIDENCE_COLOURS,
    FAINT,
    FOR_COLOUR,
    LESION_COLOUR,
    LUNG_COLOUR,
    colour_bar,
    evidence_layer,
    legend_items,
    legend_title,
    mask_outline,
    overlay,
    save_png,
)
from workflow_scripts.cxrcam.maps.placement import (
    heat_scale,
    log_odds,
    normalise_map,
    place_map,
    upsample_map,
)
from workflow_scripts.cxrcam.maps.regions import evidence_regions

GREY = np.random.default_rng(0).integers(0, 256, size=(64, 64), dtype=np.uint8)
RGB = np.repeat(GREY[..., None], 3, axis=2)


def hill(peak=1.0, row=0, column=0):
    """A map of 64 pixels a side whose one hill of evidence lies at a cell of 4 x 4; flat 0 else."""
    raw = np.zeros((4, 4), dtype=np.float32)
    raw[row, column] = peak
    return place_map(raw, 64, input_size=64, stride=16, offset=7.5)


def alpha(layer):
    return np.asarray(layer.convert("RGBA"))[..., 3]


def bytes_of(picture):
    return picture.tobytes()


def inside_lines(evidence):
    """Pixels of the region that holds half of the evidence, without its line."""
    half, quarter = evidence_regions(evidence)
    return half & ~mask_outline(half) & ~mask_outline(quarter, 2)


def caption(image_id="COVID/COVID-1", label="COVID", predicted="COVID", **other):
    side = 256
    picture = {
        "grey": np.full((side, side), 90, dtype=np.uint8),
        "evidence": other.pop("evidence", np.zeros((side, side), np.float32)),
        "lung_mask": None,
        "lesion_mask": None,
    }
    style = {"scale_max": 6.0, "method": None, "opacity": 0.5, "against": False}
    values = {"probability": 0.973} | style | other
    return captioned_overlay(picture, image_id=image_id, label=label, predicted=predicted, **values)


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
    scale = heat_scale(np.repeat([strong, faint], 1000, axis=0))
    assert scale == 8.0
    assert normalise_map(strong, scale).max() == 1.0
    assert normalise_map(faint, scale).max() == 0.25


def test_a_map_in_units_of_the_scale_keeps_its_sign_and_what_lies_above():
    scaled = normalise_map([[-3.0, 0.0, 1.0, 9.0]], 4.0)
    assert scaled.dtype == np.float32
    assert scaled.tolist() == [[-0.75, 0.0, 0.25, 2.25]]


@given(hnp.arrays(np.float64, 4, elements=st.floats(-9, 9)))
@settings(max_examples=25)
def test_evidence_becomes_log_odds_against_the_mean_of_the_others(logits):
    centred = logits - logits.mean()
    expected = logits[0] - logits[1:].mean()
    assert log_odds(centred[0], 4) == pytest.approx(expected, abs=1e-9)
    two = logits[:2] - logits[:2].mean()
    assert log_odds(two[0], 2) == pytest.approx(logits[0] - logits[1], abs=1e-9)


def test_the_scale_looks_at_positive_values_only_and_is_never_zero():
    values = np.r_[np.linspace(-100, -1, 999), 5.0]
    assert heat_scale(values) == 5.0
    assert heat_scale(-np.ones(5)) == 1.0
    assert heat_scale(np.arange(1001.0)) == pytest.approx(995.005)


def test_outside_regions_and_outlines_the_xray_stays_to_the_bit():
    lungs = np.zeros((64, 64), bool)
    lungs[5:30, 30:60] = True
    evidence = hill(1.0, 3, 3) - hill(0.8, 0, 1)
    picture = overlay(GREY, evidence, against=True, lung_mask=lungs, lesion_mask=lungs)
    assert picture.dtype == np.uint8
    assert picture.shape == (64, 64, 3)
    drawn = evidence_regions(evidence)[0] | evidence_regions(-evidence, (0.5,))[0]
    drawn |= mask_outline(lungs, 2)
    np.testing.assert_array_equal(picture[~drawn], RGB[~drawn])
    assert drawn.mean() < 0.3, "no wash over the image"
    changed = (picture != RGB).any(axis=2)
    assert changed.any()
    # The image is drawn on where evidence is, on both hills.
    assert changed[52:, 52:].any()
    assert changed[:12, 16:32].any()


def test_the_xray_shows_through_the_evidence():
    evidence = hill(3.0)
    inside = inside_lines(evidence)
    assert inside.any()
    black = overlay(np.zeros((64, 64), np.uint8), evidence).astype(int)
    white = overlay(np.full((64, 64), 255, np.uint8), evidence).astype(int)
    left = (white - black).mean(axis=2)[inside] / 255
    assert left.min() >= 0.49
    clear = overlay(GREY, evidence, opacity=0.0)
    np.testing.assert_array_equal(clear[inside], RGB[inside])
    assert (clear != RGB).any(), "the lines stay"


def test_a_fainter_map_of_the_same_form_is_filled_more_faintly():
    # Powers of 2: rounding leaves the regions the same.
    peaks = (1.0, 0.5, 0.125)
    fills = [alpha(evidence_layer(hill(peak)))[inside_lines(hill())] for peak in peaks]
    assert all((strong > faint).all() for strong, faint in pairwise(fills))
    assert fills[-1].max() < 0.05 * 255, "nearly no fill"


def test_what_exceeds_the_scale_is_drawn_in_full_colour_and_not_beyond():
    twice, often = (alpha(evidence_layer(hill(peak))) for peak in (20.0, 40.0))
    np.testing.assert_array_equal(twice, often)
    assert twice[inside_lines(hill())].max() == round(0.5 * 255)


def test_both_regions_have_a_line_in_the_colour_of_evidence():
    evidence = hill()
    half, quarter = evidence_regions(evidence)
    picture = overlay(GREY, evidence)
    assert (picture[mask_outline(half)] == FOR_COLOUR).all()
    assert (picture[mask_outline(quarter, 2)] == FOR_COLOUR).all()


def test_lines_are_dashed_where_evidence_is_faint_and_only_there():
    line = mask_outline(evidence_regions(hill())[0])
    solid, dashed = (
        alpha(evidence_layer(hill(FAINT * factor)))[line] == 255 for factor in (1.01, 0.99)
    )
    assert solid.all()
    assert 0.4 < dashed.mean() < 0.8


def test_evidence_against_is_drawn_where_asked_in_a_colour_and_pattern_of_its_own():
    evidence = hill(1.0, 3, 3) - hill(1.0, 0, 0)
    asked, not_asked = overlay(GREY, evidence, against=True), overlay(GREY, evidence)
    (region,) = evidence_regions(-evidence, (0.5,))
    np.testing.assert_array_equal(not_asked[region], RGB[region])
    np.testing.assert_array_equal(asked[~region], not_asked[~region])
    line = mask_outline(region)
    assert (asked[line] == AGAINST_COLOUR).all()
    # Hatched: some pixels inside are drawn on, most are not, so it is no fill in grey either.
    inside = region & ~line
    hatched = (asked != RGB).any(axis=2)[inside].mean()
    assert 0.05 < hatched < 0.4
    assert AGAINST_COLOUR not in (FOR_COLOUR, LUNG_COLOUR, LESION_COLOUR)


def test_colours_grow_in_lightness_up_to_that_of_the_lines():
    lightness = EVIDENCE_COLOURS.astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > -1.0).all()
    assert lightness[-1] - lightness[0] > 30
    assert tuple(EVIDENCE_COLOURS[-1]) == FOR_COLOUR


def test_the_colour_bar_is_drawn_like_the_overlay():
    bar = colour_bar(101, 3)
    assert bar.shape == (3, 101, 3)
    # Where there is no evidence, all of the X-ray is seen: air, soft tissue, bone.
    assert bar[:, 0].tolist() == [[16] * 3, [128] * 3, [240] * 3]
    evidence = hill(20.0)
    strongest = overlay(np.full((64, 64), 128, np.uint8), evidence)[inside_lines(evidence)]
    assert bar[1, -1].tolist() in strongest.tolist()
    assert (colour_bar(101, 3, opacity=0.0)[1] == 128).all()


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
    nothing = np.zeros((64, 64))
    picture = overlay(GREY, nothing, lung_mask=lung, lesion_mask=lesion)
    assert tuple(picture[10, 30]) == LUNG_COLOUR
    assert tuple(picture[20, 25]) == LESION_COLOUR
    assert len({LUNG_COLOUR, LESION_COLOUR, FOR_COLOUR}) == 3
    np.testing.assert_array_equal(overlay(GREY, nothing), RGB)


def test_the_legend_speaks_in_log_odds_and_names_only_what_is_drawn():
    words = [word for _, word in legend_items(1.25, 0.5, against=False)]
    assert words == ["+1.25 at full colour", "half of it", "a quarter of it", "faint: under +0.31"]
    more = [
        word for _, word in legend_items(1.25, 0.5, against=True, has_lungs=True, has_lesions=True)
    ]
    assert more[4:] == ["against it (half)", "lung", "lesion"]


def test_a_map_without_evidence_says_so():
    assert legend_title(hill(0.01), "COVID") == "evidence for COVID, log-odds per cell"
    assert legend_title(-hill(), "COVID") == "no evidence for COVID"
    other = legend_title(hill(), "COVID", "LayerCAM")
    assert other == "LayerCAM for COVID, in a unit of its own"
    flat = np.full((256, 256), 0.5, dtype=np.float32)
    with_evidence, without = (caption(evidence=evidence) for evidence in (flat, -flat))
    # Below the right panel, where the legend starts.
    box = (260, 26 + 256 + 8, 516, 26 + 256 + 8 + 17)
    assert bytes_of(with_evidence.crop(box)) != bytes_of(without.crop(box))


def test_a_drawn_image_is_called_so_beside_its_name():
    plain, drawn = (np.asarray(caption(is_drawn=is_drawn)) for is_drawn in (False, True))
    assert plain.shape == drawn.shape
    differs = (plain != drawn).any(axis=(1, 2))
    assert differs[:26].any() and not differs[26:].any()
    short = np.asarray(caption("M" * 200, is_drawn=True))
    # The name gives way to the words.
    assert np.array_equal(short[:26, -190:], drawn[:26, -190:])


@pytest.mark.parametrize("width", [150, 300, 600])
def test_a_legend_stays_inside_its_place(width):
    items = legend_items(123.456, 0.5, against=True, has_lungs=True, has_lesions=True)
    high = legend_height(items, width)
    picture = Image.new("RGB", (width + 40, high + 40), "white")
    draw_legend(picture, 20, 20, width, "evidence for " + "M" * 200, items)
    drawn = np.asarray(picture).min(axis=2) < 255
    assert drawn[20:-20, 20:-20].any()
    drawn[20:-20, 20:-20] = False
    assert not drawn.any()


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
    assert bytes_of(plain.crop(box)) == bytes_of(long.crop(box))
    assert np.asarray(long)[26 + 256 :, -6:].min() == 255


def test_mistakes_are_marked_by_word_and_not_by_colour():
    right, wrong, other = caption(), caption(predicted="Normal"), caption(probability=0.5)
    strip = np.asarray(wrong)[26 + 256 :, :256]
    assert np.ptp(strip.astype(int), axis=2).max() == 0, "the text is grey"
    # The third line of the strip holds the verdict and nothing else.
    verdict = (0, 26 + 256 + 8 + 36, 256, right.height)
    assert bytes_of(right.crop(verdict)) != bytes_of(wrong.crop(verdict))
    assert bytes_of(right.crop(verdict)) == bytes_of(other.crop(verdict))


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: heat_scale([np.inf]), "inf"),
        (lambda: overlay(GREY, np.full((64, 64), np.nan)), "nan"),
    ],
)
def test_maps_that_are_not_finite_are_refused(call, named):
    with pytest.raises(ValueError, match=named):
        call()


def test_a_saved_picture_is_the_picture_and_the_same_bytes_twice(tmp_path):
    picture = caption()
    for name in ("a.png", "b.png"):
        save_png(picture, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    np.testing.assert_array_equal(Image.open(tmp_path / "a.png"), picture)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]
    save_png(GREY, tmp_path / "grey.png")
    assert Image.open(tmp_path / "grey.png").mode == "L"
