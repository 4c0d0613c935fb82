"""Size of the test set: too few images of a class, or too wide an interval, fail."""

from tests.unit.audit_tables_example import one, runs, status
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.checks import size_of_test_set


def judged(table):
    return size_of_test_set.judge(AuditTables(runs=table))


def test_small_test_sets_fail_by_class_or_by_width_and_folds_add_up():
    small = one(judged(runs((1, 0, 40, 0.9)).assign(n_smallest_class=10)))
    assert small.status == "failed" and "10 test images" in small.why
    wide = one(judged(runs((1, 0, 60, 0.5))))
    assert wide.status == "failed" and "more than 20" in wide.why
    folds = runs(*((fold, 0, 40, 0.9) for fold in range(4))).assign(n_smallest_class=10)
    assert status(judged(folds)) == "passed"
    assert "classes not counted" in one(judged(runs((1, 0, 400, 0.9)))).why
