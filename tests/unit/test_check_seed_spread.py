"""Luck of the seed: seeds that differ by more than the interval fail."""

from tests.unit.audit_tables_example import one, runs, status
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.checks import seed_spread


def judged(table):
    return seed_spread.judge(AuditTables(runs=table))


def test_seeds_that_differ_by_more_than_the_interval_fail():
    assert status(judged(runs((1, 0, 60, 0.95), (1, 1, 60, 0.90)))) == "passed"
    assert status(judged(runs((1, 0, 60, 0.95), (1, 1, 60, 0.60)))) == "failed"
    single = one(judged(runs((1, 0, 60, 0.95), (2, 0, 60, 0.5))))
    assert single.status == "not assessable" and "seeds: [0, 1, 2]" in single.why
