"""Randomisation: maps that survive untrained weights fail."""

from tests.unit.audit_tables_example import RUN, cascade, one
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.checks import randomisation


def outcome(rows):
    return one(randomisation.judge(AuditTables(map_tests={RUN: {"randomisation": rows}})))


def test_maps_that_survive_untrained_weights_fail():
    assert outcome(cascade(0.9, 0.3)).status == "failed"
    assert outcome(cascade(0.1, 0.3)).status == "passed"
    # As alike as maps of different images are anyway: nothing of the learnt is left.
    assert outcome(cascade(0.7, 0.8)).status == "passed"
    assert outcome(cascade(0.5, 0.3)).status == "not assessable"
    # Where all maps are alike from the start, as constant ones, nothing can fail.
    assert outcome(cascade(0.9, 0.95)).status == "not assessable"
    assert outcome({"reason": "too small"}).why == "too small"
