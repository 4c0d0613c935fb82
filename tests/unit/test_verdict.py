"""Verdict: one line a check, one sentence that never claims more than was tested."""

import json
import math
from dataclasses import replace

import pytest

from workflow_scripts.cxrcam.verdict.answer import (
    MEND,
    NO_NUMBER,
    NOT_BELIEVABLE,
    NOT_PROVEN,
    NOTHING_AGAINST,
    REASONS,
    TOO_HIGH,
    against,
    alarms,
    answer_of,
    meaning,
    sentence,
    short_answer,
    to_do,
    unknown,
    word_of,
)
from workflow_scripts.cxrcam.verdict.check import (
    CONSEQUENCES,
    Check,
    CheckKind,
    Headline,
    per_cent,
    share_in_words,
)
from workflow_scripts.cxrcam.verdict.page import verdict_json, verdict_markdown

WHY = "Nothing saw the test images."
HEADLINE = Headline("two_class", "holdout", "COVID", 0.933, 0.86, 0.97, 90, why=WHY)
NUMBER = "93 % right (86–97, n = 90)"
OTHER = Headline("two_class", "published", "COVID", 0.99, 0.95, 0.999, 90)


def check(status="passed", about="shortcut", order=1, clause="", subject="", name="a check"):
    return Check(
        name, "Is it?", status, "4 of 5", "because", "f.csv", order, about, clause, subject
    )


def test_a_shortcut_takes_the_number_away():
    border = check("failed", clause="a classifier that sees only the image border reaches 91 %")
    told = answer_of([check(), border], HEADLINE)
    assert told["answer"] == f"{NUMBER}: not believable, because a shortcut can explain it."
    assert told["sentence"] == (
        "A classifier that sees only the image border reaches 91 %. This does not show that the "
        "network recognises COVID."
    )
    assert told["against"] == ["A classifier that sees only the image border reaches 91 %."]


@pytest.mark.parametrize(
    ("checks", "word"),
    [
        ([check("failed", "shortcut"), check("failed", "elsewhere")], NOT_BELIEVABLE),
        ([check("failed", "inflation"), check("failed", "shortcut")], NOT_BELIEVABLE),
        ([check(), check("failed", "inflation")], TOO_HIGH),
        ([check(), check("failed", "explanation")], NOT_PROVEN),
        ([check(), check("not assessable")], NOT_PROVEN),
        ([check("failed", subject="other, design")], NOT_PROVEN),
        ([check(), check("failed", subject="other, design")], NOTHING_AGAINST),
    ],
)
def test_the_answer_is_that_of_the_gravest_failure_and_never_yes(checks, word):
    assert word_of(checks, HEADLINE) == word
    answer = short_answer(checks, HEADLINE)
    assert answer.startswith(f"{NUMBER}: {word}")
    gravest = next((reason for about, reason in REASONS.items() if about in
                    {c.about for c in checks if c.status == "failed"}), "") if (
        word == NOT_BELIEVABLE) else ""  # fmt: skip
    assert answer == f"{NUMBER}: {word}{f', because {gravest}' if gravest else ''}."
    assert short_answer(checks, None) == NO_NUMBER
    assert verdict_json(checks, HEADLINE)["answer"] == answer
    assert f"\n\n**{answer}** " in verdict_markdown(checks, HEADLINE, "Believed?")


def test_the_worst_finding_leads_and_the_others_are_counted():
    checks = [
        check("failed", "limits", 1, "too few images", name="size"),
        check("failed", "inflation", 70, "11 of 60 test images have a copy", name="copies"),
        check("failed", "shortcut", 40, "the corners tell", name="traces: corners"),
        check("failed", "shortcut", 41, "the border tells", name="traces: border"),
        check("failed", "elsewhere", 10, "elsewhere it is right on 61 %", name="external"),
    ]
    assert against(checks) == [
        "Elsewhere it is right on 61 %.",
        "The corners tell.",
        "11 of 60 test images have a copy.",
        "2 more checks failed.",
    ]
    assert sentence(checks, HEADLINE).startswith("Elsewhere it is right on 61 %. This does not")


def test_a_fall_elsewhere_is_told_beside_the_shortcut_that_the_answer_names():
    fall = check("failed", "inflation", 10, "elsewhere it is right on 74 %", name="external")
    border = check("failed", "shortcut", 20, "the border tells", name="border")
    assert sentence([fall, border], HEADLINE) == (
        "Elsewhere it is right on 74 %. The border tells. This does not show that the network "
        "recognises COVID."
    )
    assert sentence([fall], HEADLINE) == "Elsewhere it is right on 74 %. Expect less on new images."


def test_passed_checks_never_prove_recognition():
    assert sentence([check()], HEADLINE) == (
        "1 check passed; they do not prove that the network recognises COVID in other hospitals."
    )
    assert "could not be made" in meaning([check(), check("not assessable")], HEADLINE)


def test_what_was_not_tested_is_named_in_its_order_and_the_rest_is_counted():
    checks = [
        check("not assessable", order=5, clause="copies were not looked for", name="copies"),
        check("not assessable", order=1, clause="it was not tested elsewhere", name="external: a"),
        check("not assessable", order=1, clause="it was not tested elsewhere", name="external: b"),
        check("not assessable", order=0, name="maps"),
        check(order=0),
    ]
    assert unknown(checks) == [
        "It was not tested elsewhere.",
        "Copies were not looked for.",
        "1 more check could not be made.",
    ]
    assert sentence(checks, HEADLINE) == (
        "No check failed, but 4 of 5 checks could not be made. It was not tested elsewhere."
    )
    assert unknown([check()]) == ["Nothing that these checks ask."]


@pytest.mark.parametrize("about", ["explanation", "limits"])
def test_bad_maps_or_few_images_do_not_accuse_the_number_of_a_shortcut(about):
    bad = check("failed", about, clause="the maps avoid the lungs")
    told = answer_of([bad, check()], HEADLINE)
    assert told["answer"] == f"{NUMBER}: not proven."
    assert "does not show" not in told["sentence"] and "new images" not in told["sentence"]
    assert told["sentence"].startswith("The maps avoid the lungs. ")
    assert alarms([bad]) == []


def test_other_designs_do_not_judge_the_headline_and_have_an_answer_of_their_own():
    checks = [
        check("failed", subject="two_class, published", clause="copies"),
        check("failed", subject="three_class", clause="corners"),
        check(subject="two_class, holdout"),
    ]
    told = verdict_json(checks, HEADLINE, [HEADLINE, OTHER])
    assert told["counts"] == {"passed": 1, "failed": 0, "not assessable": 0}
    assert told["against"] == ["No check failed."]
    first, second = told["designs"]
    assert first["answer"] == f"{NUMBER}: nothing speaks against it."
    assert second["answer"] == (
        "99 % right (95–99.9, n = 90): not believable, because a shortcut can explain it."
    )
    assert second["counts"]["failed"] == 1 and second["subjects"] == list(OTHER.subjects)
    page = verdict_markdown(checks, HEADLINE, "x", designs=[HEADLINE, OTHER])
    assert f"| two_class, published | {second['answer']} |" in page
    assert f"{WHY} Of the 1 checks of this number: 1 passed, 0 failed, 0 unknown." in page
    ours = check("failed", subject="two_class", clause="the data give it away")
    assert word_of([*checks, ours], HEADLINE) == NOT_BELIEVABLE


def test_what_to_do_starts_with_the_alarm_and_says_nothing_twice():
    def advised(status, about, advice, mend="", order=1):
        return replace(check(status, about, order), advice=advice, mend=mend)

    checks = [
        advised("failed", "limits", "Test more images."),
        advised("not assessable", "inflation", "Name another hospital.", order=2),
        advised("failed", "shortcut", "Blank the corners.", "blank", order=3),
        advised("failed", "shortcut", "Blank the corners, and train again.", "blank", order=4),
        advised("failed", "limits", "Look at the images.", order=9),
    ]
    assert to_do(checks) == ["Blank the corners.", "Name another hospital.", MEND]
    same = [replace(one, mend="") for one in checks[1:3]]
    also = replace(same[1], mend="", name="another", subject="two_class")
    assert to_do([*same, also]) == ["Blank the corners.", "Name another hospital."]
    assert to_do([check()]) == ["Test it on images from further hospitals."]


def test_without_checks_or_a_number_nothing_is_claimed():
    assert sentence([], HEADLINE) == "Nothing was checked, so nothing can be said."
    assert word_of([], HEADLINE) == NOT_PROVEN
    told = verdict_json([check("failed", clause="corners tell"), check()], None)
    assert (told["answer"], told["sentence"]) == (NO_NUMBER, "Corners tell.")


def test_only_doubts_of_the_number_itself_are_alarms():
    failed = [check("failed", about, order) for order, about in enumerate(reversed(CONSEQUENCES))]
    assert [c.about for c in alarms([check(), *failed])] == ["inflation", "shortcut", "elsewhere"]


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
    assert "2 passed, 1 failed, 1 unknown (4 in all)" in page
    assert all("because" in row for row in rows)
    assert f"- wrong: {CONSEQUENCES['shortcut']}." in page
    assert page.startswith(f"# Can it be believed?\n\n**{NUMBER}: not believable, because")


def test_the_json_is_plain_and_complete():
    checks = [check(order=2), check("failed", order=1)]
    result = json.loads(json.dumps(verdict_json(checks, HEADLINE), allow_nan=False))
    assert [entry["order"] for entry in result["checks"]] == [1, 2]
    assert result["counts"] == {"passed": 1, "failed": 1, "not assessable": 0}
    assert result["headline"]["n"] == 90
    assert {"against", "unknown", "next", "meaning", "designs"} <= set(result)
    assert result["headline"]["why"] == WHY
    assert result["sentence"] == sentence(checks, HEADLINE)
    assert verdict_json([], None)["headline"] is None
