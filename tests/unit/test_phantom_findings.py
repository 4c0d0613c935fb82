"""Phantoms with several findings: each adds its lesion, and those with one stay as they were."""

import numpy as np
import pandas as pd
import pytest

from workflow_scripts.cxrcam.phantom.anatomy import draw_anatomy
from workflow_scripts.cxrcam.phantom.canvas import make_canvas
from workflow_scripts.cxrcam.phantom.dataset import draw_phantom, phantom_rng
from workflow_scripts.cxrcam.phantom.findings import add_finding
from workflow_scripts.cxrcam.phantom.traits import (
    CONFOUNDED_SHARE,
    FINDINGS,
    PhantomSettings,
    sample_traits,
)

SMALL = PhantomSettings(size=96)
COMBINED = tuple(finding for finding in FINDINGS if "|" in finding)

# Of the first phantom of a class at 96 pixels, drawn before there were several findings: pixels of
# the lesion, and the mean grey of 4 x 4 tiles. Means, as the last bit may depend on the processor.
BEFORE = {
    ("Normal", ""): (
        0,
        [21, 88, 83, 36, 85, 113, 114, 82, 88, 125, 157, 90, 87, 181, 185, 99],
    ),
    ("COVID", ""): (
        1269,
        [77, 127, 124, 73, 138, 129, 144, 129, 138, 140, 177, 135, 176, 224, 221, 157],
    ),
    ("Viral Pneumonia", ""): (
        1395,
        [46, 97, 98, 57, 113, 112, 117, 107, 115, 121, 161, 97, 142, 188, 194, 135],
    ),
    ("COVID", "marker"): (
        1269,
        [87, 128, 124, 73, 138, 129, 144, 129, 138, 140, 177, 135, 176, 224, 221, 157],
    ),
    ("COVID", "exposure"): (
        1269,
        [76, 133, 129, 73, 146, 135, 154, 138, 146, 148, 196, 146, 193, 241, 239, 173],
    ),
    ("Normal", "resampling"): (
        0,
        [21, 88, 83, 35, 85, 113, 114, 82, 88, 125, 157, 91, 87, 181, 185, 99],
    ),
}


@pytest.mark.parametrize(("finding", "confounder"), BEFORE)
def test_phantoms_of_a_class_are_drawn_as_ever(finding, confounder):
    settings = PhantomSettings(96, confounders=(confounder,) if confounder else ())
    phantom = draw_phantom(finding, phantom_rng(0, finding, 1), settings)
    lesion, tiles = BEFORE[finding, confounder]
    assert phantom.lesion_mask.sum() == pytest.approx(lesion, abs=3)
    means = phantom.image.reshape(4, 24, 4, 24).mean(axis=(1, 3))
    np.testing.assert_allclose(means.ravel(), tiles, atol=1)


def patient(number):
    """Canvas and healthy thorax."""
    rng = phantom_rng(0, "patient", number)
    traits = sample_traits("Normal", rng, SMALL)
    canvas = make_canvas(traits, SMALL.size)
    return canvas, draw_anatomy(traits, canvas, rng)


@pytest.mark.parametrize("finding", COMBINED)
def test_lesions_of_several_findings_are_those_of_each_within_the_lungs(finding):
    for number in range(4):
        canvas, anatomy = patient(number)
        attenuation, lesion = add_finding(
            finding, anatomy, canvas, 0.0, np.random.default_rng(number)
        )
        # Each by itself, one after the other from one generator.
        rng = np.random.default_rng(number)
        each = [add_finding(one, anatomy, canvas, 0.0, rng) for one in finding.split("|")]
        assert np.array_equal(np.any([mask for _, mask in each], axis=0), lesion)
        assert all(mask.any() for _, mask in each)
        assert (lesion <= anatomy.lung_mask).all()
        added = sum(alone - anatomy.attenuation for alone, _ in each)
        np.testing.assert_allclose(attenuation - anatomy.attenuation, added, atol=1e-5)


@pytest.mark.parametrize("finding", COMBINED)
def test_a_phantom_with_several_findings_shows_them_in_its_lungs(finding):
    for number in range(1, 4):
        phantom = draw_phantom(finding, phantom_rng(0, finding, number), SMALL)
        assert phantom.lesion_mask.any()
        assert not (phantom.lesion_mask & ~phantom.lung_mask).any()


def test_an_effusion_lies_at_the_bottom_of_one_lung():
    for number in range(1, 9):
        phantom = draw_phantom("Effusion", phantom_rng(0, "Effusion", number), SMALL)
        columns = np.flatnonzero(phantom.lung_mask.any(axis=0))
        middle = (columns[0] + columns[-1]) // 2
        sides = [phantom.lesion_mask[:, :middle], phantom.lesion_mask[:, middle:]]
        lungs = [phantom.lung_mask[:, :middle], phantom.lung_mask[:, middle:]]
        shares = sorted(one.sum() / lung.sum() for one, lung in zip(sides, lungs, strict=True))
        assert shares[0] < 0.02 < 0.1 < shares[1] < 0.6
        rows = np.nonzero(phantom.lung_mask)[0]
        assert np.nonzero(phantom.lesion_mask)[0].mean() > np.quantile(rows, 0.7)


def test_covid_marker_ties_the_mark_to_one_finding_only():
    settings = PhantomSettings(confounders=("covid_marker",))
    rows = [
        {"finding": f} | vars(sample_traits(f, phantom_rng(0, f, number), settings))
        for f in FINDINGS
        for number in range(200)
    ]
    table = pd.DataFrame(rows)
    marked = (table["marker_text"] == "PORTABLE") & (table["marker_corner"] == "top-left")
    covid = table["finding"].str.split("|").map(lambda parts: "COVID" in parts)
    by_finding = marked.groupby(table["finding"]).mean()
    assert (by_finding[[f for f in FINDINGS if "COVID" in f]] > CONFOUNDED_SHARE - 0.06).all()
    assert marked[~covid].mean() < 0.03
    # Others share one mark, whatever they show.
    others = table[~covid & (table["marker_text"] == "L") & (table["marker_corner"] == "top-right")]
    assert set(others["finding"]) == {f for f in FINDINGS if "COVID" not in f}
