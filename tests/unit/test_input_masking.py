"""Masked inputs: exactly the named part goes, and nothing of it leaks."""

import numpy as np
import pytest

from workflow_scripts.cxrcam.images.covering import (
    border_mask,
    border_only,
    centre_black,
    centre_mask,
    cover,
    lungs_only,
    lungs_out,
    masked_pixels,
    masking_variants,
)

SIZE = 20


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 256, (3, SIZE, SIZE)).astype(np.uint8)


@pytest.fixture
def lungs() -> np.ndarray:
    masks = np.zeros((3, SIZE, SIZE), dtype=bool)
    masks[0, 4:12, 3:8] = masks[1, 2:9, 9:15] = masks[2, 0:3, 0:3] = True
    return masks


def test_lungs_out_and_lungs_only_take_opposite_parts(pixels, lungs):
    out, only = lungs_out(pixels, lungs), lungs_only(pixels, lungs)
    assert (out[lungs] == 0).all()
    assert (only[~lungs] == 0).all()
    np.testing.assert_array_equal(out + only, pixels)


def test_centre_and_border_have_their_stated_sizes(pixels):
    assert (centre_black(pixels) == 0).sum(axis=(1, 2)).tolist() == [144] * 3  # 60 % of 20 squared
    assert (border_only(pixels) != 0).sum(axis=(1, 2)).tolist() == [400 - 256] * 3
    np.testing.assert_array_equal(centre_black(pixels)[:, :4], pixels[:, :4])
    np.testing.assert_array_equal(border_only(pixels)[:, :, -2:], pixels[:, :, -2:])


def test_the_centre_is_the_same_distance_from_all_edges():
    for size in (3, 7, 64, 99, 224):
        centre = centre_mask(size)
        for turned in (np.rot90(centre), centre[::-1], centre[:, ::-1]):
            np.testing.assert_array_equal(turned, centre)
        assert 0 < centre.sum() < size**2


def test_a_border_keeps_one_pixel_at_least_on_either_side():
    assert border_mask(3, 0.49).sum() == 8
    assert border_mask(200, 0.0001).sum() == 200**2 - 198**2


@pytest.mark.parametrize("fill", ["black", "mean"])
@pytest.mark.parametrize("variant", [variant.name for variant in masking_variants()])
def test_nothing_of_the_covered_part_leaks(pixels, lungs, variant, fill):
    before = pixels.copy()
    masked = masked_pixels(pixels, variant, lungs, fill)
    np.testing.assert_array_equal(pixels, before)
    covered = masked_pixels(np.full_like(pixels, 255), variant, lungs, "black") == 0
    assert covered.any(axis=(1, 2)).all()
    other = np.where(covered, 255 - pixels, pixels)
    np.testing.assert_array_equal(masked_pixels(other, variant, lungs, fill), masked)


def test_the_mean_fill_is_the_mean_of_what_stays_in_each_image(pixels, lungs):
    masked = lungs_out(pixels, lungs, "mean")
    for image in range(3):
        expected = round(float(pixels[image][~lungs[image]].mean()))
        assert set(masked[image][lungs[image]].tolist()) == {expected}
        assert expected > 0


def test_empty_and_full_masks_have_a_defined_result(pixels):
    none = np.zeros(pixels.shape, dtype=bool)
    for fill in ("black", "mean"):
        np.testing.assert_array_equal(lungs_out(pixels, none, fill), pixels)
        with np.errstate(all="raise"):  # no mean of nothing
            assert not lungs_only(pixels, none, fill).any()


def test_no_images_give_no_images():
    nothing = np.zeros((0, SIZE, SIZE), dtype=np.uint8)
    for variant in masking_variants():
        masked = masked_pixels(nothing, variant.name, nothing.astype(bool), "mean")
        assert masked.shape == (0, SIZE, SIZE)
        assert masked.dtype == np.uint8


def test_without_lung_masks_only_the_geometric_variants_remain(pixels):
    assert {v.name for v in masking_variants(has_lung_masks=False)} == {
        "centre_black",
        "border_only",
    }
    for variant in masking_variants():
        assert variant.description.endswith(".")
        if variant.needs_lung_masks:
            with pytest.raises(ValueError, match="not assessable"):
                masked_pixels(pixels, variant.name)
        else:
            assert masked_pixels(pixels, variant.name).shape == pixels.shape


def test_bad_arguments_are_named(pixels, lungs):
    with pytest.raises(ValueError, match="float64"):
        cover(pixels / 255.0, lungs)
    with pytest.raises(ValueError, match="expected bool"):
        cover(pixels, lungs.astype(np.uint8))
    with pytest.raises(ValueError, match=r"\(20, 20\)"):
        lungs_out(pixels, lungs[0])  # one mask for all images is a mistake, not a short form
    with pytest.raises(ValueError, match="white"):
        cover(pixels, lungs, "white")
    with pytest.raises(ValueError, match="ribs_only"):
        masked_pixels(pixels, "ribs_only")
    with pytest.raises(ValueError, match="at least 3"):
        border_mask(2, 0.1)
    with pytest.raises(ValueError, match="outside"):
        centre_mask(20, 1.0)
