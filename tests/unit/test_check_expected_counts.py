"""Expected counts: another data set fails."""

import pandas as pd

from tests.unit.audit_tables_example import status
from workflow_scripts.cxrcam.data.expected import COLUMNS
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.checks import expected_counts


def judged(table):
    return expected_counts.judge(AuditTables(expected=table))


def test_another_data_set_than_expected_fails():
    table = pd.DataFrame([("images of COVID", 3616, 3615, False)], columns=COLUMNS)
    assert status(judged(table)) == "failed"
    assert status(judged(table.assign(found=3616, agrees=True))) == "passed"
    assert status(judged(None)) == "not assessable"
