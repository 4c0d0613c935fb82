"""Size of the test set: too few images of a class, or too wide an interval, fail."""

from tests.unit.audit_tables_example import one, runs, status
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.checks import size_of_test_set


def judged(table):
    return size_of_test_set.judge(AuditTables(runs=table))


def test_a_rare_class_fails_by_name_however_accurate_the_network_is():
    small = one(judged(runs((1, 0, 303, 0.99)).assign(n_smallest_class=3)))
    assert small.status == "failed"
    assert "the rarest class, COVID, has 3 test images, fewer than 30" in small.why
    assert small.clause == "only 3 test images are of COVID, the rarest class"


def test_a_wide_interval_fails():
    wide = one(judged(runs((1, 0, 60, 0.5))))
    assert wide.status == "failed" and "more than 20" in wide.why


def test_a_single_image_is_named_as_one():
    (check,) = judged(runs((1, 0, 60, 0.9)).assign(n_smallest_class=1))
    assert check.clause == "only 1 test image is of COVID, the rarest class"


def test_folds_add_up_and_seeds_do_not():
    folds = runs(*((fold, 0, 40, 0.9) for fold in range(4))).assign(n_smallest_class=10)
    assert status(judged(folds)) == "passed"
    seeds = runs(*((1, seed, 40, 0.9) for seed in range(4))).assign(n_smallest_class=10)
    assert status(judged(seeds)) == "failed"
