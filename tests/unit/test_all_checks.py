"""All checks together: nothing is skipped in silence, clean data raise no alarm, one sentence."""

import json
import re
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
from workflow_scripts.cxrcam.verdict.answer import alarms, told_of
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.check import KINDS, REGISTERED, CheckKind, Headline, register
from workflow_scripts.cxrcam.verdict.checks import all_checks, findings
from workflow_scripts.cxrcam.verdict.page import verdict_json, verdict_markdown
from workflow_scripts.cxrcam.verdict.read_tables import headlines


def test_nothing_is_skipped_in_silence():
    checks = all_checks(AuditTables())
    # Of findings there is nothing to say where no network has several.
    of_findings = {name for name, judge in REGISTERED.items() if judge is findings.judge}
    assert {check.name.split(":")[0] for check in checks} == set(REGISTERED) - of_findings
    assert len(REGISTERED) >= 21
    assert {check.status for check in checks} == {"not assessable"}
    headline = Headline("two_class", "holdout", "COVID", 0.93, 0.86, 0.97, 90)
    sentence = verdict_json(checks, headline)["sentence"]
    assert "The network was not tested on images from elsewhere." in sentence


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
        "A classifier that sees only the image border reaches 91 % (cross-validated, n = 300), "
        "where guessing gives 50 %. This does not show that the network recognises COVID."
    )
    assert result["answer"] == (
        "93 % right (86–97, n = 60): not believable, because a shortcut can explain it."
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


def test_no_sentence_of_the_answer_has_more_than_25_words():
    external = pd.DataFrame(
        {"task": "two_class", "scheme": "holdout", "fold": 1, "data_set": "other", "n": 500}
        | {"accuracy": [0.61], "majority_share": 0.72, "internal_n": 60}
        | {"internal_accuracy": 0.93, "macro_auroc": 0.46}
    )
    tables = AuditTables(
        duplicates=pairs(("a", "b", "exact", "Normal", "COVID")),
        images=pd.DataFrame(index=range(300)),
        leaks=leak_rows({"train": "abc", "test": "de"}, [("a", "d", "exact")], task="two_class"),
        floors=measured("marker", 0),
        runs=gaps(-0.02, -0.05, -0.01),
        masked_inputs=masked("lungs_out", 0.9),
        maps={RUN: {"lung_share": score(0.3, 0.2, 0.31), "border_share": score(0.9, 0.85, 0.95)}},
        map_tests={RUN: {"randomisation": cascade(0.9, 0.3)}},
        calibration=calibrated(0.3, 0.3),
        external=external,
    )
    checks = [*all_checks(tables), *all_checks(AuditTables())]
    failed = {check.name.split(":")[0] for check in checks if check.status == "failed"}
    assert len(failed) >= 9
    sentences = [*(told_of(check) for check in checks if check.clause)]
    sentences += [check.advice for check in checks if check.advice]
    for one in sentences:
        assert len(re.findall(r"[^\W\d_]{2,}", one)) <= 25, one


def test_of_no_better_than_guessing_elsewhere_the_answer_says_so_first():
    external = pd.DataFrame(
        {"task": "two_class", "scheme": "holdout", "fold": 1, "data_set": "other", "n": 500}
        | {"accuracy": [0.61], "majority_share": 0.72, "internal_n": 60}
        | {"internal_accuracy": 0.92, "macro_auroc": 0.46}
    )
    checks = all_checks(AuditTables(external=external, floors=measured("marker", 0)))
    headline = Headline("two_class", "holdout", "COVID", 0.92, 0.82, 0.96, 60)
    told = verdict_json(checks, headline)
    assert told["answer"] == (
        "92 % right (82–96, n = 60): not believable, because it is lost on images from elsewhere."
    )
    assert told["against"][0] == (
        "On images from elsewhere (other) the network is right on 61 %, here on 92 %; the "
        "commonest class alone gives 72 %."
    )
    assert "image border" in told["against"][1] or "centre" in told["against"][1]
    assert "AUROC 0.46" in checks[0].finding


def test_each_design_has_its_number_and_the_chosen_one_comes_first_with_its_reason():
    runs = pd.concat([gaps(0.1, 0.0, 0.2, scheme=scheme) for scheme in ("first", "second")])
    chosen = {"task": "two_class", "scheme": "second", "why": "It is the honest one."}
    classes = {"two_class": ["Normal", "COVID"]}
    found = headlines(AuditTables(runs=runs), chosen, classes, [])
    assert [(one.scheme, one.why) for one in found] == [
        ("second", "It is the honest one."),
        ("first", ""),
    ]
    assert found[0].accuracy == 0.93 and found[0].recognised == "COVID"
