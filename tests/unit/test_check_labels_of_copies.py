"""Copies of one picture carry one label: a pair with two fails, unknown ones are not guessed."""

import pandas as pd

from tests.unit.audit_tables_example import one, pairs, status
from workflow_scripts.cxrcam.verdict.answer import alarms
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.checks import labels_of_copies


def judged(table, images=None):
    return labels_of_copies.judge(AuditTables(duplicates=table, images=images))


def test_a_pair_with_two_labels_fails_and_is_named():
    found = one(
        judged(
            pairs(
                ("a", "b", "exact", "COVID", "COVID"),
                ("b", "c", "re-encoded", "COVID", "Normal"),
                ("x", "y", "re-encoded", "Normal", "Normal"),
            ),
            images=pd.DataFrame(index=range(100)),
        )
    )
    assert found.status == "failed"
    assert "1 of 3 pairs" in found.why and "b (COVID) and c (Normal)" in found.why
    assert "5 images in 2 sets of copies" in found.finding and "among 100 images" in found.finding
    assert alarms([found]) == []


def test_copies_with_one_label_are_counted_and_unknown_labels_are_not_guessed():
    assert status(judged(pairs(("a", "b", "exact", "COVID", "COVID")))) == "passed"
    assert status(judged(pairs())) == "passed"
    for table in (
        pairs(("a", "b", "exact", "COVID", None)),
        pairs(("a", "b", "exact", "COVID", "COVID")).drop(columns="label_b"),
        None,
    ):
        assert status(judged(table)) == "not assessable"
