"""Linear imputation: closed forms, a dense solve, and what must not change."""

import numpy as np
import pytest

from workflow_scripts.cxrcam.map_tests import linear_imputation
from workflow_scripts.cxrcam.map_tests.linear_imputation import impute


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def no_noise(monkeypatch) -> None:
    monkeypatch.setattr(linear_imputation, "NOISE", 0.0)


@pytest.fixture
def pixels() -> np.ndarray:
    return rng().integers(0, 256, (4, 12, 10)).astype(np.uint8)


def dense_solution(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The equations of the paper, pixel by pixel."""
    unknown = [tuple(place) for place in np.argwhere(mask)]
    system, right = np.zeros((len(unknown), len(unknown))), np.zeros(len(unknown))
    for i, (row, column) in enumerate(unknown):
        for a in (-1, 0, 1):
            for b in (-1, 0, 1):
                place = (row + a, column + b)
                inside = 0 <= place[0] < image.shape[0] and 0 <= place[1] < image.shape[1]
                if (a, b) == (0, 0) or not inside:
                    continue
                weight = 1 / 12 if a and b else 1 / 6
                system[i, i] += weight
                if mask[place]:
                    system[i, unknown.index(place)] -= weight
                else:
                    right[i] += weight * image[place]
    return np.linalg.solve(system, right)


@pytest.mark.usefixtures("no_noise")
def test_imputed_pixels_solve_the_equations_of_the_paper(pixels):
    masks = rng().random(pixels.shape) < 0.5
    filled = impute(pixels, masks, rng())
    for image, mask, result in zip(pixels, masks, filled, strict=True):
        np.testing.assert_allclose(result[mask], dense_solution(image, mask), atol=0.5 + 1e-9)


@pytest.mark.usefixtures("no_noise")
def test_a_single_pixel_is_the_weighted_mean_of_its_neighbours():
    image = np.zeros((1, 3, 3), dtype=np.uint8)
    image[0, 0, 1], image[0, 0, 0], image[0, 1, 1] = 120, 60, 255
    mask = np.zeros((1, 3, 3), dtype=bool)
    mask[0, 1, 1] = True
    assert impute(image, mask, rng())[0, 1, 1] == 120 / 6 + 60 / 12


@pytest.mark.usefixtures("no_noise")
def test_a_slope_is_continued_through_a_hole():
    image = np.tile(np.arange(0, 200, 10, dtype=np.uint8), (1, 20, 1))
    mask = np.zeros(image.shape, dtype=bool)
    mask[0, 5:15, 4:16] = True
    holed = np.where(mask, 0, image).astype(np.uint8)
    np.testing.assert_array_equal(impute(holed, mask, rng()), image)


def test_kept_pixels_stay_and_removed_values_are_forgotten(pixels):
    masks = rng().random(pixels.shape) < 0.3
    filled = impute(pixels, masks, rng())
    np.testing.assert_array_equal(filled[~masks], pixels[~masks])
    other = np.where(masks, 255 - pixels, pixels).astype(np.uint8)
    np.testing.assert_array_equal(impute(other, masks, rng()), filled)


@pytest.mark.usefixtures("no_noise")
def test_images_that_share_a_mask_are_filled_as_if_alone(pixels):
    masks = rng().random(pixels.shape) < 0.4
    masks[2] = masks[0]
    together = impute(pixels, masks, rng())
    alone = [impute(pixels[i : i + 1], masks[i : i + 1], rng())[0] for i in range(4)]
    np.testing.assert_array_equal(together, alone)


def test_noise_has_its_stated_spread_and_sits_on_imputed_pixels_only():
    image = np.full((1, 80, 80), 100, dtype=np.uint8)
    mask = np.zeros(image.shape, dtype=bool)
    mask[0, 10:70, 10:70] = True
    filled = impute(image, mask, rng()).astype(float)
    # Rounding to whole greys adds a twelfth to the variance.
    assert filled[mask].std() == pytest.approx((2.55**2 + 1 / 12) ** 0.5, rel=0.05)
    assert filled[mask].mean() == pytest.approx(100.0, abs=0.3)
    assert (filled[~mask] == 100).all()


@pytest.mark.usefixtures("no_noise")
def test_nothing_removed_everything_removed_and_no_image(pixels):
    none = np.zeros(pixels.shape, dtype=bool)
    same = impute(pixels, none, rng())
    np.testing.assert_array_equal(same, pixels)
    assert not np.shares_memory(same, pixels)
    whole = impute(pixels, ~none, rng())
    expected = np.rint(pixels.mean(axis=(1, 2)))
    np.testing.assert_array_equal(whole, np.broadcast_to(expected[:, None, None], whole.shape))
    assert impute(pixels[:0], none[:0], rng()).shape == (0, 12, 10)
