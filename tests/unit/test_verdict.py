"""Verdict: one line a check, one sentence that never claims more than was tested."""

import json
import math

import pytest

from workflow_scripts.cxrcam.verdict.check import (
    CONSEQUENCES,
    Check,
    CheckKind,
    Headline,
    per_cent,
    share_in_words,
)
from workflow_scripts.cxrcam.verdict.page import (
    alarms,
    one_sentence,
    short_answer,
    verdict_json,
    verdict_markdown,
)

HEADLINE = Headline("two_class", "holdout", "COVID", 0.933, 0.86, 0.97, 90)
NUMBER = "93 % (86 to 97 %, n = 90)"


def check(status="passed", about="shortcut", order=1, clause="", subject="", name="a check"):
    return Check(
        name, "Is it?", status, "4 of 5", "because", "f.csv", order, about, clause, subject
    )


def test_a_shortcut_takes_the_number_away():
    border = check("failed", clause="a classifier that sees only the image border reaches 91 %")
    assert one_sentence([check(), border], HEADLINE) == (
        f"The network's {NUMBER} cannot be taken as recognition of COVID: a classifier that sees "
        "only the image border reaches 91 %."
    )


@pytest.mark.parametrize(
    ("checks", "answer"),
    [
        ([check("failed", "inflation"), check("failed", "shortcut")], "No."),
        ([check(), check("failed", "inflation")], "Not as it stands."),
        ([check(), check("failed", "explanation")], "Not shown."),
        ([check(), check("not assessable")], "Not shown."),
        ([check(), check("failed", subject="other, design")], "Nothing speaks against it."),
    ],
)
def test_the_short_answer_is_that_of_the_gravest_failure_and_never_yes(checks, answer):
    assert short_answer(checks, HEADLINE) == answer
    assert (
        short_answer(checks, None) == short_answer([], HEADLINE) == "There is no number to judge."
    )
    assert verdict_json(checks, HEADLINE)["answer"] == answer
    assert f"\n\n**{answer}** " in verdict_markdown(checks, HEADLINE, "Believed?")


def test_the_gravest_failure_is_told_and_the_others_are_counted():
    checks = [
        check("failed", "limits", 1, "too few images"),
        check("failed", "inflation", 2, "11 of 60 test images have a copy in training"),
        check("failed", "shortcut", 9, "the corners tell"),
        check("failed", "shortcut", 8, "the border tells"),
    ]
    sentence = one_sentence(checks, HEADLINE)
    assert "cannot be taken as recognition of COVID: the border tells; 3 further" in sentence
    assert one_sentence(checks[:2], HEADLINE).startswith(
        f"The network's {NUMBER} may be too high: 11 of 60 test images have a copy in training; 1 "
        "further check failed"
    )


def test_passed_checks_never_prove_recognition():
    for checks in ([check()], [check(), check("not assessable", clause="nobody looked")]):
        sentence = one_sentence(checks, HEADLINE)
        assert "contradicts" in sentence and "does not prove that it recognises COVID" in sentence


def test_what_was_not_tested_is_named_in_its_order_and_the_rest_is_counted():
    checks = [
        check("not assessable", order=5, clause="copies were not looked for"),
        check("not assessable", order=1, clause="external data were not tested"),
        check("not assessable", order=1, clause="external data were not tested"),
        check("not assessable", order=7),
        check(order=0),
    ]
    assert one_sentence(checks, HEADLINE) == (
        f"No check that could be made contradicts the network's {NUMBER}, which does not prove "
        "that it recognises COVID: external data were not tested, copies were not looked for and "
        "1 further check could not be made."
    )


@pytest.mark.parametrize("about", ["explanation", "limits"])
def test_bad_maps_or_few_images_do_not_accuse_the_number_of_a_shortcut(about):
    bad = check("failed", about, clause="they avoid the lungs")
    untested = check("not assessable", clause="external data were not tested")
    sentence = one_sentence([bad, untested], HEADLINE)
    assert "cannot be taken" not in sentence and "too high" not in sentence
    assert "they avoid the lungs; moreover, external data were not tested" in sentence
    assert alarms([bad, untested]) == []


def test_failures_of_other_designs_are_counted_but_do_not_judge_the_headline():
    checks = [
        check("failed", subject="two_class, published", clause="copies"),
        check("failed", subject="three_class", clause="corners"),
        check(subject="two_class, holdout"),
    ]
    sentence = one_sentence(checks, HEADLINE)
    assert "cannot be taken" not in sentence
    assert sentence.endswith("; 2 checks of other designs failed.")
    ours = check("failed", subject="two_class", clause="the data give it away")
    assert "cannot be taken" in one_sentence([*checks, ours], HEADLINE)


def test_without_checks_or_a_number_nothing_is_claimed():
    assert one_sentence([], HEADLINE) == "Nothing was checked, so nothing can be said."
    sentence = one_sentence([check("failed", clause="corners tell"), check()], None)
    assert sentence == "There is no number of a network to judge; 1 check failed: corners tell."


def test_only_shortcuts_and_inflation_are_alarms():
    failed = [check("failed", about, order) for order, about in enumerate(reversed(CONSEQUENCES))]
    assert [c.about for c in alarms([check(), *failed])] == ["inflation", "shortcut"]


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.933, "93 %"), (1.0, "100 %"), (0.9999, "99.9 %"), (0.996, "99.6 %"), (0.002, "0.2 %"),
     (0.0, "0 %"), (1e-9, "0.1 %")],
)  # fmt: skip
def test_nearly_all_is_not_all_and_nearly_none_not_none(share, words):
    assert per_cent(share) == words


def test_no_number_is_ever_nan():
    with pytest.raises(ValueError, match="nan"):
        per_cent(math.nan)
    with pytest.raises(ValueError, match="nan"):
        Headline("t", "s", "COVID", math.nan, 0.1, 0.9, 10)
    with pytest.raises(ValueError, match=r"0\.95"):
        Headline("t", "s", "COVID", 0.5, 0.95, 0.99, 10)
    assert share_in_words(0.95, 0.9, 1.0, 1200) == "95 % (90 to 100 %, n = 1,200)"


def test_a_check_without_reason_or_with_a_made_up_status_is_refused():
    with pytest.raises(ValueError, match="does not say why"):
        Check("x", "?", "passed", "-", "", "f", 1, "limits")
    with pytest.raises(ValueError, match="'skipped'"):
        check("skipped")
    with pytest.raises(ValueError, match="'nothing'"):
        check(about="nothing")


def test_a_kind_keeps_its_clause_for_what_it_could_not_test():
    kind = CheckKind(
        *("leaks", "Any?", "inflation", 3, "l.csv"),
        advice="Group them.",
        to_assess="Look.",
        mend="groups",
        untested="nobody looked",
    )
    assert kind.not_assessable("no table").clause == "nobody looked"
    failed = kind.result("failed", "3 of 5", "found", clause="three leak", detail="copies")
    assert (failed.clause, failed.name) == ("three leak", "leaks: copies")
    assert kind.result("passed", "", "none").finding == "-"


def test_a_failed_check_says_what_to_do_and_a_passed_one_nothing():
    kind = CheckKind(
        *("leaks", "Any?", "inflation", 3, "l.csv"),
        advice="Group them.",
        to_assess="Look.",
        mend="groups",
    )
    said = {
        check.status: (check.advice, check.mend)
        for check in (kind.failed("3", "x"), kind.passed("0", "x"), kind.not_assessable("x"))
    }
    assert said == {
        "failed": ("Group them.", "groups"),
        "passed": ("", ""),
        "not assessable": ("Look.", ""),
    }
    assert kind.failed("3", "x", mend="other").mend == "other"


def test_the_page_has_one_line_a_check_failures_first_and_hides_none():
    checks = [
        check(name="passed late", order=5),
        check(name="passed early", order=1),
        check("failed", name="wrong", order=4, clause="pipes | break"),
        check("not assessable", name="open | bar", order=3),
    ]
    page = verdict_markdown(checks, HEADLINE, "Can it be believed?")
    rows = [line for line in page.splitlines() if line.startswith("| ") and "`f.csv`" in line]
    names = [row.split(".")[0] for row in rows]
    assert names == ["| wrong", "| open \\| bar", "| passed early", "| passed late"]
    assert "2 passed, 1 failed, 1 not assessable (4 in all)" in page
    assert all("because" in row for row in rows)
    assert f"- wrong: {CONSEQUENCES['shortcut']}." in page
    assert page.startswith("# Can it be believed?\n\n**No.** The network's")


def test_the_json_is_plain_and_complete():
    checks = [check(order=2), check("failed", order=1)]
    result = json.loads(json.dumps(verdict_json(checks, HEADLINE), allow_nan=False))
    assert [entry["order"] for entry in result["checks"]] == [1, 2]
    assert result["counts"] == {"passed": 1, "failed": 1, "not assessable": 0}
    assert result["headline"]["n"] == 90
    assert result["sentence"] == one_sentence(checks, HEADLINE)
    assert verdict_json([], None)["headline"] is None
