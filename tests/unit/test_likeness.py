"""Pictures that are unlike the training images, turned or inverted are told from new patients."""

import numpy as np
import pytest
from PIL import Image

from workflow_scripts.cxrcam.duplicates.likeness import (
    CHANGES,
    Likeness,
    likeness,
    usual_likeness,
)
from workflow_scripts.cxrcam.new_images.reference import is_unlike

SIDE = 32


def smooth(rng: np.random.Generator, cells: int = 5) -> np.ndarray:
    coarse = rng.integers(0, 256, (cells, cells), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def chests(n: int, seed: int) -> np.ndarray:
    """One layout (two dark ovals, a bright base to the left), other details in each."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] / (SIDE - 1)
    lungs = sum(((x - c) / 0.16) ** 2 + ((y - 0.42) / 0.32) ** 2 < 1 for c in (0.28, 0.72))
    base = 150 - 110 * lungs + 80 * (y > 0.8) + 40 * (y > 0.6) * (x > 0.5)
    noise = np.stack([smooth(rng, 7) for _ in range(n)]).astype(float) - 128
    exposure = rng.uniform(0.7, 1.1, (n, 1, 1))
    return np.clip(exposure * base + 0.25 * noise, 0, 255).astype(np.uint8)


TRAINING = chests(150, 0)
GROUPS = [f"p{k}" for k in range(150)]
THRESHOLDS = usual_likeness(TRAINING, GROUPS)


def unlike(pictures: np.ndarray) -> np.ndarray:
    return is_unlike(likeness(pictures, TRAINING), THRESHOLDS)


def test_new_patients_are_hardly_ever_called_unlike() -> None:
    assert unlike(chests(300, 1)).mean() < 0.03


def test_noise_and_other_pictures_are_unlike() -> None:
    rng = np.random.default_rng(2)
    noise = rng.integers(0, 256, (50, SIDE, SIDE), dtype=np.uint8)
    assert unlike(noise).all()
    assert unlike(np.stack([smooth(rng) for _ in range(100)])).mean() > 0.95
    assert unlike(np.full((1, SIDE, SIDE), 77, np.uint8)).all(), "nothing correlates with a blank"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda p: np.rot90(p, 1, axes=(1, 2)), "turned by 90° to the left"),
        (lambda p: np.rot90(p, 3, axes=(1, 2)), "turned by 90° to the right"),
        (lambda p: p[:, ::-1, ::-1], "upside down"),
        (lambda p: 255 - p, "with black and white exchanged"),
    ],
)
def test_what_was_turned_or_inverted_is_noticed_and_named(change, what: str) -> None:
    changed = np.ascontiguousarray(change(chests(40, 3)))
    found = likeness(changed, TRAINING)
    assert is_unlike(found, THRESHOLDS).all()
    assert found.change.count(what) == 40
    assert (found.gain > THRESHOLDS.gain).all()
    assert what in CHANGES


def test_brightness_and_contrast_do_not_matter() -> None:
    pictures = chests(20, 4)
    paler = (pictures * 0.5 + 60).astype(np.uint8)
    first, second = (likeness(p, TRAINING).similarity for p in (pictures, paler))
    assert np.abs(first - second).max() < 0.01


def test_an_image_is_not_compared_with_itself_or_its_patient() -> None:
    twice = np.concatenate([TRAINING, TRAINING])
    groups = GROUPS + GROUPS
    assert likeness(TRAINING[:5], twice).similarity == pytest.approx(1.0, abs=1e-5)
    assert (likeness(TRAINING[:5], twice, groups[:5], groups).similarity < 0.999).all()
    # Otherwise the threshold would be that of copies.
    assert usual_likeness(twice, groups).similarity == pytest.approx(THRESHOLDS.similarity, 0.05)


def test_a_single_group_leaves_nothing_to_compare_with() -> None:
    thresholds = usual_likeness(TRAINING[:5], ["one"] * 5)
    assert not is_unlike(likeness(chests(3, 5), TRAINING[:5]), thresholds).any()


def test_no_image_at_all_is_no_fault() -> None:
    found = likeness(np.empty((0, SIDE, SIDE), np.uint8), TRAINING)
    assert isinstance(found, Likeness)
    assert len(found.similarity) == len(found.change) == 0
