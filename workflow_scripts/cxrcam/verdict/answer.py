"""What the audit answers: a few words that cannot be misread, and three points behind them.

The answer is the number and one of these words, "92 % right (82–96, n = 60): not proven.":

- "not believable, because it is lost on images from elsewhere": no better there than guessing;
- "not believable, because a shortcut can explain it": the classes can be told without the lungs;
- "too high for new images": it falls elsewhere, or test images were in training;
- "not proven": a check failed that leaves the number standing, or one could not be made;
- "nothing speaks against it": every check passed, which proves nothing. There is no better word.

Of several findings, "not believable for COVID and Mass" names those that are lost where others are
not. The points are what speaks against the number, what is unknown, and what to do next; each is a
list of short sentences.
"""

from collections.abc import Sequence
from typing import Any, Final

from workflow_scripts.cxrcam.verdict.check import (
    ALARMS,
    CONSEQUENCES,
    FAILED,
    NOT_ASSESSABLE,
    STATUSES,
    Check,
    Consequence,
    Headline,
    Status,
    ordered,
)

NO_NUMBER: Final = "There is no number to judge."
NOTHING_AGAINST: Final = "nothing speaks against it"
NOT_PROVEN: Final = "not proven"
TOO_HIGH: Final = "too high for new images"
NOT_BELIEVABLE: Final = "not believable"
REASONS: Final[dict[Consequence, str]] = {
    "elsewhere": "it is lost on images from elsewhere",
    "shortcut": "a shortcut can explain it",
}
"""Why a number is not believable, the gravest first."""

MEND: Final = "`snakemake mend` writes what the tool can mend itself, as a second study."

MOST_SENTENCES: Final = 3
"""Sentences of each point; what is left out is counted."""


def concerning(checks: Sequence[Check], headline: Headline) -> list[Check]:
    """Checks of the number: of its design, its task and the data set, in their order."""
    return [check for check in ordered(checks) if check.subject in headline.subjects]


def alarms(checks: Sequence[Check]) -> list[Check]:
    """Failed checks that put the number itself in doubt, in their order."""
    return [c for c in ordered(checks) if c.status == FAILED and c.about in ALARMS]


def counts(checks: Sequence[Check]) -> dict[Status, int]:
    """Number of checks of each status; every status is there."""
    return {status: sum(check.status == status for check in checks) for status in STATUSES}


def word_of(checks: Sequence[Check], headline: Headline) -> str:
    """Whether the number can be believed, without the number and the reason."""
    concerned = concerning(checks, headline)
    failed = {check.about for check in concerned if check.status == FAILED}
    if failed & set(REASONS):
        return _not_believable(concerned, headline)
    if "inflation" in failed:
        return TOO_HIGH
    if not concerned or any(check.status != "passed" for check in concerned):
        return NOT_PROVEN
    return NOTHING_AGAINST


def _lost(checks: Sequence[Check], headline: Headline) -> list[str]:
    """Of several findings those that are not believable; empty where all or none are."""
    subjects = {c.subject for c in checks if c.status == FAILED and c.about in REASONS}
    kept = headline.without(subjects)
    return [name for name in headline.findings.values() if name not in kept] if kept else []


def _not_believable(checks: Sequence[Check], headline: Headline) -> str:
    """That the number cannot be believed, or for which findings."""
    lost = _lost(checks, headline)
    if len(lost) > MOST_SENTENCES:
        return f"{NOT_BELIEVABLE} for {len(lost)} of {len(headline.findings)} findings"
    return f"{NOT_BELIEVABLE} for {_joined(lost)}" if lost else NOT_BELIEVABLE


def short_answer(checks: Sequence[Check], headline: Headline | None) -> str:
    """The number, and whether it can be believed; the words are those of this module."""
    if headline is None:
        return NO_NUMBER
    word = word_of(checks, headline)
    failed = {c.about for c in concerning(checks, headline) if c.status == FAILED}
    reason = next((reason for about, reason in REASONS.items() if about in failed), None)
    return f"{headline.number}: {word}{f', because {reason}' if reason else ''}."


def meaning(checks: Sequence[Check], headline: Headline | None) -> str:
    """What a reader who is no specialist should take away, in one sentence."""
    if headline is None:
        return "Nothing can be said of a network."
    concerned = concerning(checks, headline)
    n = counts(concerned)
    failed = {check.about for check in concerned if check.status == FAILED}
    if failed:
        gravest = next(about for about in CONSEQUENCES if about in failed)
        lost = _lost(concerned, headline)
        named = _joined(lost) if 0 < len(lost) <= MOST_SENTENCES else headline.recognised
        does_not_show = f"This does not show that the network recognises {named}."
        return {
            "elsewhere": does_not_show,
            "shortcut": does_not_show,
            "inflation": "Expect less on new images.",
            "explanation": "Do not give the maps as the reason of an answer.",
            "limits": "The number says less than it seems to.",
        }[gravest]
    if not concerned:
        return "No check was made of it."
    if n[NOT_ASSESSABLE]:
        made = f"{n[NOT_ASSESSABLE]} of {_counted(len(concerned), 'check')} could not be made"
        return f"No check failed, but {made}."
    return (
        f"{_counted(len(concerned), 'check')} passed; they do not prove that the network recognises"
        f" {headline.recognised} in other hospitals."
    )


def against(checks: Sequence[Check]) -> list[str]:
    """What speaks against the number: a sentence a kind of check that failed, the worst first.

    An alarm comes before what leaves the number standing, and images from elsewhere before all.
    """
    failed = [check for check in ordered(checks) if check.status == FAILED]
    failed.sort(key=lambda check: check.about not in ALARMS)
    return _some(failed, "failed") or ["No check failed."]


def unknown(checks: Sequence[Check]) -> list[str]:
    """What could not be tested: a sentence a kind of check, in their order."""
    untested = [check for check in ordered(checks) if check.status == NOT_ASSESSABLE]
    told = [check for check in untested if check.clause]
    return _some([*told, *(c for c in untested if not c.clause)], "could not be made") or [
        "Nothing that these checks ask."
    ]


def to_do(checks: Sequence[Check]) -> list[str]:
    """What to do next, the most pressing first: an alarm, what is unknown, other failures.

    Where the tool can mend something itself, the last sentence says how.
    """
    urgent = [
        *alarms(checks),
        *(check for check in ordered(checks) if check.status == NOT_ASSESSABLE),
        *(check for check in ordered(checks) if check.status == FAILED),
    ]
    # Of failures that one mend answers, the first says what to do.
    advice: dict[str, str] = {}
    for check in urgent:
        if check.advice:
            advice.setdefault(check.mend or check.advice, check.advice)
    told = list(dict.fromkeys(advice.values()))
    if any(check.mend for check in checks if check.status == FAILED):
        return [*told[: MOST_SENTENCES - 1], MEND]
    return told[:MOST_SENTENCES] or ["Test it on images from further hospitals."]


def sentence(checks: Sequence[Check], headline: Headline | None) -> str:
    """The worst finding and what it means, in one to three short sentences.

    Parameters
    ----------
    checks : sequence of Check
    headline : Headline or None
        None: there is no number to judge.

    Returns
    -------
    str
        Of the checks that concern the headline only.
    """
    if not checks:
        return "Nothing was checked, so nothing can be said."
    if headline is None:
        return against(checks)[0]
    concerned = concerning(checks, headline)
    doubts = alarms(concerned)
    if doubts:
        # What leads may be less grave than what the answer names: then both are told.
        gravest = min(doubts, key=lambda check: list(CONSEQUENCES).index(check.about))
        told = [told_of(check) for check in (doubts[0], gravest)]
    elif any(check.status == FAILED for check in concerned):
        told = against(concerned)[:1]
    elif any(check.status == NOT_ASSESSABLE for check in concerned):
        return f"{meaning(checks, headline)} {unknown(concerned)[0]}"
    else:
        told = []
    return " ".join([*dict.fromkeys(told), meaning(checks, headline)])


def told_of(check: Check) -> str:
    """The clause of a check as a sentence; where it has none, its name and what was found."""
    clause = check.clause or f"{check.name}: {check.finding}"
    return f"{clause[:1].upper()}{clause[1:]}."


def answer_of(checks: Sequence[Check], headline: Headline | None) -> dict[str, Any]:
    """All that is answered: `answer`, `sentence`, `meaning`, `against`, `unknown`, `next`."""
    concerned = ordered(checks) if headline is None else concerning(checks, headline)
    return {
        "answer": short_answer(checks, headline),
        "sentence": sentence(checks, headline),
        "meaning": meaning(checks, headline),
        "against": against(concerned),
        "unknown": unknown(concerned),
        "next": to_do(concerned),
    }


def _some(checks: Sequence[Check], what_happened: str) -> list[str]:
    """A sentence a kind of check, the first of each; what is left out is counted."""
    first: dict[str, Check] = {}
    for check in checks:
        if check.clause or what_happened == "failed":
            first.setdefault(check.name.split(":")[0], check)
    told = list(dict.fromkeys(told_of(check) for check in first.values()))[:MOST_SENTENCES]
    more = sum(told_of(check) not in told for check in checks)
    if more:
        also = "more " if told else ""
        told.append(f"{more} {also}check{'' if more == 1 else 's'} {what_happened}.")
    return told


def _joined(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " and " * (len(names) > 1) + names[-1]


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
