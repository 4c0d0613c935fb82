"""Claims about the phantom radiographs: reproducible, anatomically plausible, free of shortcuts."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import chi2_contingency, f_oneway

from workflow_scripts.cxrcam.phantom.dataset import (
    draw_phantom,
    phantom_rng,
    write_phantom_dataset,
)
from workflow_scripts.cxrcam.phantom.traits import (
    FINDINGS,
    PhantomSettings,
    sample_traits,
)

SMALL = PhantomSettings(size=96)
CLASSES = FINDINGS[:3]
"""Those that exclude each other; the rest are for tasks with several findings an image."""
ONE_OF_EACH = {finding: 1 for finding in FINDINGS}


def file_digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def drawn(finding: str, count: int, settings: PhantomSettings = SMALL) -> list:
    return [
        draw_phantom(finding, phantom_rng(0, finding, number), settings)
        for number in range(1, count + 1)
    ]


def trait_table(
    count: int, confounders: tuple[str, ...] = (), findings: tuple[str, ...] = CLASSES
) -> pd.DataFrame:
    settings = PhantomSettings(confounders=confounders)
    rows = [
        {"label": finding} | vars(sample_traits(finding, phantom_rng(0, finding, number), settings))
        for finding in findings
        for number in range(count)
    ]
    return pd.DataFrame(rows)


def test_files_are_the_same_for_any_number_of_processes(tmp_path):
    counts = {"Normal": 2, "COVID": 12, "Viral Pneumonia": 6}
    alone = write_phantom_dataset(tmp_path / "one", counts, 7, SMALL, processes=1)
    shared = write_phantom_dataset(tmp_path / "two", counts, 7, SMALL, processes=2)
    assert file_digests(tmp_path / "one") == file_digests(tmp_path / "two")
    pd.testing.assert_frame_equal(alone, shared)


def test_an_image_does_not_depend_on_how_many_are_drawn(tmp_path):
    write_phantom_dataset(tmp_path / "few", {"COVID": 1}, 7, SMALL)
    write_phantom_dataset(tmp_path / "many", {"Normal": 2, "COVID": 3}, 7, SMALL)
    few, many = file_digests(tmp_path / "few"), file_digests(tmp_path / "many")
    del few["phantoms.csv"]
    assert few.items() <= many.items()


def test_seed_class_and_number_each_change_the_image():
    reference = phantom_rng(0, "COVID", 1).random(4)
    for key in ((1, "COVID", 1), (0, "Normal", 1), (0, "COVID", 2)):
        assert not np.array_equal(reference, phantom_rng(*key).random(4))


def test_random_stream_of_a_phantom_is_the_same_in_every_release():
    # A fixed number: Python's own string hash would change it from one process to the next.
    assert phantom_rng(0, "COVID", 1).integers(2**32) == 503788574


@pytest.mark.parametrize("finding", FINDINGS)
def test_lungs_cover_a_plausible_part_of_the_image(finding):
    for phantom in drawn(finding, 8):
        assert 0.15 < phantom.lung_mask.mean() < 0.5


@pytest.mark.parametrize("finding", FINDINGS)
def test_lungs_are_darker_than_what_lies_between_and_below_them(finding):
    for phantom in drawn(finding, 8):
        columns = np.flatnonzero(phantom.lung_mask.any(axis=0))
        rows = np.flatnonzero(phantom.lung_mask.any(axis=1))
        inside = np.zeros_like(phantom.lung_mask)
        inside[rows[len(rows) // 3] : rows[-1], columns[0] : columns[-1]] = True
        assert np.median(phantom.image[phantom.lung_mask]) + 40 < np.median(
            phantom.image[inside & ~phantom.lung_mask]
        )


def test_normal_phantoms_have_no_lesions():
    assert not any(phantom.lesion_mask.any() for phantom in drawn("Normal", 8))


@pytest.mark.parametrize("finding", ["COVID", "Viral Pneumonia"])
def test_lesions_lie_inside_both_lungs(finding):
    for phantom in drawn(finding, 8):
        assert not (phantom.lesion_mask & ~phantom.lung_mask).any()
        # The midline of the body is where the lung masks leave a gap, wherever it was shifted to.
        columns = np.flatnonzero(phantom.lung_mask.any(axis=0))
        middle = (columns[0] + columns[-1]) // 2
        for side in (slice(None, middle), slice(middle, None)):
            share = phantom.lesion_mask[:, side].sum() / phantom.lung_mask[:, side].sum()
            assert share > 0.03


def test_covid_is_peripheral_and_viral_pneumonia_perihilar():
    def distance_from_midline(finding):
        offsets = []
        for phantom in drawn(finding, 12):
            columns = np.flatnonzero(phantom.lung_mask.any(axis=0))
            middle, half = (columns[0] + columns[-1]) / 2, (columns[-1] - columns[0]) / 2
            offsets.append(np.abs(np.nonzero(phantom.lesion_mask)[1] - middle).mean() / half)
        return np.mean(offsets)

    assert distance_from_midline("COVID") > distance_from_midline("Viral Pneumonia") + 0.1


@pytest.mark.parametrize("finding", ["COVID", "Viral Pneumonia"])
def test_difficulty_takes_contrast_away(finding):
    healthy, obvious, faint = (
        draw_phantom(name, phantom_rng(0, finding, 3), PhantomSettings(96, difficulty))
        for name, difficulty in (("Normal", 0.0), (finding, 0.0), (finding, 1.0))
    )

    def change(phantom):
        difference = phantom.image.astype(float) - healthy.image
        return np.abs(difference[obvious.lesion_mask]).mean()

    assert change(obvious) > 2 * change(faint)


def test_one_random_state_gives_the_same_patient_with_any_finding():
    normal, covid = (draw_phantom(name, phantom_rng(0, "twin", 1), SMALL) for name in FINDINGS[:2])
    assert normal.traits == covid.traits
    assert np.array_equal(normal.lung_mask, covid.lung_mask)
    assert not np.array_equal(normal.image, covid.image)


def test_layout_on_disk(tmp_path):
    table = write_phantom_dataset(tmp_path, ONE_OF_EACH, 0, SMALL)
    expected = {"phantoms.csv"}
    for finding in FINDINGS:
        folders = ["images", "masks"] + (["lesions"] if finding != "Normal" else [])
        expected |= {f"{finding}/{folder}/{finding}-1.png" for folder in folders}
    assert set(file_digests(tmp_path)) == expected
    assert (tmp_path / "Viral Pneumonia/images/Viral Pneumonia-1.png").is_file()

    stored = pd.read_csv(tmp_path / "phantoms.csv", keep_default_na=False)
    assert stored["path"].tolist() == [f"{f}/images/{f}-1.png" for f in FINDINGS]
    assert stored["label"].tolist() == list(FINDINGS)
    assert list(stored.columns) == list(table.columns)
    for path in stored["path"]:
        mask = Image.open(tmp_path / path.replace("images", "masks"))
        assert Image.open(tmp_path / path).mode == mask.mode == "L"
        assert mask.size == (96, 96)
        assert set(np.unique(np.asarray(mask))) == {0, 255}


def test_no_trait_depends_on_the_label_when_clean():
    table = trait_table(400, findings=FINDINGS)
    probabilities = {}
    for trait in table.columns.drop("label"):
        groups = [group for _, group in table.groupby("label")[trait]]
        if pd.api.types.is_numeric_dtype(table[trait]):
            probabilities[trait] = f_oneway(*groups).pvalue
        else:
            probabilities[trait] = chi2_contingency(
                pd.crosstab(table[trait], table["label"])
            ).pvalue
    # Bonferroni: of this many traits the least likely one is still allowed to be a little unlikely.
    assert min(probabilities.values()) > 0.01 / len(probabilities), probabilities


def test_marker_confounder_ties_text_and_corner_to_the_label():
    table = trait_table(300, ("marker",))
    covid = table["label"] == "COVID"
    marked = (table["marker_text"] == "PORTABLE") & (table["marker_corner"] == "top-left")
    assert marked[covid].mean() > 0.9
    assert marked[~covid].mean() < 0.05


def test_exposure_confounder_ties_the_window_to_the_label():
    table = trait_table(300, ("exposure",))
    lower, upper = table.groupby("label")["lung_grey"].quantile([0.1, 0.9]).unstack().T.values
    order = np.argsort(lower)
    assert (lower[order][1:] > upper[order][:-1]).all()


def test_exposure_confounder_reaches_the_pixels():
    settings = PhantomSettings(96, confounders=("exposure",))
    means = {f: np.median([p.image.mean() for p in drawn(f, 8, settings)]) for f in FINDINGS}
    assert means["Normal"] + 15 < means["Viral Pneumonia"] < means["COVID"] - 15


def test_resampling_confounder_softens_covid_only():
    table = trait_table(300, ("resampling",))
    softened = table["resampling"] > 1
    covid = table["label"] == "COVID"
    assert softened[covid].mean() > 0.9
    assert softened[~covid].mean() < 0.05


def test_resampling_confounder_reaches_the_pixels():
    def fine_detail(settings):
        images = [phantom.image.astype(float) for phantom in drawn("COVID", 8, settings)]
        return np.median([np.abs(np.diff(image, n=2, axis=1)).mean() for image in images])

    softened = PhantomSettings(96, confounders=("resampling",))
    assert fine_detail(softened) < 0.8 * fine_detail(SMALL)


def test_unknown_finding_is_named():
    with pytest.raises(ValueError, match=r"'Covid'.*Viral Pneumonia"):
        draw_phantom("Covid", phantom_rng(0, "Covid", 1), SMALL)


@pytest.mark.parametrize("size", [32, 128, 299])
def test_any_size_is_drawn(size):
    for finding in FINDINGS:
        phantom = draw_phantom(finding, phantom_rng(0, finding, 1), PhantomSettings(size))
        assert phantom.image.shape == phantom.lung_mask.shape == phantom.lesion_mask.shape
        assert phantom.image.shape == (size, size)
        assert phantom.image.dtype == np.uint8
        assert phantom.image.std() > 20
