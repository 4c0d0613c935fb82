"""Mirror images: their maps must be alike, more than those of different images are."""

import dataclasses

import pytest

from tests.unit.audit_tables_example import RUN, cascade, mean, status
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.checks import mirror_images


def outcome(correlation, floor):
    flip = {
        "ssim": dataclasses.asdict(mean(0.2)),
        "spearman": dataclasses.asdict(mean(correlation)),
    }
    content = {"flip": flip, "randomisation": cascade(0.1, floor)}
    return status(mirror_images.judge(AuditTables(map_tests={RUN: content})))


@pytest.mark.parametrize(
    ("correlation", "expected"), [(0.9, "passed"), (0.2, "failed"), (0.5, "not assessable")]
)
def test_maps_of_mirror_images_must_be_alike(correlation, expected):
    assert outcome(correlation, floor=0.3) == expected


def test_where_maps_of_different_images_correlate_as_well_a_high_correlation_shows_nothing():
    assert outcome(0.9, floor=0.9) != "passed"
