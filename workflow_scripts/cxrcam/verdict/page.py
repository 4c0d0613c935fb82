"""The verdict as a page and for programs: the answer, the designs, and one line a check."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from workflow_scripts.cxrcam.markdown import markdown_text
from workflow_scripts.cxrcam.verdict.answer import (
    answer_of,
    concerning,
    counts,
    short_answer,
)
from workflow_scripts.cxrcam.verdict.check import (
    CONSEQUENCES,
    FAILED,
    IN_WORDS,
    NOT_ASSESSABLE,
    PASSED,
    Check,
    Headline,
    ordered,
)


def verdict_markdown(
    checks: Sequence[Check],
    headline: Headline | None,
    title: str,
    notes: Sequence[str] = (),
    designs: Sequence[Headline] = (),
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
    designs : sequence of Headline
        The number of every design.

    Returns
    -------
    str
        Markdown: the answer and its three points, the notes, a line a design, a line a check
        (failed ones first), and what a failure means.
    """
    told = answer_of(checks, headline)
    points = {"Against it": "against", "Unknown": "unknown", "What to do next": "next"}
    lines = [
        f"# {markdown_text(title)}",
        "",
        f"**{markdown_text(told['answer'])}** {markdown_text(told['meaning'])}",
        "",
        *(f"- {name}: {markdown_text(' '.join(told[key]))}" for name, key in points.items()),
        "",
        *(line for note in notes for line in (markdown_text(note), "")),
        *_of_headline(checks, headline),
        *_designs(checks, designs),
        f"{_in_words(checks)} ({len(checks)} in all). Files are relative to the folder of the data"
        " set.",
    ]
    for status in (FAILED, NOT_ASSESSABLE, PASSED):  # what matters most to the reader, first
        of_status = [check for check in ordered(checks) if check.status == status]
        if of_status:
            heading = f"## {IN_WORDS[status].capitalize()}: {len(of_status)}"
            lines += ["", heading, "", *_table(of_status)]
    failed = [check for check in ordered(checks) if check.status == FAILED]
    if failed:
        lines += ["", "## What the failures mean", ""]
    for about, meaning in CONSEQUENCES.items():
        names = dict.fromkeys(check.name for check in failed if check.about == about)
        if names:
            lines.append(f"- {markdown_text(', '.join(names))}: {meaning}.")
    return "\n".join(lines) + "\n"


def _of_headline(checks: Sequence[Check], headline: Headline | None) -> list[str]:
    """Whose number it is, and how many checks concern it."""
    if headline is None:
        return []
    design = markdown_text(f"{headline.task}, {headline.scheme}")
    why = f" {markdown_text(headline.why)}" if headline.why else ""
    concerned = concerning(checks, headline)
    told = f"Of the {len(concerned)} checks of this number: {_in_words(concerned)}."
    return [f"The number is that of {design}.{why} {told}", ""]


def _designs(checks: Sequence[Check], designs: Sequence[Headline]) -> list[str]:
    """A line a design, where there are several."""
    if len(designs) < 2:
        return []
    lines = ["| Design | Answer | Checks |", "| --- | --- | --- |"]
    for one in designs:
        cells = (
            f"{one.task}, {one.scheme}",
            short_answer(checks, one),
            _in_words(concerning(checks, one)),
        )
        lines.append("| " + " | ".join(map(markdown_text, cells)) + " |")
    return [*lines, ""]


def _in_words(checks: Sequence[Check]) -> str:
    return ", ".join(f"{n} {IN_WORDS[status]}" for status, n in counts(checks).items())


def _table(checks: Sequence[Check]) -> list[str]:
    """Lines of a Markdown table, one a check."""
    lines = [
        "| Check | Of | Status | Found | Why | What to do | Evidence |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for check in checks:
        status = f"**{check.status}**" if check.status == FAILED else IN_WORDS[check.status]
        cells = [
            f"{markdown_text(check.name)}. *{markdown_text(check.question)}*",
            markdown_text(check.subject or "the data"),
            status,
            markdown_text(check.finding),
            markdown_text(check.why),
            markdown_text(check.advice or "-"),
            f"`{check.file}`",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def verdict_json(
    checks: Sequence[Check], headline: Headline | None, designs: Sequence[Headline] = ()
) -> dict[str, Any]:
    """The verdict for programs.

    Returns
    -------
    dict
        Of str, int, float, None, lists and dicts; never NaN. Keys: those of `answer.answer_of`;
        `headline` (the fields of `Headline` and its `number` in words, or None), `counts` (by
        status, of the checks that concern the headline), `designs` (a row each: `task`, `scheme`,
        `number`, `answer`, `counts`, and `subjects` of the checks that concern it), `checks` (the
        fields of `Check`, of all designs, in their order).
    """
    concerned = ordered(checks) if headline is None else concerning(checks, headline)
    return {
        **answer_of(checks, headline),
        "headline": None if headline is None else {**asdict(headline), "number": headline.number},
        "counts": dict(counts(concerned)),
        "designs": [_design(checks, one) for one in designs],
        "checks": [asdict(check) for check in ordered(checks)],
    }


def _design(checks: Sequence[Check], headline: Headline) -> dict[str, Any]:
    return {
        "task": headline.task,
        "scheme": headline.scheme,
        "number": headline.number,
        "answer": short_answer(checks, headline),
        "counts": dict(counts(concerning(checks, headline))),
        "subjects": list(headline.subjects),
    }
