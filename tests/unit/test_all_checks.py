"""All checks together: nothing is skipped in silence, clean data raise no alarm, one sentence."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.unit.audit_tables_example import (
    RUN,
    calibrated,
    cascade,
    gaps,
    leak_rows,
    masked,
    measured,
    pairs,
    score,
)
from workflow_scripts.cxrcam.configuration.mend_names import MENDS
from workflow_scripts.cxrcam.verdict import checks as package
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.check import KINDS, REGISTERED, CheckKind, Headline, register
from workflow_scripts.cxrcam.verdict.checks import all_checks, findings
from workflow_scripts.cxrcam.verdict.page import alarms, verdict_json, verdict_markdown


def test_nothing_is_skipped_in_silence():
    checks = all_checks(AuditTables())
    # Of findings there is nothing to say where no network has several.
    of_findings = {name for name, judge in REGISTERED.items() if judge is findings.judge}
    assert {check.name.split(":")[0] for check in checks} == set(REGISTERED) - of_findings
    assert len(REGISTERED) >= 21
    assert {check.status for check in checks} == {"not assessable"}
    headline = Headline("two_class", "holdout", "COVID", 0.93, 0.86, 0.97, 90)
    sentence = verdict_json(checks, headline)["sentence"]
    assert "external data were not tested" in sentence and "does not prove" in sentence


def test_all_tables_together_give_the_verdict_in_order_and_plain_json():
    tables = AuditTables(
        duplicates=pairs(),
        images=pd.DataFrame(index=range(300)),
        leaks=leak_rows({"train": "abc", "test": "de"}, [], task="two_class", scheme="holdout"),
        floors=measured("exposure", 0),
        runs=gaps(0.02, -0.05, 0.09),
        masked_inputs=masked("border_only", 0.9),
        maps={RUN: {"lung_share": score(0.5, 0.4, 0.6)}},
        map_tests={RUN: {"randomisation": cascade(0.1, 0.3)}},
        calibration=calibrated(0.1, 0.02),
    )
    checks = all_checks(tables)
    assert [c.order for c in checks] == sorted(c.order for c in checks)
    failed = {c.name for c in alarms(checks)}
    assert failed == {
        "the data give it away", "better than a blind classifier", "masked input: border only",
    }  # fmt: skip
    headline = Headline("two_class", "holdout", "COVID", 0.93, 0.86, 0.97, 60)
    result = json.loads(json.dumps(verdict_json(checks, headline), allow_nan=False))
    assert result["sentence"] == (
        "The network's 93 % (86 to 97 %, n = 60) cannot be taken as recognition of COVID: a "
        "classifier that sees only the image border reaches 91 % (cross-validated, n = 300), where "
        "guessing gives 50 %; 2 further checks failed."
    )
    assert "nan" not in verdict_markdown(checks, headline, "Verdict").lower()


def test_a_clean_audit_raises_no_alarm():
    tables = AuditTables(
        duplicates=pairs(),
        leaks=leak_rows({"train": "abc", "test": "de"}, [], task="two_class", scheme="holdout"),
        floors=measured("clean", 0),
        runs=gaps(0.02, -0.05, 0.09),
        masked_inputs=masked("lungs_out", 0.55, n=60),
    )
    assert alarms(all_checks(tables)) == []


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("the data give it away", "floors"),
        ("copies across the split", "leaks"),
        ("masked input", "masked_inputs"),
        ("size of the test set", "runs"),
    ],
)
def test_a_table_that_lacks_a_column_is_named(name, table):
    tables = AuditTables(**{table: pd.DataFrame({"task": ["t"], "scheme": ["s"]})})
    with pytest.raises(ValueError, match="has no column"):
        REGISTERED[name](tables)


def test_every_file_of_a_check_is_imported_and_so_registered():
    files = {file.stem for file in Path(package.__file__).parent.glob("[!_]*.py")}
    judges = {judge.__module__.rpartition(".")[2] for judge in REGISTERED.values()}
    assert judges == files and len(files) > 15


def test_two_checks_of_one_name_are_refused():
    taken = CheckKind("calibration", "Again?", "limits", 1, "f.csv", "Mend it.", "Look.")
    with pytest.raises(ValueError, match="two checks 'calibration'"):
        register(taken)(lambda tables: [])


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_kind_says_what_to_do(kind):
    for advice in (kind.advice, kind.to_assess):
        assert advice.endswith(".") and len(advice) > 20 and ". " not in advice
    assert kind.mend in ("", *MENDS)


def test_every_check_that_did_not_pass_carries_advice():
    checks = all_checks(AuditTables())
    assert all(check.advice and not check.mend for check in checks)
