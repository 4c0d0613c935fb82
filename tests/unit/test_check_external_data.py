"""External data: accuracy that falls elsewhere fails."""

from tests.unit.audit_tables_example import one, runs, status
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.checks import external_data


def judged(table):
    return external_data.judge(AuditTables(external=table))


def external(accuracy, n=2000, internal=0.95, majority=0.5):
    names = ("fold", "data_set", "n", "accuracy", "majority_share", "internal_n")
    row = (1, "elsewhere", n, accuracy, majority, n)
    return runs(row, columns=names, internal_accuracy=internal)


def test_accuracy_that_falls_elsewhere_fails():
    fallen = one(judged(external(0.7)))
    assert fallen.status == "failed" and "elsewhere" in fallen.clause
    assert status(judged(external(0.94))) == "passed"
    assert status(judged(external(0.9, n=40))) == "not assessable"
    assert status(judged(external(0.9, internal=0.91, majority=0.95))) == "failed"
    assert one(judged(None)).clause == "external data were not tested"
