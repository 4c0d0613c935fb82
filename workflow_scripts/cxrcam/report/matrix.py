"""The checks of the report: a row a design, a column a kind of check, and below what was found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from workflow_scripts.cxrcam.report.cells import Link
from workflow_scripts.cxrcam.verdict.check import (
    CONSEQUENCES,
    FAILED,
    IN_WORDS,
    NOT_ASSESSABLE,
    PASSED,
    SYMBOLS,
)

GRAVITY: Final = (FAILED, NOT_ASSESSABLE, PASSED)
"""What a mark of several checks shows: the first of these that one of them has."""


@dataclass(frozen=True)
class Mark:
    """How checks of one kind came out for one design.

    Attributes
    ----------
    status, symbol, word : str
        Of the gravest of them; `status` is also the name of a style.
    href : str
        Where it stands on the page.
    """

    status: str
    symbol: str
    word: str
    href: str


@dataclass(frozen=True)
class Row:
    """A design: its marks by kind, None where no check of a kind concerns it."""

    task: str
    scheme: str
    marks: Sequence[Mark | None]


@dataclass(frozen=True)
class Found:
    """One check; `id` is its place on the page, `evidence` its file where there is one."""

    id: str
    mark: Mark
    subject: str
    detail: str
    finding: str
    why: str
    advice: str
    evidence: Link | None


@dataclass(frozen=True)
class Kind:
    """All checks of one kind, the gravest first; `marks` has how many there are of each status."""

    id: str
    name: str
    question: str
    meaning: str
    marks: Sequence[tuple[Mark, int]]
    found: Sequence[Found]


@dataclass(frozen=True)
class Matrix:
    """All checks of the audit."""

    kinds: Sequence[Kind]
    rows: Sequence[Row]


def check_matrix(verdict: Mapping[str, Any], evidence: Mapping[str, str]) -> Matrix:
    """The checks of a verdict.

    Parameters
    ----------
    verdict : mapping
        audit/verdict.json.
    evidence : mapping of str to str
        Link to each file that a check names, where there is one.
    """
    numbered = list(enumerate(verdict["checks"]))
    names = list(dict.fromkeys(_kind_of(check) for _, check in numbered))
    by_kind = {name: [one for one in numbered if _kind_of(one[1]) == name] for name in names}
    kinds = [_kind(k, name, by_kind[name], evidence) for k, name in enumerate(names)]
    rows = [
        Row(
            design["task"],
            design["scheme"],
            [_gravest(by_kind[name], design["subjects"]) for name in names],
        )
        for design in verdict["designs"]
    ]
    return Matrix(kinds, rows)


def _kind_of(check: Mapping[str, Any]) -> str:
    return str(check["name"]).split(":")[0]


def _mark(status: str, href: str) -> Mark:
    return Mark(status.replace(" ", "-"), SYMBOLS[status], IN_WORDS[status], href)


def _gravest(
    checks: Sequence[tuple[int, Mapping[str, Any]]], subjects: Sequence[str]
) -> Mark | None:
    concerned = [(k, check["status"]) for k, check in checks if check["subject"] in subjects]
    if not concerned:
        return None
    number, status = min(concerned, key=lambda one: GRAVITY.index(one[1]))
    return _mark(status, f"#check-{number}")


def _kind(
    number: int,
    name: str,
    checks: Sequence[tuple[int, Mapping[str, Any]]],
    evidence: Mapping[str, str],
) -> Kind:
    in_order = sorted(checks, key=lambda one: GRAVITY.index(one[1]["status"]))
    statuses = [check["status"] for _, check in in_order]
    href = f"#kind-{number}"
    failed = next((check for _, check in in_order if check["status"] == FAILED), None)
    return Kind(
        id=href[1:],
        name=name,
        question=in_order[0][1]["question"],
        meaning=CONSEQUENCES[failed["about"]] if failed else "",
        marks=[(_mark(s, href), statuses.count(s)) for s in dict.fromkeys(statuses)],
        found=[_found(k, check, evidence) for k, check in in_order],
    )


def _found(number: int, check: Mapping[str, Any], evidence: Mapping[str, str]) -> Found:
    file = str(check["file"])
    return Found(
        id=f"check-{number}",
        mark=_mark(check["status"], f"#check-{number}"),
        subject=check["subject"] or "the data",
        detail=str(check["name"]).partition(": ")[2],
        finding=check["finding"],
        why=check["why"],
        advice=check.get("advice", ""),
        evidence=Link(file, evidence[file]) if file in evidence else None,
    )
