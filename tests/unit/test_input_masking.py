"""Masked inputs: exactly the named part goes, and nothing of it leaks."""

import numpy as np
import pytest

from workflow_scripts.cxrcam.images.covering import (
    MASKING_VARIANTS,
    border_mask,
    covered_pixels,
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


@pytest.fixture
def speckled() -> np.ndarray:
    """Black and white pixels: the mean grey of some is neither, so what is covered is changed."""
    return np.random.default_rng(1).choice(np.array([0, 255], np.uint8), (3, SIZE, SIZE))


def test_lungs_out_and_lungs_only_take_opposite_parts(speckled, lungs):
    np.testing.assert_array_equal(covered_pixels(speckled, "lungs_out", lungs) != speckled, lungs)
    np.testing.assert_array_equal(covered_pixels(speckled, "lungs_only", lungs) != speckled, ~lungs)


def test_centre_and_border_have_their_stated_sizes(speckled):
    centre = covered_pixels(speckled, "centre_black") != speckled
    border = covered_pixels(speckled, "border_only") != speckled
    assert centre.sum(axis=(1, 2)).tolist() == [144] * 3  # 60 % of 20 squared
    assert border.sum(axis=(1, 2)).tolist() == [256] * 3
    assert not centre[:, :4].any()
    assert not border[:, :, -2:].any()


def test_the_centre_is_the_same_distance_from_all_edges():
    for size in (3, 7, 64, 99, 224):
        speckled = np.indices((1, size, size)).sum(axis=0).astype(np.uint8) % 2 * 255
        (centre,) = covered_pixels(speckled, "centre_black") != speckled
        for turned in (np.rot90(centre), centre[::-1], centre[:, ::-1]):
            np.testing.assert_array_equal(turned, centre)
        assert 0 < centre.sum() < size**2


def test_a_border_keeps_one_pixel_at_least_on_either_side():
    assert border_mask(3, 0.49).sum() == 8
    assert border_mask(200, 0.0001).sum() == 200**2 - 198**2


@pytest.mark.parametrize("variant", [variant.name for variant in MASKING_VARIANTS])
def test_nothing_of_the_covered_part_leaks(pixels, speckled, lungs, variant):
    before = pixels.copy()
    masked = covered_pixels(pixels, variant, lungs)
    np.testing.assert_array_equal(pixels, before)
    covered = covered_pixels(speckled, variant, lungs) != speckled
    assert covered.any(axis=(1, 2)).all()
    other = np.where(covered, 255 - pixels, pixels)
    np.testing.assert_array_equal(covered_pixels(other, variant, lungs), masked)


def test_what_is_covered_gets_the_mean_of_what_stays_in_each_image(pixels, lungs):
    masked = covered_pixels(pixels, "lungs_out", lungs)
    for image in range(3):
        expected = round(float(pixels[image][~lungs[image]].mean()))
        assert set(masked[image][lungs[image]].tolist()) == {expected}
        assert expected > 0


def test_empty_and_full_masks_have_a_defined_result(pixels):
    none = np.zeros(pixels.shape, dtype=bool)
    np.testing.assert_array_equal(covered_pixels(pixels, "lungs_out", none), pixels)
    with np.errstate(all="raise"):  # no mean of nothing
        assert not covered_pixels(pixels, "lungs_only", none).any()


def test_no_images_give_no_images():
    nothing = np.zeros((0, SIZE, SIZE), dtype=np.uint8)
    for variant in MASKING_VARIANTS:
        masked = covered_pixels(nothing, variant.name, nothing.astype(bool))
        assert masked.shape == (0, SIZE, SIZE)
        assert masked.dtype == np.uint8


def test_only_variants_named_after_the_lungs_need_masks(pixels):
    for variant in MASKING_VARIANTS:
        assert variant.description.endswith(".")
        assert variant.needs_lung_masks == variant.name.startswith("lungs")
        if variant.needs_lung_masks:
            with pytest.raises(ValueError, match="not assessable"):
                covered_pixels(pixels, variant.name)
        else:
            assert covered_pixels(pixels, variant.name).shape == pixels.shape


def test_bad_arguments_are_named(pixels, lungs):
    with pytest.raises(ValueError, match=r"\(20, 20\)"):
        covered_pixels(pixels, "lungs_out", lungs[0])  # one mask for all is a mistake
    with pytest.raises(ValueError, match="ribs_only"):
        covered_pixels(pixels, "ribs_only")
