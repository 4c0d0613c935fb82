"""Traces of acquisition: found where planted, no alarm without, nothing left unsaid."""

import json
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score

from tests.unit.test_dicom import changed, dicom
from tests.unit.test_dicom_tags import index_of
from workflow_scripts.cxrcam.audit.acquisition import (
    FACT_THRESHOLD,
    OF_PIXELS,
    PICTURE_THRESHOLD,
    SPECTRUM_RINGS,
    corner_spectrum_features,
    dicom_counts,
    dicom_features,
    file_features,
    grey_level_features,
    mode_features,
    size_features,
    spectrum_features,
    trace_separability,
    traces_of,
)


def smooth_images(n, seed, size=64):
    """Noise that was made smooth by enlarging, as detail of a picture is."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 216, (n, size // 2, size // 2), dtype=np.uint8)
    fine = [
        Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC) for image in coarse
    ]
    return np.stack([np.asarray(image) for image in fine])


def judge(features, labels, groups=None, seed=0, threshold=PICTURE_THRESHOLD):
    rng = np.random.default_rng(seed)
    names = np.arange(len(labels)) if groups is None else groups
    return trace_separability(
        features, np.asarray(labels), names, rng, trace="it", threshold=threshold
    )


def test_sizes_modes_and_bytes_become_columns():
    assert size_features([200, 100], [100, 100]).tolist() == [[200, 100, 2], [100, 100, 1]]
    assert mode_features(["L", "RGB", "L", None]).tolist() == [
        [0, 1, 0],
        [0, 0, 1],
        [0, 1, 0],
        [1, 0, 0],
    ]
    assert file_features([4000], [20], [100]).tolist() == [[4000, 2]]


def test_grey_levels_equal_a_count_image_by_image():
    images = smooth_images(30, 1, size=256)
    images[3] = 7
    images[4, :10] = 0
    images[5, :4] = 255
    expected = [
        [len(np.unique(i)), i.min(), i.max(), (i == 0).mean(), (i == 255).mean()] for i in images
    ]
    assert grey_level_features(images) == pytest.approx(np.array(expected))


def test_a_wave_lands_in_the_ring_of_its_frequency():
    x = np.arange(64)
    # 24 cycles in 64 pixels: 0.375 a pixel; each ring is (0.7071 - 0.25) / 24 wide.
    wave = np.tile((128 + 100 * np.cos(2 * np.pi * 24 / 64 * x)).astype(np.uint8), (64, 1))
    for image in (wave, wave.T):
        (spectrum,) = spectrum_features(image[None])
        assert spectrum.argmax() == int((0.375 - 0.25) / ((0.5**0.5 - 0.25) / SPECTRUM_RINGS))


def test_the_spectrum_equals_a_direct_ring_by_ring_average():
    (image,) = smooth_images(1, 5, size=33)
    window = np.hanning(35)[1:-1]
    power = np.abs(np.fft.rfft2((image - image.mean()) * window[:, None] * window)) ** 2
    radius = np.hypot(np.fft.fftfreq(33)[:, None], np.fft.rfftfreq(33))
    edges = np.linspace(0.25, 0.5**0.5, SPECTRUM_RINGS + 1)
    edges[-1] += 1
    rings = [power[(radius >= a) & (radius < b)] for a, b in pairwise(edges)]
    direct = np.log10([(ring.mean() if ring.size else 0) + 1e-3 for ring in rings])
    (found,) = spectrum_features(image[None])
    assert found == pytest.approx(direct - direct.mean(), abs=2e-3)


def test_contrast_does_not_change_the_form_of_the_spectrum_and_blank_images_are_finite():
    images = smooth_images(4, 2)
    halved = (images // 2).astype(np.uint8)
    # Rounding to 8 bits is all that differs, and matters at the highest frequencies only.
    assert spectrum_features(halved)[:, :8] == pytest.approx(
        spectrum_features(images)[:, :8], abs=0.35
    )
    assert np.isfinite(spectrum_features(np.zeros((2, 64, 64), np.uint8))).all()


def test_copies_that_went_through_another_resampling_are_told_apart():
    images = smooth_images(80, 3)
    labels = np.repeat(["Normal", "COVID"], 40)
    for k in range(40):
        small = Image.fromarray(images[k]).resize((60, 60), Image.Resampling.BILINEAR)
        images[k] = np.asarray(small.resize((64, 64), Image.Resampling.BILINEAR))
    found = judge(spectrum_features(images), labels)
    assert found.fails is True
    assert found.auroc > 0.95
    assert found.verdict.startswith("classes differ by it: AUROC ")


def test_pictures_of_one_pipeline_raise_no_alarm():
    found = judge(spectrum_features(smooth_images(80, 3)), np.repeat([0, 1], 40))
    assert found.fails is False
    assert found.low < 0.6
    assert found.verdict.startswith("no alarm from it: AUROC ")


@pytest.mark.parametrize("classes", [2, 3])
def test_random_labels_stay_below_the_strictest_threshold(classes):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        labels = rng.permutation(np.arange(150) % classes)
        found = judge(rng.normal(size=(150, 6)), labels, seed=seed, threshold=FACT_THRESHOLD)
        assert found.fails is False


def test_duplicates_in_another_fold_do_not_make_random_labels_separable():
    rng = np.random.default_rng(0)
    features = np.repeat(rng.normal(size=(60, 6)), 4, axis=0)
    labels, groups = np.repeat(np.arange(60) % 2, 4), np.repeat(np.arange(60), 4)
    assert judge(features, labels).auroc > 0.95
    assert judge(features, labels, groups).fails is False


def test_sizes_that_follow_the_class_fail_and_equal_sizes_do_not():
    labels = np.repeat(["a", "b", "c"], 30)
    side = np.repeat([1024, 299, 299], 30)
    found = judge(size_features(side, side), labels, threshold=FACT_THRESHOLD)
    assert found.fails is True
    # One class is known for sure, the two others are a coin's toss: (1 + 3/4 + 3/4) / 3.
    assert found.auroc == pytest.approx(2.5 / 3, abs=0.05)
    assert found.accuracy == pytest.approx(2 / 3, abs=0.1)
    assert found.majority_accuracy == pytest.approx(1 / 3)
    same = judge(size_features([299] * 90, [299] * 90), labels, threshold=FACT_THRESHOLD)
    assert (same.fails, same.auroc) == (False, 0.5)
    assert "the same in all images" in same.verdict


def test_accuracy_and_its_interval_belong_together():
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], 100)
    found = judge(rng.normal(size=(200, 1)) + labels[:, None], labels)
    assert found.accuracy_low < found.accuracy < found.accuracy_high
    assert found.low < found.auroc < found.high
    guess = accuracy_score(labels, np.zeros(200))
    assert found.majority_accuracy == guess


@pytest.mark.parametrize(
    ("features", "labels", "reason"),
    [
        (np.zeros((0, 1)), [], "no images"),
        (np.zeros((5, 1)), ["a"] * 5, "only one class, 'a'"),
        (np.zeros((25, 1)), ["a"] * 20 + ["b"] * 5, "class 'b' has 5 groups"),
        (np.r_[np.full((3, 1), np.nan), np.zeros((37, 1))], ["a", "b"] * 20, "3 of 40 images"),
        (np.zeros((40, 0)), ["a", "b"] * 20, "40 of 40 images"),
    ],
)
def test_what_cannot_be_assessed_says_why_and_has_no_number(features, labels, reason):
    found = judge(features, labels)
    assert found.fails is None and found.auroc is None and found.low is None
    assert reason in found.reason
    assert found.verdict == f"not assessable by it: {found.reason}"
    json.dumps(asdict(found), allow_nan=False)


def test_a_result_is_ready_for_json():
    found = judge(np.random.default_rng(0).normal(size=(60, 2)), ["a", "b"] * 30)
    back = json.loads(json.dumps(asdict(found), allow_nan=False))
    assert back["n_groups"] == 60 and back["fails"] is False


def test_the_spectrum_of_the_corners_does_not_look_at_the_middle():
    images = smooth_images(4, 9, size=160)
    before = corner_spectrum_features(images)
    images[:, 40:120, 40:120] = np.random.default_rng(0).integers(0, 255, (4, 80, 80))
    np.testing.assert_array_equal(corner_spectrum_features(images), before)
    images[:, :40, :40] = np.random.default_rng(1).integers(0, 255, (4, 40, 40))
    assert np.abs(corner_spectrum_features(images) - before).max() > 0.1


def test_facts_have_the_stricter_threshold_and_every_trace_its_features():
    pixels = smooth_images(2, 3)
    of_pixels = {name: function(pixels) for name, function in OF_PIXELS.items()}
    images = pd.DataFrame(
        {"width": [20, 40], "height": [10, 40], "mode": ["L", None], "size_bytes": [100, 800]}
        | {"notes": [None, None], "dicom_modality": [None, None]}
    )
    traces = traces_of(images, of_pixels | {"border": np.zeros((2, 1))})
    strict = {name for name, (_, _, threshold) in traces.items() if threshold == FACT_THRESHOLD}
    assert strict == {"size", "mode", "spectrum"}
    assert set(traces) - strict == {"file", "grey_levels"}
    assert traces["file"][2] == PICTURE_THRESHOLD
    assert traces["size"][1].tolist() == [[20, 10, 2], [40, 40, 1]]
    assert traces["file"][1].tolist() == [[100, 0.5], [800, 0.5]]
    np.testing.assert_array_equal(traces["spectrum"][1], corner_spectrum_features(pixels))
    assert len({words for words, _, _ in traces.values()}) == 5


# --- DICOM ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dicom_index(tmp_path_factory):
    """Index of 4 × 8 files as the workflow makes it: windows of COVID and of one Normal are mad."""
    mad = {"WindowCenter": 90000, "WindowWidth": 10}
    kinds = {
        "COVID/mended": changed(Modality="CR", PresentationIntentType="FOR PROCESSING", **mad),
        "Normal/mended": changed(Modality="DX", **mad),
        "Normal/sound": changed(Modality="DX"),
        "Normal/silent": dicom(),
    }
    files = {f"{kind}{k}".replace("/", "-"): one for kind, one in kinds.items() for k in range(8)}
    _, index, quarantine, _ = index_of(tmp_path_factory.mktemp("dicom"), files)
    assert quarantine.empty
    return index.assign(label=index["image_id"].str.split("-").str[0], size_bytes=100)


def test_what_was_mended_and_the_modality_become_columns(dicom_index):
    of_files = dicom_features(dicom_index).set_index(dicom_index["image_id"])
    assert list(of_files) == [
        *("modality CR", "modality DX"),
        *("raw image (for processing)", "window not believed"),
    ]
    assert of_files.loc["COVID-mended3"].tolist() == [1, 0, 1, 1]
    assert of_files.loc["Normal-mended3"].tolist() == [0, 1, 0, 1]
    assert of_files.loc["Normal-silent3"].tolist() == [0, 0, 0, 0]


def test_what_was_mended_is_counted_by_class(dicom_index):
    assert dicom_counts(dicom_index) == {
        "modality CR": {"COVID": 8, "Normal": 0},
        "modality DX": {"COVID": 0, "Normal": 16},
        "raw image (for processing)": {"COVID": 8, "Normal": 0},
        "window not believed": {"COVID": 8, "Normal": 8},
        "images": {"COVID": 8, "Normal": 24},
    }


def test_mending_that_follows_the_class_fails_by_the_threshold_of_facts(dicom_index):
    images = pd.concat([dicom_index] * 5, ignore_index=True)
    of_pixels = {name: np.zeros((len(images), 1)) for name in OF_PIXELS}
    words, features, threshold = traces_of(images, of_pixels)["dicom"]
    assert threshold == FACT_THRESHOLD and "repairs" in words
    assert judge(features, images["label"], threshold=threshold).fails is True
    mixed = np.random.default_rng(0).permutation(images["label"])
    assert judge(features, mixed, threshold=threshold).fails is False


def test_without_dicom_files_nothing_is_said_of_them(dicom_index):
    images = dicom_index.assign(notes=None, dicom_modality=np.nan)
    of_pixels = {name: np.zeros((len(images), 1)) for name in OF_PIXELS}
    assert "dicom" not in traces_of(images, of_pixels)
    assert "dicom" in traces_of(dicom_index.assign(notes=None), of_pixels)
