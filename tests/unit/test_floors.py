"""Floors: find what lies in greys and borders, find nothing where there is nothing."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from workflow_scripts.cxrcam.floors.descriptions import DESCRIPTIONS
from workflow_scripts.cxrcam.floors.floors import (
    FLOORS,
    accuracy_gap,
    best_floor,
)
from workflow_scripts.cxrcam.floors.floors import floor_predictions as streamed

REAL = Path(__file__).parents[3] / "shared" / "cxr" / "COVID-19_Radiography_Dataset"


def noisy_images(labels, plant, seed=0, size=56):
    """Noise images; `plant` changes those of class 1 in place."""
    images = np.random.default_rng(seed).integers(60, 180, (len(labels), size, size), dtype="u1")
    plant(images, labels == 1)
    return images


def in_memory(pixels, at_once=7):
    """Pixels as parts, in an order of their own."""

    def parts(wanted):
        positions = np.flatnonzero(wanted)[::-1]
        for start in range(0, len(positions), at_once):
            some = positions[start : start + at_once]
            yield some, pixels[some]

    return parts


def floor_predictions(name, pixels, labels, train, test, n_classes, seed):
    seeds = {name: np.random.SeedSequence(seed)}
    return streamed(in_memory(pixels), labels, train, test, n_classes, seeds)[name]


def brighten(images, chosen):
    images[chosen] += np.uint8(30)


def marker(images, chosen):
    images[np.flatnonzero(chosen), :3, :3] = 255


def frame(images, chosen):
    images[np.flatnonzero(chosen), 20:36, :2] = 255


def nothing(images, chosen):
    pass


def accuracy(name, plant, n=120):
    labels = np.arange(n) % 2
    test = np.arange(n) >= n * 2 // 3
    images = noisy_images(labels, plant)
    found = floor_predictions(name, images, labels, ~test, test, 2, seed=1)
    return (found.argmax(axis=1) == labels[test]).mean()


@pytest.mark.parametrize(
    ("plant", "seen_by", "unseen_by"),
    [
        (brighten, ["histogram", "border", "corners", "centre_black", "thumbnail"], ["majority"]),
        (marker, ["corners"], ["majority"]),
        (frame, ["border"], ["corners", "majority"]),
    ],
    ids=["brightness", "marker", "frame"],
)
def test_each_floor_finds_what_it_may_see_and_nothing_else(plant, seen_by, unseen_by):
    for name in seen_by:
        assert accuracy(name, plant) > 0.9, name
    for name in unseen_by:
        assert accuracy(name, plant) < 0.75, name


@pytest.mark.parametrize("name", FLOORS)
def test_pure_noise_gives_no_floor_more_than_chance(name):
    assert 0.25 < accuracy(name, nothing) < 0.75


@pytest.mark.parametrize("name", FLOORS)
def test_predictions_are_probabilities_in_the_order_of_the_test_images(name):
    labels = np.arange(90) % 3
    images = noisy_images(labels, brighten)
    test = np.random.default_rng(4).random(90) < 0.3
    found = floor_predictions(name, images, labels, ~test, test, 3, seed=5)
    assert found.shape == (test.sum(), 3)
    assert found.sum(axis=1) == pytest.approx(1)
    again = floor_predictions(name, images, labels, ~test, test, 3, seed=5)
    assert np.array_equal(found, again)


@pytest.mark.parametrize("name", FLOORS)
def test_test_labels_and_unused_images_change_nothing(name):
    labels = np.arange(60) % 2
    images = noisy_images(labels, brighten)
    train, test = np.arange(60) < 30, np.arange(60) >= 45
    before = floor_predictions(name, images, labels, train, test, 2, seed=1)
    labels[~train] = -1
    images[30:45] = 0
    assert np.array_equal(before, floor_predictions(name, images, labels, train, test, 2, seed=1))


def test_majority_predicts_the_shares_of_the_training_classes():
    labels = np.array([0, 0, 0, 1, 2, 2])
    train = np.array([True, True, True, True, False, False])
    found = floor_predictions(
        "majority", noisy_images(labels, nothing), labels, train, ~train, 3, 0
    )
    assert found.tolist() == [[0.75, 0.25, 0.0]] * 2


def test_a_class_without_a_training_image_has_probability_zero():
    labels = np.arange(40) % 2 * 2
    train = np.arange(40) < 30
    found = floor_predictions("corners", noisy_images(labels, nothing), labels, train, ~train, 3, 0)
    assert (found[:, 1] == 0).all() and found.shape == (10, 3)


def test_a_floor_without_a_training_image_is_refused():
    labels = np.zeros(6, int)
    none, test = np.zeros(6, bool), np.arange(6) < 3
    with pytest.raises(ValueError, match="no image is selected"):
        floor_predictions("border", noisy_images(labels, nothing), labels, none, test, 2, seed=0)


def test_every_floor_says_what_it_may_see():
    assert tuple(DESCRIPTIONS) == FLOORS
    assert all(text.startswith("sees ") for text in DESCRIPTIONS.values())


def test_the_best_floor_is_the_most_accurate_and_of_equals_the_blindest():
    assert best_floor({"thumbnail": 0.9, "corners": 0.9, "majority": 0.5}) == "corners"
    assert best_floor({"majority": 0.5, "thumbnail": 0.51}) == "thumbnail"


def test_the_gap_is_the_paired_difference_with_the_width_that_theory_gives():
    rng = np.random.default_rng(0)
    truth = np.zeros(1000, int)
    network, floor = (rng.random(1000) > 0.9) * 1, (rng.random(1000) > 0.8) * 1
    found = accuracy_gap(truth, network, floor, np.arange(1000), rng)
    difference = (network == truth) * 1.0 - (floor == truth)
    assert found.gap == pytest.approx(difference.mean())
    assert found.gap == pytest.approx(found.network_accuracy - found.floor_accuracy)
    half = 1.96 * difference.std() / np.sqrt(1000)
    assert (found.low, found.high) == pytest.approx(
        (difference.mean() - half, difference.mean() + half), abs=0.006
    )


def test_copies_of_an_image_do_not_narrow_the_gap_s_interval():
    rng = np.random.default_rng(1)
    network, floor = (rng.random(60) > 0.9) * 1, (rng.random(60) > 0.7) * 1
    single = accuracy_gap(np.zeros(60), network, floor, np.arange(60), np.random.default_rng(2))
    many = [np.repeat(array, 5) for array in (np.zeros(60), network, floor, np.arange(60))]
    copied = accuracy_gap(*many, np.random.default_rng(2))
    assert (copied.low, copied.high) == pytest.approx((single.low, single.high))
    assert copied.n_groups == 60
    taken_for_new = accuracy_gap(*many[:3], np.arange(300), np.random.default_rng(2))
    assert taken_for_new.high - taken_for_new.low < 0.6 * (single.high - single.low)


def test_equal_answers_everywhere_give_an_interval_around_zero_of_honest_width():
    answers = np.array([0, 1] * 10)
    found = accuracy_gap(answers, answers, answers, np.arange(20), np.random.default_rng(0))
    assert found.gap == 0.0
    # Wilson's upper bound of 0 of 20.
    assert (found.low, found.high) == pytest.approx((-0.1611, 0.1611), abs=5e-5)


@pytest.mark.parametrize(
    ("n", "groups", "reason"), [(0, [], "no test images"), (3, ["a"] * 3, "of one group")]
)
def test_a_gap_that_cannot_be_given_an_interval_says_why(n, groups, reason):
    zeros = np.zeros(n, int)
    found = accuracy_gap(zeros, zeros, zeros + 1, np.array(groups), np.random.default_rng(0))
    assert reason in found.reason
    assert found.low is None
    json.dumps(asdict(found), allow_nan=False)


def test_the_histogram_alone_tells_covid_from_normal_in_the_real_data():
    if not REAL.is_dir():
        pytest.skip(f"the real X-rays are not here: {REAL}")
    paths = [sorted((REAL / name / "images").glob("*.png"))[::2] for name in ("Normal", "COVID")]
    images = np.stack([np.asarray(Image.open(path)) for group in paths for path in group])
    labels = np.repeat([0, 1], [len(group) for group in paths])
    test = np.random.default_rng(0).random(len(labels)) < 0.25
    found = floor_predictions("histogram", images, labels, ~test, test, 2, seed=0)
    assert roc_auc_score(labels[test], found[:, 1]) > 0.93
