"""Whether the classes can be told apart without the lungs.

This is about the data; `better_than_floor` asks about the network. Floors that see part of the
lungs may beat guessing on clean data, because a disease changes greys too; only what no disease
explains is a failure.
"""

from bisect import bisect_right
from collections.abc import Iterable

import pandas as pd

from workflow_scripts.cxrcam.configuration.mend_names import BLANK_CORNERS, LUNGS_ONLY
from workflow_scripts.cxrcam.metrics.intervals import wilson_interval
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.check import Check, CheckKind, per_cent, register
from workflow_scripts.cxrcam.verdict.pooling import (
    confidence_of,
    designs,
    first_reason,
    pooled_share,
)

KIND = CheckKind(
    name="the data give it away",
    question="Is the class hidden from classifiers that cannot see the lungs?",
    about="shortcut",
    order=20,
    file="audit/floors.csv",
    advice="Take away what gives the class away, and train again: `image: {blank: corners}`, or a "
    "scheme with `input: lungs_only`.",
    to_assess="Take more images: the floors are cross-validated over all of them.",
    mend=LUNGS_ONLY,
    untested="it is not clear what classifiers reach that cannot see the lungs",
)

SEES = {
    "majority": "sees nothing and always gives the commonest class",
    "histogram": "counts the greys and sees no shape",
    "border": "sees only the image border",
    "corners": "sees only the four corners of the image",
    "centre_black": "sees the image with its centre blacked out",
    "thumbnail": "sees only a thumbnail of 28 x 28 cells",
}
"""What each floor sees, to stand after "a classifier that"."""

BLIND = ("border", "corners")
"""Floors that see no lung at all."""

NOT_JUDGED = ("majority", "thumbnail")
"""Sees nothing; sees the lungs, and on clean phantoms is right on 80 to 90 % for good reasons."""

BLIND_MARGIN = 0.05
"""Accuracy above the commonest class that is forgiven to a blind floor."""

PARTLY_GAIN = 0.6
"""Gain, see `_gain`, that is forgiven to a floor that sees part of the lungs."""

NOTICED = 0.3
"""Where only a gain this far above the forgiven one would be noticed, nothing can be said."""


def _gain(accuracy: float, majority: float) -> float:
    """Way from the commonest class (0) to always right (1)."""
    return (accuracy - majority) / (1.0 - majority) if majority < 1.0 else 0.0


def _forgiven(floor: str, majority: float) -> float:
    """Accuracy up to which a floor is no alarm."""
    allowed = BLIND_MARGIN if floor in BLIND else PARTLY_GAIN * (1.0 - majority)
    return min(1.0, majority + allowed)


def _least_noticed(forgiven: float, n: int, confidence: float) -> float | None:
    """Smallest accuracy on n images whose lower bound lies above `forgiven`; None if there is none.

    The bound grows with the number of right answers, so that the search can halve.
    """
    least = bisect_right(
        range(n + 1), forgiven, key=lambda right: wilson_interval(right, n, confidence).low
    )
    return least / n if least <= n else None


def mend_of(floors: Iterable[str]) -> str:
    """What takes away what these floors see."""
    return BLANK_CORNERS if "corners" in floors else LUNGS_ONLY


def _in_words(floor: str) -> str:
    return floor.replace("_", " ")


@register(KIND)
def judge(tables: AuditTables) -> list[Check]:
    """One check a design, or a task where floors were cross-validated over all its images.

    Failed if for one floor the lower bound of its accuracy lies above what is forgiven:

    - border and corners see no lung: 5 points above the commonest class;
    - histogram and centre blacked out see some of what a disease does: 0.6 of the way from the
      commonest class to always right (two classes: 80 %, three: 73 %).

    Majority and thumbnail are not judged here. The bounds are Wilson's at a confidence of
    1 − 0.05 / k, where k counts the floors judged over all designs (Bonferroni): with k looks one
    in twenty would otherwise fail by luck. Not assessable where so few images were tested that
    only a gain 0.3 above the forgiven one would have been noticed.

    Chosen on phantoms of two classes, 150 each, cross-validated (n = 300): on 10 clean sets border
    and corners reached 0.56 at most, histogram 0.75, centre blacked out 0.79; with a marker in the
    corner that follows the class centre blacked out reached 0.94 to 0.97 on 10 sets; with exposure
    histogram 0.97 or more. A single part of 60 test images cannot tell: clean and marked overlap.
    On real data (COVID against Normal, 6,000 images) corners reach 0.89 and histogram 0.92.
    DeGrave et al. 2021, Nat Mach Intell 3:610; Maguolo & Nanni 2021, Inf Fusion 76:1.
    """
    if tables.only_findings:
        return []
    floors = tables.of_classes(tables.floors)
    if floors is None or floors.empty:
        return [KIND.not_assessable("no floor was computed")]
    columns = ("fold", "floor", "n", "accuracy", "majority_share")
    parts = list(designs(floors, columns))
    has_accuracy = floors[floors["accuracy"].notna()]
    judged = has_accuracy[~has_accuracy["floor"].isin(NOT_JUDGED)]
    comparisons = len(judged[["task", "scheme", "floor"]].drop_duplicates())
    return [_of_design(subject, rows, comparisons) for subject, rows in parts]


def _of_design(subject: str, rows: pd.DataFrame, comparisons: int) -> Check:
    confidence = confidence_of(comparisons)
    majority = pooled_share(rows, "majority_share")
    findings, alarms, unnoticed = [], [], []
    judged = 0
    for floor, of_floor in rows.groupby("floor", sort=False):
        name = str(floor)
        share = pooled_share(of_floor, confidence=confidence)
        if share is None or majority is None or name == "majority":
            continue
        findings.append(f"{_in_words(name)} {share}")
        if name in NOT_JUDGED:
            continue
        judged += 1
        forgiven = _forgiven(name, majority.value)
        largest_gain = NOTICED + _gain(forgiven, majority.value)
        least = _least_noticed(forgiven, share.n, confidence)
        if share.low > forgiven:
            alarms.append((share.low - forgiven, name, share, forgiven))
        elif least is None or _gain(least, majority.value) > largest_gain:
            needed = "no accuracy" if least is None else f"only {per_cent(least)} or more"
            unnoticed.append(f"of {_in_words(name)} {needed} would stand out, n = {share.n:,}")
    if not judged or majority is None:
        why = first_reason(rows, "no floor that could be judged has an accuracy")
        return KIND.not_assessable(why, subject=subject)
    finding = f"{'; '.join(findings)}; commonest class {per_cent(majority.value)}"
    rule = f"{100 * confidence:.1f} % intervals, as {comparisons} floors were judged"
    if alarms:
        # Border and corners first: what they find needs no explanation.
        _, name, share, _ = max(alarms, key=lambda a: (a[1] in BLIND, a[0]))
        limits = ", ".join(f"{_in_words(a[1])} {per_cent(a[3])}" for a in alarms)
        clause = (
            f"a classifier that {SEES.get(name, f'sees only {name}')} reaches"
            # The figure beside the sentence has another number: that of the headline's test images.
            f" {per_cent(share.value)} (cross-validated, n = {share.n:,}), where guessing gives"
            f" {per_cent(majority.value)}"
        )
        why = f"even the lower bounds exceed the limits: {limits} ({rule})"
        mend = mend_of(a[1] for a in alarms)
        return KIND.failed(finding, why, subject=subject, clause=clause, mend=mend)
    if unnoticed:
        why = f"too few test images: {'; '.join(unnoticed)}"
        return KIND.not_assessable(why, finding=finding, subject=subject)
    why = f"no floor is above what a disease may explain ({rule})"
    return KIND.passed(finding, why, subject=subject)
