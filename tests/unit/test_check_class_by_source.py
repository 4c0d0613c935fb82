"""Class by source: the check follows the finding."""

import dataclasses

from tests.unit.audit_tables_example import one, status
from workflow_scripts.cxrcam.audit.class_by_source import assess_class_by_source
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.checks import class_by_source


def judged(table):
    return class_by_source.judge(AuditTables(sources=table))


def test_sources_follow_the_finding():
    def assessed(*counts):
        rows = [(c, s) for c, s, n in counts for _ in range(n)]
        found = assess_class_by_source(*zip(*rows, strict=True), ["Normal", "COVID"])
        return one(judged({"two_class": dataclasses.asdict(found)}))

    confounded = assessed(("Normal", "x", 20), ("COVID", "y", 20))
    assert confounded.status == "failed" and confounded.subject == "two_class"
    assert confounded.clause == "no source holds images of both Normal and COVID"
    assert confounded.mend == ""  # no sampling gives a source what it does not have
    mixed = [("Normal", "x", 40), ("COVID", "x", 5), ("Normal", "y", 5), ("COVID", "y", 40)]
    assert "right on 89 %" in assessed(*mixed).clause
    assert assessed(*mixed).mend == "balance_sources"
    even = [(c, s, 20) for c in ("Normal", "COVID") for s in "xy"]
    assert assessed(*even).status == "passed"
    assert assessed(("Normal", None, 20), ("COVID", None, 20)).status == "not assessable"
    assert status(judged({})) == "not assessable"
