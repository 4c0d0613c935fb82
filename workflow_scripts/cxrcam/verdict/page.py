"""The verdict of the audit: one line a check, and one sentence that everybody understands.

The sentence never claims more than was tested. A failed check can take the number away; checks that
passed do not prove it: "no check contradicts it" is the best that a number can get here.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from workflow_scripts.cxrcam.markdown import markdown_text
from workflow_scripts.cxrcam.verdict.check import (
    CONSEQUENCES,
    FAILED,
    NOT_ASSESSABLE,
    PASSED,
    STATUSES,
    Check,
    Headline,
    Status,
    ordered,
)

_MENTIONED = 3
"""Checks that could not be made and are named in the sentence; the others are counted."""


def alarms(checks: Sequence[Check]) -> list[Check]:
    """Failed checks that put the number itself in doubt: shortcuts and inflation."""
    return [
        check
        for check in ordered(checks)
        if check.status == FAILED and check.about in ("shortcut", "inflation")
    ]


def short_answer(checks: Sequence[Check], headline: Headline | None) -> str:
    """Whether the number can be believed, in a few words; `one_sentence` says why.

    Returns
    -------
    str
        "No.", "Not as it stands.", "Not shown." or "Nothing speaks against it."; never "Yes":
        checks that passed do not prove a number. Of several findings, "Not for ..." names those
        that are told by a shortcut, where others are not.
    """
    if headline is None or not checks:
        return "There is no number to judge."
    concerned = [check for check in checks if check.subject in headline.subjects]
    worst = {check.about for check in concerned if check.status == FAILED}
    if "shortcut" in worst:
        return _no(concerned, headline)
    if "inflation" in worst:
        return "Not as it stands."
    if any(check.status != PASSED for check in concerned):
        return "Not shown."
    return "Nothing speaks against it."


def _no(checks: Sequence[Check], headline: Headline) -> str:
    """That the number cannot be believed, or for which findings."""
    subjects = {c.subject for c in checks if c.status == FAILED and c.about == "shortcut"}
    kept = headline.without(subjects)
    lost = [name for name in headline.findings.values() if name not in kept]
    if not kept or not lost:
        return "No."
    if len(lost) > _MENTIONED:
        return f"Not for {len(lost)} of {len(headline.findings)} findings."
    return f"Not for {', '.join(lost[:-1]) + ' and ' * (len(lost) > 1) + lost[-1]}."


def one_sentence(checks: Sequence[Check], headline: Headline | None) -> str:
    """What a reader who is no specialist should take away.

    Parameters
    ----------
    checks : sequence of Check
    headline : Headline or None
        None: there is no number to judge.

    Returns
    -------
    str
        One sentence. Of the checks that concern the headline (its design, its task, the data set)
        the gravest failure is told; if none failed, what could not be tested.
    """
    if not checks:
        return "Nothing was checked, so nothing can be said."
    if headline is None:
        failed = [check for check in ordered(checks) if check.status == FAILED]
        rest = f"; {_counted(len(failed), 'check')} failed: {_clause(failed[0])}" if failed else ""
        return f"There is no number of a network to judge{rest}."
    number = headline.number
    concerned = [check for check in ordered(checks) if check.subject in headline.subjects]
    failed = [check for check in concerned if check.status == FAILED]
    elsewhere = sum(check.status == FAILED for check in checks) - len(failed)
    others = f"; {_counted(elsewhere, 'check')} of other designs failed" if elsewhere else ""
    if not failed:
        return _not_contradicted(number, headline.recognised, concerned) + others + "."
    gravity = list(CONSEQUENCES)
    worst = min(failed, key=lambda check: gravity.index(check.about))
    more = len(failed) - 1
    rest = f": {_clause(worst)}"
    rest += f"; {_counted(more, 'further check')} failed" if more else ""
    start = {
        "shortcut": f"The network's {number} cannot be taken as recognition of "
        f"{headline.recognised}",
        "inflation": f"The network's {number} may be too high",
        "explanation": f"No check made contradicts the network's {number}, but its maps cannot be "
        "shown as the reason",
        "limits": f"No check made shows that the network's {number} comes from a shortcut, but it "
        "must be read with care",
    }[worst.about]
    if worst.about in ("explanation", "limits"):
        rest += _untested(concerned, "; moreover, ")
    return start + rest + others + "."


def _not_contradicted(number: str, recognised: str, checks: Sequence[Check]) -> str:
    untested = _untested(checks, ": ")
    if any(check.status == NOT_ASSESSABLE for check in checks):
        return (
            f"No check that could be made contradicts the network's {number}, which does not prove "
            f"that it recognises {recognised}{untested}"
        )
    return (
        f"None of {_counted(len(checks), 'check')} contradicts the network's {number}, which does "
        f"not prove that it recognises {recognised} in other hospitals"
    )


def _untested(checks: Sequence[Check], start: str) -> str:
    """What could not be tested, in words; "" where everything could."""
    untested = [check for check in checks if check.status == NOT_ASSESSABLE]
    if not untested:
        return ""
    # The first of each kind: several designs or variants say the same.
    clauses = list(dict.fromkeys(check.clause for check in untested if check.clause))
    named = clauses[:_MENTIONED]
    rest = sum(check.clause not in named for check in untested)
    if rest:
        named.append(f"{_counted(rest, 'further check' if named else 'check')} could not be made")
    return start + (", ".join(named[:-1]) + " and " if len(named) > 1 else "") + named[-1]


def _clause(check: Check) -> str:
    return check.clause or f"{check.name} ({check.finding})"


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


# --- the page -------------------------------------------------------------------------------------


def counts(checks: Sequence[Check]) -> dict[Status, int]:
    """Number of checks of each status; every status is there."""
    return {status: sum(check.status == status for check in checks) for status in STATUSES}


def verdict_markdown(
    checks: Sequence[Check], headline: Headline | None, title: str, notes: Sequence[str] = ()
) -> str:
    """The verdict as a page.

    Parameters
    ----------
    checks : sequence of Check
    headline : Headline or None
    title : str
        Heading of the page.
    notes : sequence of str
        Sentences on the networks that are no checks.

    Returns
    -------
    str
        Markdown: the short answer and the sentence, the notes, the counts, one line a check (failed
        ones first), and what a failure means.
    """
    counted = ", ".join(f"{n} {status}" for status, n in counts(checks).items())
    lines = [
        f"# {markdown_text(title)}",
        "",
        f"**{short_answer(checks, headline)}** {markdown_text(one_sentence(checks, headline))}",
        "",
        *(line for note in notes for line in (markdown_text(note), "")),
        f"{counted} ({len(checks)} in all). Files are relative to the folder of the data set.",
    ]
    for status in (FAILED, NOT_ASSESSABLE, PASSED):  # what matters most to the reader, first
        of_status = [check for check in ordered(checks) if check.status == status]
        if of_status:
            lines += ["", f"## {status.capitalize()}: {len(of_status)}", "", *_table(of_status)]
    failed = [check for check in ordered(checks) if check.status == FAILED]
    if failed:
        lines += ["", "## What the failures mean", ""]
    for about, meaning in CONSEQUENCES.items():
        names = dict.fromkeys(check.name for check in failed if check.about == about)
        if names:
            lines.append(f"- {markdown_text(', '.join(names))}: {meaning}.")
    return "\n".join(lines) + "\n"


def _table(checks: Sequence[Check]) -> list[str]:
    """Lines of a Markdown table, one a check."""
    lines = [
        "| Check | Of | Status | Found | Why | Evidence |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for check in checks:
        status = f"**{check.status}**" if check.status == FAILED else check.status
        cells = [
            f"{markdown_text(check.name)}. *{markdown_text(check.question)}*",
            markdown_text(check.subject or "the data"),
            status,
            markdown_text(check.finding),
            markdown_text(check.why),
            f"`{check.file}`",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def verdict_json(checks: Sequence[Check], headline: Headline | None) -> dict[str, Any]:
    """The verdict for programs.

    Returns
    -------
    dict
        Of str, int, float, None, lists and dicts; never NaN. Keys: `answer` (`short_answer`),
        `sentence`, `headline` (the fields of `Headline` or None), `counts` (by status), `checks`
        (the fields of `Check`, in their order).
    """
    return {
        "answer": short_answer(checks, headline),
        "sentence": one_sentence(checks, headline),
        "headline": None if headline is None else {**asdict(headline), "number": headline.number},
        "counts": dict(counts(checks)),
        "checks": [asdict(check) for check in ordered(checks)],
    }
