"""Leaks across a split fail it; what nobody looked at is no pass."""

import pandas as pd

from tests.unit.audit_tables_example import leak_rows
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.checks import leaks


def judged(table):
    return leaks.judge(AuditTables(leaks=table))


def test_one_twin_in_training_fails_the_split_and_says_whose_fault_it_is():
    roles = {"train": "abc", "test": "de", "validation": "f"}
    table = leak_rows(roles, [("a", "d", "re-encoded"), ("f", "b", "exact")])
    copies, patients = judged(table)
    assert copies.status == "failed" and "a fault of the program" in copies.why
    assert copies.finding.startswith("1 of 2 test images (50 %) have a copy in training")
    assert copies.finding.endswith("of the validation images 1 of 1")
    assert patients.status == "not assessable" and "names no patients" in patients.why
    copies, _ = judged(table.assign(grouped=False))
    assert copies.status == "failed" and "`grouped: true`" in copies.why


def test_a_leak_in_one_fold_is_a_leak_and_a_fold_nobody_looked_at_is_no_pass():
    roles = {"train": "abc", "test": "de"}
    clean, leaky = leak_rows(roles, []), leak_rows(roles, [("a", "d", "re-encoded")], fold=2)
    unseen = leak_rows(roles, None, fold=3)
    assert [c.status for c in judged(clean)] == ["passed", "not assessable"]
    assert judged(pd.concat([clean, leaky]))[0].status == "failed"
    assert judged(pd.concat([leaky, unseen]))[0].status == "failed"
    assert judged(pd.concat([clean, unseen]))[0].status == "not assessable"


def test_patients_pass_only_where_nearly_all_are_known():
    roles = {"train": "abc", "test": "de"}
    for patients, expected in (
        (["1", "2", "3", "4", "5"], "passed"),
        (["1", "2", "3", "3", "5"], "failed"),
        (["1", "2", "3", "4", None], "not assessable"),
    ):
        assert judged(leak_rows(roles, [], patients))[1].status == expected


def test_twins_in_validation_alone_are_told_and_do_not_fail_the_test():
    copies, _ = judged(
        leak_rows({"train": "a", "test": "b", "validation": "c"}, [("a", "c", "re-encoded")])
    )
    assert copies.status == "passed" and "of the validation images 1 of 1" in copies.finding


def test_a_leak_is_mended_by_grouping_unless_the_split_is_grouped_already():
    pairs = [("a", "b", "exact")]
    loose, grouped = (
        judged(leak_rows({"train": "a", "test": "b"}, pairs, grouped=grouped))[0]
        for grouped in (False, True)
    )
    assert loose.mend == "without_twins" and "`grouped: true`" in loose.advice
    assert grouped.mend == "" and grouped.advice.startswith("Report this fault")
