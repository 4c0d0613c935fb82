"""Repeatability: networks of other seeds must draw the same maps."""

import dataclasses

import pytest

from tests.unit.audit_tables_example import mean, status
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.checks import repeatability


def outcome(numbers):
    tables = AuditTables(repeatability={("two_class", "holdout"): numbers})
    return status(repeatability.judge(tables))


@pytest.mark.parametrize(
    ("correlation", "expected"), [(0.9, "passed"), (0.2, "failed"), (0.5, "not assessable")]
)
def test_maps_of_other_seeds_must_be_alike(correlation, expected):
    assert outcome({"spearman": dataclasses.asdict(mean(correlation))}) == expected


def test_one_seed_tells_nothing():
    assert outcome({"reason": "one seed"}) == "not assessable"
