"""The paper's claims beside what was found here: the scorecard.

A claim is `reproduced`, `not reproduced`, or `cannot be tested on this data`; each comes with its
number, 95 % interval, n, the floor (what a classifier reaches that cannot see lung detail) and the
reason of the verdict. `claims` holds the claims themselves.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.markdown import markdown_text
from workflow_scripts.cxrcam.paper.designs import Designs

REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
UNTESTABLE = "cannot be tested on this data"
VERDICTS = (REPRODUCED, NOT_REPRODUCED, UNTESTABLE)
NO_FLOOR = "not yet measured"
NO_IMAGES = "no floor applies"


@dataclass(frozen=True)
class Claim:
    """One row of the scorecard.

    Attributes
    ----------
    element : str
        Where it stands in the paper.
    claim : str
        What the paper says.
    paper : str
        Its number, or "-".
    ours : str
        What was found here, in words and numbers.
    verdict : str
    why : str
    value, low, high : float or None
        The number behind it with its 95 % interval.
    n : int or None
        Images or runs that it counts, as `ours` says.
    floor : str
        Best accuracy of a classifier that cannot see lung detail.
    """

    element: str
    claim: str
    paper: str
    ours: str
    verdict: str
    why: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    floor: str = NO_IMAGES


@dataclass(frozen=True)
class Evidence:
    """All that the claims are judged by.

    Attributes
    ----------
    metrics : DataFrame
        tables/metrics.csv: one row a run.
    efforts : DataFrame
        One row a run: task, scheme, fold, seed and the fields of `time_to_target.Effort`.
    classes : mapping of str to sequence of str
        Classes of each task.
    designs : Designs
    target : float
        Accuracy to which effort was counted.
    parameters : mapping of str to int
        Trainable parameters of the network, by task.
    architecture : str
    expected : DataFrame or None
        As from `expected.compare_with_expected`; None where nothing is expected of the data.
    channels : DataFrame
        Strongest channels: class, channel, share of positive evidence.
    maps : mapping of (str, str) to mapping
        By task and scheme: scores of the maps of a run, as from `map_tests.places.place_scores`.
    """

    metrics: pd.DataFrame
    efforts: pd.DataFrame
    classes: Mapping[str, Sequence[str]]
    designs: Designs
    target: float
    parameters: Mapping[str, int]
    architecture: str
    expected: pd.DataFrame | None
    channels: pd.DataFrame
    maps: Mapping[tuple[str, str], Mapping[str, Any]]

    def runs(self, task: str, scheme: str | None) -> pd.DataFrame:
        """Rows of the metrics of one design."""
        table = self.metrics
        return table[(table["task"] == task) & (table["scheme"] == scheme)]

    def effort(self, task: str, scheme: str | None) -> pd.DataFrame:
        """Rows of the efforts of one design."""
        table = self.efforts
        return table[(table["task"] == task) & (table["scheme"] == scheme)]


# --- numbers --------------------------------------------------------------------------------------


def floor_of(runs: pd.DataFrame) -> str:
    """Best floor on the test images of a design, in words."""
    if runs.empty or "best_floor_accuracy" not in runs or runs["best_floor_accuracy"].isna().any():
        return NO_FLOOR
    mean = float(np.average(runs["best_floor_accuracy"], weights=runs["n"]))
    names = runs["best_floor"].mode()
    return f"{mean:.1%} ({names.iloc[0]})"


# --- the card -------------------------------------------------------------------------------------

COLUMNS = {
    "element": "In the paper",
    "claim": "Claim",
    "paper": "Paper",
    "ours": "Found here",
    "value": "Value",
    "low": "95 % from",
    "high": "to",
    "n": "n",
    "floor": "Floor",
    "verdict": "Verdict",
    "why": "Why",
}


def scorecard_table(claims: Sequence[Claim]) -> pd.DataFrame:
    """One row a claim, columns the keys of `COLUMNS`."""
    return pd.DataFrame([vars(claim) for claim in claims], columns=list(COLUMNS))


def scorecard_markdown(claims: Sequence[Claim], title: str, origins: Iterable[str]) -> str:
    """The scorecard as a page that reads from top to bottom.

    A list and not a table: some claims take three lines.

    Parameters
    ----------
    claims : sequence of Claim
    title : str
    origins : iterable of str
        What the networks started from.
    """
    notes = (
        f"Initial weights: {', '.join(sorted(origins))}. The paper's are ImageNet's.",
        "Intervals are 95 %: Wilson's for shares of images, Student's and Welch's over "
        "runs; images tested in several runs are counted each time.",
        "Floor: the best accuracy on the same test images of a classifier that cannot see "
        "lung detail: histogram, border, corners, centre blacked out, 28-pixel thumbnail.",
    )
    counts = {name: sum(c.verdict == name for c in claims) for name in VERDICTS}
    claims = [_escaped(claim) for claim in claims]
    lines = [
        f"# {markdown_text(title)}",
        "",
        ", ".join(f"{n} {name}" for name, n in counts.items()) + f" ({len(claims)} in all).",
        "",
        *(f"- {markdown_text(note)}" for note in notes),
        "",
        "| Claim | Here | Floor | Verdict |",
        "| --- | --- | --- | --- |",
        *(f"| {c.claim} | {c.ours} | {c.floor} | {c.verdict} |" for c in claims),
        "",
    ]
    for claim in claims:
        lines += [
            f"### {claim.claim}",
            "",
            f"**{claim.verdict}** ({claim.element}). {claim.why}",
            "",
            f"- paper: {claim.paper}",
            f"- here: {claim.ours}",
            f"- floor: {claim.floor}",
            "",
        ]
    return "\n".join(lines)


def _escaped(claim: Claim) -> Claim:
    """The claim with its texts, which hold names of classes, ready for a page."""
    texts = ("element", "claim", "paper", "ours", "why", "floor")
    escaped: dict[str, Any] = {name: markdown_text(getattr(claim, name)) for name in texts}
    return replace(claim, **escaped)
