"""Augmented training images: what is done to them, and that it is the same each time."""

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import adjust_contrast, affine

from workflow_scripts.cxrcam.networks.training.augmentation import Augmentation

pytestmark = pytest.mark.usefixtures("one_torch_thread")

SIDE = 40
EVERYTHING = Augmentation(10, 0.1, 0.1, 0.2, 0.03, 0.5)


class Fixed(np.random.Generator):
    """Draws the given numbers in [0, 1) for all images: angle, right, down, size, contrast, ..."""

    def __init__(self, *values: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.values = values

    def random(self, size: tuple[int, int]) -> np.ndarray:  # type: ignore[override]
        given = [*self.values, *[0.5] * size[0]][: size[0]]
        return np.repeat(np.array(given)[:, None], size[1], axis=1)


def grey(n: int = 3) -> torch.Tensor:
    pixels = np.random.default_rng(0).integers(0, 256, (n, SIDE, SIDE), dtype=np.uint8)
    return torch.from_numpy(pixels)


def changed(augmentation: Augmentation, *values: float, pixels: torch.Tensor | None = None):
    """Images that are changed by the given draws; 1 is the end of each range, 0.5 its middle."""
    pixels = grey() if pixels is None else pixels
    parameters = augmentation.draw(Fixed(*values), len(pixels))
    return augmentation.apply(pixels, torch.from_numpy(parameters))


# --- each change ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("drawn", "quarters"), [(1.0, -1), (0.0, 1)])
def test_a_rotation_by_90_degrees_is_rot90(drawn, quarters):
    turned = changed(Augmentation(rotation=90), drawn)
    expected = torch.rot90(grey().float(), quarters, (1, 2))
    torch.testing.assert_close(turned, expected, atol=0.01, rtol=0)


@pytest.mark.parametrize(("drawn", "pixels"), [(1.0, 4), (0.0, -4)])
@pytest.mark.parametrize("axis", [1, 2])
def test_a_shift_is_a_roll_and_black_comes_in(drawn, pixels, axis):
    places = [0.5, 0.5, drawn] if axis == 1 else [0.5, drawn, 0.5]
    shifted = changed(Augmentation(shift=0.1), *places)
    new = slice(0, 4) if pixels > 0 else slice(SIDE - 4, SIDE)
    expected = torch.roll(grey().float(), pixels, axis).transpose(1, axis).clone()
    expected[:, new] = 0
    torch.testing.assert_close(shifted.transpose(1, axis), expected, atol=0.01, rtol=0)


def test_a_scale_enlarges_about_the_centre():
    # A square of 16 pixels grows by a quarter, to 20.
    square = torch.zeros(1, SIDE, SIDE)
    square[:, 12:28, 12:28] = 200
    larger = changed(Augmentation(scale=0.25), 0.5, 0.5, 0.5, 1.0, pixels=square)
    assert (larger[0, 11:29, 11:29] > 150).all()
    assert larger.sum().item() == pytest.approx(200 * 20**2, rel=0.01)


def test_several_moves_are_those_of_torchvision():
    augmentation = Augmentation(rotation=30, shift=0.1, scale=0.2)
    angle, right, down, size, _ = 2 * np.random.default_rng(3).random((11, 4))[:5] - 1
    parameters = torch.from_numpy(augmentation.draw(np.random.default_rng(3), 4))
    moved = augmentation.apply(grey(4), parameters)
    for k, image in enumerate(grey(4)):
        translate = [0.1 * SIDE * right[k], 0.1 * SIDE * down[k]]
        expected = affine(
            *(image.float()[None], 30 * angle[k], translate, 1 + 0.2 * size[k], [0.0, 0.0]),
            interpolation=InterpolationMode.BILINEAR,
        )[0]
        torch.testing.assert_close(moved[k], expected, atol=0.05, rtol=0)


@pytest.mark.parametrize(("drawn", "factor"), [(1.0, 1.5), (0.0, 0.5), (0.5, 1.0)])
def test_contrast_moves_grey_levels_away_from_the_mean_and_keeps_them_possible(drawn, factor):
    seen = changed(Augmentation(contrast=0.5), *[0.5] * 4, drawn)
    scaled = (grey().float() / 255)[:, None]
    expected = torch.stack([adjust_contrast(image, factor) for image in scaled])[:, 0] * 255
    torch.testing.assert_close(seen, expected, atol=0.01, rtol=0)
    if factor > 1:
        assert seen.min() == 0 and seen.max() == 255


def test_noise_is_of_the_strength_asked_for_and_another_one_at_each_pixel_and_time():
    flat = torch.full((8, 100, 100), 128, dtype=torch.uint8)
    strongest = [0.5] * 10 + [1.0]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = changed(Augmentation(noise=0.1), *strongest, pixels=flat) - 128
        second = changed(Augmentation(noise=0.1), *strongest, pixels=flat) - 128
        bright = changed(Augmentation(noise=0.1), *strongest, pixels=torch.full_like(flat, 250))
        rng = np.random.default_rng(0)
        parameters = torch.from_numpy(Augmentation(noise=0.1).draw(rng, 500))
        changes = Augmentation(noise=0.1).apply(flat[:1].repeat(500, 1, 1), parameters)
    assert first.std().item() == pytest.approx(25.5, rel=0.01)
    assert first.mean().item() == pytest.approx(0, abs=0.3)
    assert abs(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1]) < 0.02
    assert bright.max() == 255
    # From none to all of it, so that images as they are stay among them.
    strengths = changes.std((1, 2))
    assert strengths.min() < 1 and strengths.max() > 25 and 11 < strengths.mean() < 14.5


def test_erasing_sets_a_rectangle_to_the_mean_of_its_image():
    # Not erased (0.9 is no hit of 0.5), then the smallest and the largest area, as a square.
    assert torch.equal(changed(Augmentation(erasing=0.5), *[0.5] * 5, 0.9), grey().float())
    for drawn, side in ((0.0, 0.02**0.5 * SIDE), (1.0, 0.2**0.5 * SIDE)):
        places = [*[0.5] * 5, 0.1, drawn, 0.5, 0.0, 1.0]  # at the top, on the right
        erased = changed(Augmentation(erasing=0.5), *places)
        width = round(side)
        expected = grey().float()
        mean = expected.mean((1, 2), keepdim=True)
        expected[:, :width, SIDE - width :] = mean
        torch.testing.assert_close(erased, expected)


def test_erased_areas_and_their_share_of_the_images_are_as_described():
    n, side = 2000, 100
    parameters = Augmentation(erasing=0.25).draw(np.random.default_rng(0), n)
    erased = Augmentation(erasing=0.25).apply(
        torch.arange(side).repeat(n, side, 1).float(), torch.from_numpy(parameters)
    )
    differs = (erased != torch.arange(side)).float().mean((1, 2)).numpy()
    areas = differs[differs > 0]
    assert len(areas) / n == pytest.approx(0.25, abs=0.03)
    assert areas.min() > 0.015 and areas.max() < 0.21
    assert areas.mean() == pytest.approx(0.11, abs=0.01)


# --- all of them ----------------------------------------------------------------------------------


def test_nothing_is_asked_for_by_default():
    assert not Augmentation()
    assert all(Augmentation(**{name: 0.1}) for name in vars(Augmentation()))


def test_each_image_is_changed_on_its_own_and_the_same_draws_give_the_same_bytes():
    def all_of(seed: int) -> torch.Tensor:
        same = torch.from_numpy(np.repeat(grey(1).numpy(), 6, axis=0))
        parameters = EVERYTHING.draw(np.random.default_rng(seed), 6)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            return EVERYTHING.apply(same, torch.from_numpy(parameters))

    first = all_of(0)
    assert torch.equal(first, all_of(0))
    assert not torch.equal(first, all_of(1))
    assert len({image.numpy().tobytes() for image in first}) == 6
    assert first.min() >= 0 and first.max() <= 255


def test_one_change_does_not_alter_the_draws_of_another():
    turned = Augmentation(rotation=10).draw(np.random.default_rng(0), 5)
    both = Augmentation(rotation=10, contrast=0.2).draw(np.random.default_rng(0), 5)
    assert np.array_equal(turned[:, :6], both[:, :6])
    assert not np.array_equal(turned[:, 6], both[:, 6])


def test_a_batch_of_which_a_process_has_no_image_is_left_empty():
    none = grey()[:0]
    parameters = torch.from_numpy(EVERYTHING.draw(np.random.default_rng(0), 0))
    assert EVERYTHING.apply(none, parameters).shape == (0, SIDE, SIDE)
