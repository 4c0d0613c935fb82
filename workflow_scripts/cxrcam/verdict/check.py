"""What a check of the audit is: a question, its answer, the reason and where the evidence stands.

A check is `passed`, `failed` or `not assessable`; it always says why.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables

Status = Literal["passed", "failed", "not assessable"]
Consequence = Literal["elsewhere", "shortcut", "inflation", "explanation", "limits"]

PASSED: Final = "passed"
FAILED: Final = "failed"
NOT_ASSESSABLE: Final = "not assessable"
STATUSES: Final[tuple[Status, ...]] = get_args(Status)

IN_WORDS: Final[dict[str, str]] = {PASSED: "passed", FAILED: "failed", NOT_ASSESSABLE: "unknown"}
"""What readers see of each status."""

SYMBOLS: Final[dict[str, str]] = {PASSED: "✓", FAILED: "✗", NOT_ASSESSABLE: "?"}

CONSEQUENCES: Final[dict[Consequence, str]] = {
    "elsewhere": "on images from elsewhere the network is no better than guessing",
    "shortcut": "the classes can be told apart, or the network tells them apart, without the lungs",
    "inflation": "the number is higher than on images that are new to the network",
    "explanation": "the maps do not explain the answers",
    "limits": "the number stands, but says less than it seems to",
}
"""What it means that a check failed, the gravest first."""

ALARMS: Final[tuple[Consequence, ...]] = ("elsewhere", "shortcut", "inflation")
"""What puts the number itself in doubt."""


@dataclass(frozen=True)
class Check:
    """The answer to one question about one number.

    Attributes
    ----------
    name : str
        A few words; with `subject` it is the key of the check.
    question : str
        One line, so asked that "passed" is the good answer.
    status : {"passed", "failed", "not assessable"}
    finding : str
        Numbers in words with interval and n; "-" where there are none.
    why : str
        Reason of the status: the rule and how it came out.
    file : str
        Where the evidence stands, relative to ``results/<dataset>/``.
    order : int
        Place on the page and weight in the sentence, the smallest first.
    about : {"elsewhere", "shortcut", "inflation", "explanation", "limits"}
        What a failure means, see `CONSEQUENCES`.
    clause : str
        What the answer says of this check: a sentence of at most 25 words, without capital and
        full stop; empty: not mentioned.
    subject : str
        What was checked: "" the data set, "<task>", or "<task>, <scheme>".
    advice : str
        One sentence: what to do; empty where the check passed.
    mend : str
        What the tool itself can do about the failure, a key of `mend_names.MENDS`; empty: nothing.

    Raises
    ------
    ValueError
        Unknown `status` or `about`, or a status without a reason.
    """

    name: str
    question: str
    status: Status
    finding: str
    why: str
    file: str
    order: int
    about: Consequence
    clause: str = ""
    subject: str = ""
    advice: str = ""
    mend: str = ""

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"status is {self.status!r}, none of {STATUSES}")
        if self.about not in CONSEQUENCES:
            raise ValueError(f"about is {self.about!r}, none of {tuple(CONSEQUENCES)}")
        if not self.why:
            raise ValueError(f"check {self.name!r} does not say why it is {self.status}")


@dataclass(frozen=True)
class CheckKind:
    """What all checks of one kind share; the fields are those of `Check`.

    `advice` and `mend` are those of a check that failed; `to_assess` is the advice, and `untested`
    the clause, of one that could not be made.
    """

    name: str
    question: str
    about: Consequence
    order: int
    file: str
    advice: str
    to_assess: str
    mend: str = ""
    untested: str = ""

    def result(
        self,
        status: Status,
        finding: str,
        why: str,
        *,
        subject: str = "",
        clause: str = "",
        detail: str = "",
        mend: str = "",
    ) -> Check:
        """A check of this kind; `detail` is added to its name, `mend` stands before the kind's."""
        return Check(
            name=f"{self.name}: {detail}" if detail else self.name,
            question=self.question,
            status=status,
            finding=finding or "-",
            why=why,
            file=self.file,
            order=self.order,
            about=self.about,
            clause=self.untested if status == NOT_ASSESSABLE else clause,
            subject=subject,
            advice={FAILED: self.advice, NOT_ASSESSABLE: self.to_assess, PASSED: ""}[status],
            mend=(mend or self.mend) if status == FAILED else "",
        )

    def passed(self, finding: str, why: str, **words: str) -> Check:
        """A check of this kind that passed; `words` as in `result`."""
        return self.result(PASSED, finding, why, **words)

    def failed(self, finding: str, why: str, **words: str) -> Check:
        """A check of this kind that failed; `words` as in `result`."""
        return self.result(FAILED, finding, why, **words)

    def not_assessable(
        self, why: str, *, finding: str = "-", subject: str = "", detail: str = ""
    ) -> Check:
        """A check of this kind that could not be made."""
        return self.result(NOT_ASSESSABLE, finding, why, subject=subject, detail=detail)


Judge = Callable[[AuditTables], list[Check]]
REGISTERED: Final[dict[str, Judge]] = {}
"""What makes the checks of each kind, by the kind's name; filled as `checks` is imported."""

KINDS: Final[dict[str, CheckKind]] = {}
"""Every kind by its name; filled together with `REGISTERED`."""


def register(*kinds: CheckKind) -> Callable[[Judge], Judge]:
    """Make the verdict run the decorated function; ValueError if a kind's name is taken."""

    def add(judge: Judge) -> Judge:
        for kind in kinds:
            if kind.name in REGISTERED:
                raise ValueError(f"there are two checks {kind.name!r}: name one otherwise")
            REGISTERED[kind.name] = judge
            KINDS[kind.name] = kind
        return judge

    return add


@dataclass(frozen=True)
class Headline:
    """The number that is judged.

    Attributes
    ----------
    task, scheme : str
        Design that it comes from.
    recognised : str
        What the network is said to recognise: "COVID", or "the three classes".
    accuracy, low, high : float
        Share of right answers and its 95 % interval, in [0, 1]; of several findings, their mean
        AUROC.
    n : int
        Test images.
    findings : mapping of str to str
        Of a network with several findings, each finding by the task that asks for it.
    why : str
        Sentence on why this design is the headline.

    Raises
    ------
    ValueError
        A share outside [0, 1] (NaN included) or bounds that do not enclose it.
    """

    task: str
    scheme: str
    recognised: str
    accuracy: float
    low: float
    high: float
    n: int
    findings: Mapping[str, str] = field(default_factory=dict)
    why: str = ""

    def __post_init__(self) -> None:
        if not 0.0 <= self.low <= self.accuracy <= self.high <= 1.0:
            raise ValueError(
                f"accuracy {self.accuracy} with bounds {self.low} and {self.high} is no share with "
                "an interval"
            )

    @property
    def subjects(self) -> tuple[str, ...]:
        """Subjects of the checks that concern this number."""
        tasks = [self.task, *self.findings]
        return ("", *tasks, *(f"{task}, {self.scheme}" for task in tasks))

    @property
    def number(self) -> str:
        """The number in words: "93 % right (86–97, n = 90)"."""
        if self.findings:
            interval = f"{self.low:.2f}–{self.high:.2f}, n = {self.n:,}"
            return f"Mean AUROC {self.accuracy:.2f} ({interval})"
        low, high = map(_number_of_per_cent, (self.low, self.high))
        return f"{per_cent(self.accuracy)} right ({low}–{high}, n = {self.n:,})"

    def without(self, subjects: Collection[str]) -> list[str]:
        """Findings of which no check is among `subjects`."""
        return [
            name
            for task, name in self.findings.items()
            if not {task, f"{task}, {self.scheme}"} & set(subjects)
        ]


def is_judged(headline: Mapping[str, Any], task: str, scheme: str) -> bool:
    """Whether a design is that of the headline, as it stands in audit/verdict.json."""
    # A verdict of an earlier version knows no findings.
    tasks = (headline["task"], *headline.get("findings", ()))
    return task in tasks and scheme == headline["scheme"]


# --- numbers in words -----------------------------------------------------------------------------


def _number_of_per_cent(share: float) -> str:
    per_cent = 100.0 * share
    # 99.7 % is not all, and 0.2 % not none.
    if round(per_cent) in (0, 100) and share not in (0.0, 1.0):
        return f"{min(99.9, max(0.1, per_cent)):.1f}"
    return f"{per_cent:.0f}"


def per_cent(share: float) -> str:
    """A share as "93 %"; "100 %" and "0 %" are kept for all and none."""
    if not math.isfinite(share):
        raise ValueError(f"share is {share}; say why there is none instead")
    return f"{_number_of_per_cent(share)} %"


def share_in_words(value: float, low: float, high: float, n: int) -> str:
    """A share with interval and n: "93 % (86 to 97 %, n = 90)"."""
    return f"{per_cent(value)} ({_number_of_per_cent(low)} to {per_cent(high)}, n = {n:,})"


def ordered(checks: Sequence[Check]) -> list[Check]:
    """Checks by order, then by subject and name as they came."""
    return sorted(checks, key=lambda check: check.order)
