"""Checks of single findings, driven by scores: shortcuts, covered images, images from elsewhere."""

from functools import cache

import pandas as pd
import pytest

from tests.unit.audit_tables_example import gaps, masked, measured
from tests.unit.findings_example import (
    COVERED,
    SCHEME,
    TASK,
    external_table,
    question,
    questions,
    table_of_findings,
)
from workflow_scripts.cxrcam.metrics.findings import MEAN, NETWORK
from workflow_scripts.cxrcam.verdict.answer import meaning, sentence, short_answer, word_of
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.check import FAILED, PASSED
from workflow_scripts.cxrcam.verdict.checks import (
    better_than_floor,
    external_data,
    findings,
    given_away,
    masked_input,
)
from workflow_scripts.cxrcam.verdict.finding_rows import finding_rows
from workflow_scripts.cxrcam.verdict.page import verdict_json, verdict_markdown
from workflow_scripts.cxrcam.verdict.read_tables import findings_headline

LABEL = "Mass"


def checks_of(table, external=None):
    labels = [name for name in table["finding"].unique() if name != MEAN]
    tables = AuditTables(findings=table, questions=questions(*labels), external=external)
    return findings.judge(tables)


VARIANTS = {name.removeprefix("network, ").replace(" ", "_"): name for name in COVERED}


@cache
def judged(kind, n=400, share=0.3, external=None, **apart):
    """Checks of one kind of a network with one finding; `apart` as in `table_of_findings`."""
    own = {VARIANTS.get(name, name): value for name, value in apart.items()}
    table = table_of_findings({LABEL: own}, n, share)
    elsewhere = None if external is None else external_table(LABEL, *external)
    found = [c for c in checks_of(table, elsewhere) if c.name.split(":")[0] == kind.name]
    assert {check.subject for check in found} == {f"{question(LABEL)}, {SCHEME}"}
    return found


def one(kind, **about):
    (check,) = judged(kind, **about)
    return check


def covered(variant, **about):
    (check,) = [c for c in judged(findings.COVERED, **about) if c.name.endswith(f": {variant}")]
    return check


# --- one finding ----------------------------------------------------------------------------------


def test_nothing_is_judged_without_a_table():
    assert findings.judge(AuditTables()) == []


def test_a_finding_is_given_away_by_what_no_lung_explains():
    assert one(findings.GIVEN_AWAY).status == PASSED
    border = one(findings.GIVEN_AWAY, border=1.5)
    assert border.status == FAILED
    assert border.clause.startswith(
        "a classifier that sees only the image border can tell Mass, AUROC 0.8"
    )
    assert border.why == "even the lower bounds exceed the limits: border 0.60"
    # Greys tell something of many diseases: forgiven up to 0.90.
    assert one(findings.GIVEN_AWAY, histogram=1.5).status == PASSED
    assert one(findings.GIVEN_AWAY, histogram=3.0).status == FAILED
    few = one(findings.GIVEN_AWAY, n=20)
    assert few.status == "not assessable"
    assert few.why.startswith("too few images to tell for")
    without = dict.fromkeys(("border", "corners", "histogram", "centre_black"))
    assert one(findings.GIVEN_AWAY, **without).why == "no floor could be judged"


def test_a_network_is_compared_with_the_best_floor():
    passed = one(findings.BETTER)
    assert passed.status == PASSED
    assert "thumbnail" in passed.finding
    worse = one(findings.BETTER, thumbnail=5.0)
    assert worse.status == FAILED
    assert "sees only a thumbnail of 28 x 28 cells is better" in worse.clause
    # Equal to a floor: a failure only where that floor, or another, gives the finding away.
    assert one(findings.BETTER, network=0.7, thumbnail=0.5).status == "not assessable"
    equal = one(findings.BETTER, network=3.0, border=3.0)
    assert equal.status == FAILED
    assert equal.why == "no clear difference, and the data give the finding away"
    assert "sees only the image border is as good" in equal.clause
    without = dict.fromkeys(("border", "corners", "histogram", "centre_black", "thumbnail"), None)
    assert one(findings.BETTER, **without).why == "it was not compared with a floor"


def test_what_is_left_on_covered_images_is_judged():
    for variant in ("lungs covered", "border only"):
        key = variant.replace(" ", "_")
        assert covered(variant).status == PASSED
        shown = covered(variant, **{key: 2.5})
        assert shown.status == FAILED
        assert shown.clause.startswith(f"with {variant} Mass can still be told, AUROC 0.9")
        assert covered(variant, n=150, **{key: 1.1}).status == "not assessable"
    chance = covered("border only", network=0.0)
    assert chance.why == "the network itself is not clearly better than chance"
    assert covered("border only", border_only=None).why == "it was not tested"


def test_the_centre_is_covered_where_there_are_no_masks():
    names = [c.name for c in judged(findings.COVERED, lungs_covered=None)]
    assert names == [f"{findings.COVERED.name}: {v}" for v in ("centre covered", "border only")]
    assert covered("centre covered", lungs_covered=None).status == PASSED
    failed = covered("centre covered", lungs_covered=None, centre_covered=2.5)
    assert failed.status == FAILED


def test_a_finding_is_judged_on_images_from_elsewhere():
    kind = findings.ELSEWHERE
    assert "no data set from elsewhere" in one(kind).why
    assert one(kind, external=(3.0,)).status == PASSED
    fall = one(kind, external=(1.0,))
    assert (fall.status, fall.why) == (FAILED, "the AUROC falls by more than 0.05")
    assert fall.clause.startswith("on images from elsewhere (elsewhere) the AUROC of Mass is 0.7")
    few = one(kind, external=(2.4, 60))
    assert few.status == "not assessable"
    lost = one(kind, external=(3.0, 100, 0.0))
    assert lost.why == "it has too few images with or without Mass"
    # At home it is weak, so that the fall is small: still no better than chance.
    chance = one(kind, network=0.2, n=100, external=(-0.4,))
    assert (chance.status, chance.why) == (FAILED, "it is no better than chance")


def test_many_findings_widen_the_intervals():
    weak = {"border": 0.56}
    alone = checks_of(table_of_findings({"a": weak}, n=500))
    many = checks_of(table_of_findings({"a": weak} | {f"b{k}": {} for k in range(12)}, n=500))
    first = [
        next(c for c in found if c.name == findings.GIVEN_AWAY.name) for found in (alone, many)
    ]
    assert all(check.subject == f"{question('a')}, {SCHEME}" for check in first)
    assert first[0].status == FAILED
    assert first[1].status != FAILED


# --- several findings together --------------------------------------------------------------------

SHORTCUT = {"border": 1.5, "network, lungs covered": 2.5, "network, border only": 2.5}
LABELS = ["COVID", "Effusion", "Mass"]


@cache
def three(*shortcuts):
    table = table_of_findings({name: SHORTCUT if name in shortcuts else {} for name in LABELS})
    design = {
        **{"task": TASK, "scheme": SCHEME, "findings": LABELS},
        "questions": [question(name) for name in LABELS],
    }
    elsewhere = pd.concat([external_table(name, 3.0) for name in LABELS])
    return table, findings_headline(table, design), checks_of(table, elsewhere)


def test_the_answer_names_the_findings_that_a_shortcut_tells():
    _, headline, checks = three("COVID")
    assert short_answer(checks, headline) == (
        f"{headline.number}: not believable for COVID, because a shortcut can explain it."
    )
    assert meaning(checks, headline).endswith("the network recognises COVID.")
    assert word_of(three("COVID", "Mass")[2], headline) == "not believable for COVID and Mass"
    assert word_of(three(*LABELS)[2], headline) == "not believable"
    assert meaning(three(*LABELS)[2], headline).endswith("recognises the 3 findings.")
    assert word_of(three()[2], headline) == "nothing speaks against it"


def test_an_answer_with_many_findings_counts_them():
    names = [f"f{k}" for k in range(6)]
    table = table_of_findings({n: SHORTCUT if n != "f5" else {} for n in names}, n=600)
    design = {
        **{"task": TASK, "scheme": SCHEME, "findings": names},
        "questions": [question(name) for name in names],
    }
    headline = findings_headline(table, design)
    assert word_of(checks_of(table), headline) == "not believable for 5 of 6 findings"
    assert meaning(checks_of(table), headline).endswith("recognises the 6 findings.")


def test_the_sentence_tells_the_mean_auroc_and_the_gravest_failure():
    table, headline, checks = three("COVID")
    row = table[(table["finding"] == MEAN) & (table["classifier"] == NETWORK)].iloc[0]
    number = f"{row['auroc']:.2f} ({row['auroc_low']:.2f}–{row['auroc_high']:.2f}, n = 400)"
    assert headline.number == f"Mean AUROC {number}"
    assert sentence(checks, headline).startswith(
        "A classifier that sees only the image border can tell COVID, AUROC 0."
    )
    told = verdict_json(checks, headline)
    assert told["headline"]["number"] == headline.number
    assert told["headline"]["findings"][question("COVID")] == "COVID"
    assert ": not believable for COVID, " in verdict_markdown(checks, headline, "x")


def test_checks_of_the_whole_network_concern_every_finding():
    _, headline, checks = three()
    leak = given_away.KIND.failed("-", "because", subject=f"{TASK}, {SCHEME}", clause="all leak")
    assert word_of([*checks, leak], headline) == "not believable"
    other = given_away.KIND.failed("-", "because", subject=f"other, {SCHEME}")
    assert word_of([*checks, other], headline) == "nothing speaks against it"


def test_one_row_a_finding_with_its_best_floor_and_answer():
    table, headline, checks = three("COVID")
    rows = finding_rows(table, headline, checks)
    assert [row["finding"] for row in rows] == [*LABELS, MEAN]
    by_name = table.set_index(["finding", "classifier"])
    for row in rows:
        network = by_name.loc[row["finding"], NETWORK]
        assert row["auroc"] == network["auroc"]
        assert (row["n"], row["n_present"]) == (network["n"], network["n_present"])
        floors = by_name.loc[row["finding"]]["auroc"].drop([NETWORK, *COVERED])
        assert (row["floor"], row["floor_auroc"]) == (floors.idxmax(), floors.max())
        assert row["gap"] == pytest.approx(row["auroc"] - row["floor_auroc"])
        assert row["sensitivity"] is None
    assert [row["answer"] for row in rows] == [
        "Not believable.",
        *["Nothing speaks against it."] * 2,
        "",
    ]
    assert rows[0]["reason"].startswith(
        "A classifier that sees only the image border can tell COVID"
    )
    assert [row["reason"] for row in rows[1:]] == ["", "", ""]
    assert rows[0]["floor"] == "border"


# --- checks of exclusive classes ------------------------------------------------------------------


def test_checks_of_shares_of_right_answers_leave_findings_out():
    tasks = {"two_class": "two_class", "chest_Mass": "chest_Mass"}

    def both(table):
        return pd.concat([table.assign(task=task) for task in tasks])

    def tables(of_both, questions_too=True):
        return AuditTables(
            runs=of_both(gaps(0.2, 0.1, 0.3)),
            floors=of_both(measured("clean", 0)),
            masked_inputs=of_both(masked("lungs_covered", 0.55)),
            external=of_both(_external_shares()),
            questions=questions(LABEL) if questions_too else {},
        )

    for kind in (better_than_floor, given_away, masked_input, external_data):
        subjects = {check.subject.split(",")[0] for check in kind.judge(tables(both))}
        assert subjects == {"two_class"}, kind
        without = {c.subject.split(",")[0] for c in kind.judge(tables(both, False))}
        assert without == set(tasks), kind
        only = tables(lambda table: table.assign(task="chest_Mass"))
        assert only.only_findings
        assert kind.judge(only) == [], kind
    assert not AuditTables().only_findings


def _external_shares():
    columns = {"n": 300, "accuracy": 0.9, "majority_share": 0.5}
    inside = {"internal_n": 300, "internal_accuracy": 0.9}
    of_run = {"scheme": "holdout", "fold": 1, "seed": 0, "data_set": "elsewhere", "reason": ""}
    return pd.DataFrame([{**of_run, **columns, **inside}])
