"""Regions of evidence: the smallest that hold a share, none where nothing speaks for the class."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from workflow_scripts.cxrcam.maps.placement import place_map
from workflow_scripts.cxrcam.maps.regions import evidence_regions

MAPS = hnp.arrays(np.float32, (5, 5), elements=st.floats(-50, 50, width=16), unique=True)


@given(MAPS, st.floats(0.01, 1.0))
@settings(max_examples=100)
def test_a_region_holds_its_share_and_no_smaller_one_does(placed, share):
    (region,) = evidence_regions(placed, (share,))
    positive = placed[placed > 0].astype(float)
    if not positive.size:
        assert not region.any()
        return
    held = placed[region].astype(float)
    assert held.sum() >= share * positive.sum() * (1 - 1e-12)
    assert held.sum() - held.min() < share * positive.sum()
    # Nothing outside is larger than what is inside.
    assert placed[~region].max(initial=-np.inf) < held.min()


def test_the_smaller_share_lies_inside_the_larger_and_both_where_the_evidence_is():
    raw = np.zeros((7, 7), dtype=np.float32)
    raw[2, 4] = 3.0
    placed = place_map(raw, 224, input_size=224, stride=32, offset=0)
    half, quarter = evidence_regions(placed)
    assert quarter.any()
    assert not (quarter & ~half).any()
    assert half.sum() > quarter.sum()
    assert quarter[64, 128]
    assert half.mean() < 0.05


def test_without_positive_evidence_there_is_no_region():
    for placed in (np.zeros((9, 9)), np.full((9, 9), -2.0)):
        assert evidence_regions(placed).shape == (2, 9, 9)
        assert not evidence_regions(placed).any()


def test_of_a_constant_map_no_place_stands_out():
    assert evidence_regions(np.full((9, 9), 0.3)).all()


def test_what_is_negative_counts_for_nothing():
    placed = np.array([[4.0, 1.0], [1.0, -100.0]])
    assert evidence_regions(placed, (0.6, 1.0)).tolist() == [
        [[True, False], [False, False]],
        [[True, True], [True, False]],
    ]


def test_a_map_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="nan"):
        evidence_regions([[np.nan, 1.0]])
