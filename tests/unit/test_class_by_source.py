"""Class by source: Cramér's V against scipy and by hand, verdicts in words."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats.contingency import association

from workflow_scripts.cxrcam.audit.class_by_source import (
    assess_class_by_source,
    contingency_table,
    cramers_v,
)

CLASSES = ["Normal", "COVID"]


def listing(**images):
    """Labels and sources of images, from ``class__source=number``."""
    labels, sources = [], []
    for name, number in images.items():
        label, source = name.split("__")
        labels += [label] * number
        sources += [source or None] * number
    return labels, sources


@given(
    arrays(np.int64, st.tuples(st.integers(2, 4), st.integers(2, 5)), elements=st.integers(1, 60))
)
@settings(max_examples=60)
def test_plain_v_equals_scipy(table):
    expected = association(table, method="cramer", correction=False)
    assert cramers_v(table, corrected=False) == pytest.approx(expected, abs=1e-9)


def test_corrected_v_equals_bergsma_s_formula_worked_by_hand():
    # chi² of [[30, 10], [10, 50]] is 100·(30·50 - 10·10)²/(40·60·40·60) = 34.0278, phi² 0.340278.
    # Corrected: phi² - 1/99 = 0.330177; rows and columns 2 - 1/99 = 1.989899;
    # V = √(0.330177 / 0.989899).
    assert cramers_v([[30, 10], [10, 50]]) == pytest.approx(0.577533, abs=2e-6)


def test_correction_takes_away_what_chance_gives_to_many_small_sources():
    rng = np.random.default_rng(0)
    tables = [
        np.histogram2d(rng.integers(0, 2, 200), rng.integers(0, 60, 200), (2, 60))[0]
        for _ in range(50)
    ]
    assert np.mean([cramers_v(table, corrected=False) for table in tables]) > 0.45
    assert np.mean([cramers_v(table) for table in tables]) < 0.15


@pytest.mark.parametrize("corrected", [True, False])
def test_class_equal_to_source_is_one_and_one_source_is_undefined(corrected):
    assert cramers_v([[50, 0], [0, 70]], corrected=corrected) == pytest.approx(1)
    assert cramers_v([[50], [70]], corrected=corrected) is None
    assert cramers_v([[50, 0], [70, 0]], corrected=corrected) is None


def test_the_table_counts_each_class_and_source_in_order():
    labels, sources = listing(COVID__b=3, Normal__a=2, COVID__a=1, Normal__=4, Other__a=9)
    table = contingency_table(labels, sources, CLASSES)
    assert table.index.tolist() == CLASSES
    assert table.columns.tolist() == ["a", "b"]
    assert table.to_numpy().tolist() == [[2, 0], [1, 3]]


def test_classes_without_a_common_source_are_confounded():
    found = assess_class_by_source(
        *listing(COVID__a=30, COVID__b=20, Normal__c=40, Normal__d=5, Normal__=5), CLASSES
    )
    assert found.finding == "confounded"
    assert found.verdict == (
        "confounded: no source holds both 'Normal' and 'COVID': a network can tell the hospitals"
        " apart instead of the disease (5 of 100 images name no source)"
    )
    assert "cannot test the task" in found.grouped_split_problem
    assert found.source_only_accuracy == 1.0
    assert found.majority_accuracy == pytest.approx(50 / 95)
    assert found.unshared_pairs == [("Normal", "COVID")]
    assert json.loads(json.dumps(asdict(found), allow_nan=False))["counts"] == [
        [40, 0, 0, 5],
        [0, 30, 20, 0],
    ]


def test_one_stray_image_in_a_shared_source_does_not_hide_the_association():
    found = assess_class_by_source(*listing(COVID__a=300, Normal__c=300, Normal__a=1), CLASSES)
    assert found.finding == "associated"
    assert found.cramers_v_corrected > 0.98
    assert "tells the class of 100% of" in found.verdict
    assert "all images of 'COVID' come from one source, 'a'" in found.grouped_split_problem


def test_classes_evenly_spread_over_sources_are_not_associated():
    found = assess_class_by_source(
        *listing(COVID__a=50, Normal__a=48, COVID__b=30, Normal__b=33), CLASSES
    )
    assert found.finding == "not associated"
    assert found.grouped_split_problem is None


def test_three_classes_name_the_pair_that_shares_nothing():
    found = assess_class_by_source(
        *listing(COVID__a=9, Normal__a=9, Normal__b=9, Viral__b=9), [*CLASSES, "Viral"]
    )
    assert found.unshared_pairs == [("COVID", "Viral")]
    assert "both 'COVID' and 'Viral':" in found.verdict


@pytest.mark.parametrize(
    ("images", "verdict"),
    [
        ({"COVID__": 3, "Normal__": 4}, "the data set names no sources"),
        ({}, "no images of these classes"),
        ({"COVID__a": 3, "Normal__": 4}, "no image of 'Normal' names its source"),
        ({"COVID__a": 1, "Normal__b": 1}, "a source of its own"),
    ],
)
def test_what_cannot_be_assessed_says_why_and_has_no_number(images, verdict):
    found = assess_class_by_source(*listing(**images), CLASSES)
    assert found.finding == "not assessable"
    assert found.verdict.startswith("not assessable") and verdict in found.verdict
    json.dumps(asdict(found), allow_nan=False)


def test_one_source_for_all_is_no_confounder_but_cannot_be_split():
    found = assess_class_by_source(*listing(COVID__a=9, Normal__a=9), CLASSES)
    assert found.finding == "not associated" and found.cramers_v is None
    assert "come from one source" in found.grouped_split_problem
