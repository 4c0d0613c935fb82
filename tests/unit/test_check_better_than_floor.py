"""Better than the best floor: a gap that holds zero fails only on data that give the class away."""

import pandas as pd

from tests.unit.audit_tables_example import NAN, gaps, measured, one, status
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.checks import better_than_floor

GIVE_AWAY = measured("exposure", 0)
"""Floors that alone tell the classes apart, without any network."""


def judged(table, floors=None):
    return better_than_floor.judge(AuditTables(runs=table, floors=floors))


def test_a_gap_that_holds_zero_fails_only_where_the_data_give_the_class_away():
    unclear = gaps(0.02, -0.05, 0.09)
    for floors in (None, measured("clean", 0), GIVE_AWAY.assign(task="another")):
        assert status(judged(unclear, floors)) == "not assessable"
    for floors in (GIVE_AWAY, GIVE_AWAY.assign(scheme="another")):
        assert status(judged(unclear, floors)) == "failed"
    failed = one(judged(unclear, GIVE_AWAY))
    assert failed.status == "failed"
    assert failed.clause == (
        "a classifier that sees only the image border is as good, 91 % against 93 %"
    )
    for floors in (None, GIVE_AWAY):
        assert status(judged(gaps(0.2, 0.1, 0.3), floors)) == "passed"
    assert "is better" in one(judged(gaps(-0.05, -0.09, -0.01))).clause


def test_a_gap_that_rounds_to_nothing_has_no_minus_before_its_zero():
    assert "a difference of +0 points (-5 to +5," in one(judged(gaps(-0.002, -0.05, 0.05))).finding


def test_many_designs_widen_the_gap_and_a_missing_interval_is_said():
    near = gaps(0.1, 0.01, 0.19)
    assert status(judged(near)) == "passed"
    assert one(judged(near)).why == "the whole interval is above 0 (95.0 % interval)"
    both = pd.concat([near, *(gaps(0.1, 0.01, 0.19, scheme=f"s{k}") for k in range(9))])
    assert {c.status for c in judged(both)} == {"not assessable"}
    wider = "(99.5 % interval, as 10 designs were judged)"
    assert all(c.why.startswith("no clear") and c.why.endswith(wider) for c in judged(both))
    missing = gaps(NAN, NAN, NAN).assign(reason="all test images are of one group")
    assert one(judged(missing)).why == "all test images are of one group"
