"""Whether the accuracy holds on data sets never trained on."""

from dataclasses import replace

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.check import Check, CheckKind, per_cent, register
from workflow_scripts.cxrcam.verdict.pooling import (
    Estimate,
    designs,
    difference_of_shares,
    first_reason,
    pooled_share,
)

KIND = CheckKind(
    name="external data",
    question="Does the accuracy hold on images from elsewhere?",
    about="inflation",
    order=10,
    file="audit/external.csv",
    advice="Report the accuracy elsewhere instead of this one, and train on images of several "
    "hospitals.",
    to_assess="Name a data set of another hospital under `external`, of some hundreds of images, "
    "or leave one source out after the other (`leave_one_out`).",
    untested="the network was not tested on images from elsewhere",
)

LARGEST_DROP = 0.05
"""Loss of accuracy on images from elsewhere that is no failure."""

EXCLUDED_DROP = 0.10
"""Loss that must be ruled out before "holds" is said: Zech et al. 2018 saw this and more."""


@register(KIND)
def judge(tables: AuditTables) -> list[Check]:
    """One check a design and data set.

    - failed: the accuracy falls by more than 5 points (lower bound of the difference, Newcombe's
      method 10), or its upper bound is no higher than the share of the commonest class: then it
      is lost elsewhere, which is graver than a shortcut;
    - passed: its lower bound is above that share and a fall by more than 10 points is ruled out;
    - otherwise not assessable. Sources may share shortcuts, so that "passed" is no proof either
      (DeGrave et al. 2021). Zech et al. 2018, PLoS Med 15:e1002683.

    Without external data, sources of the data set that were left out of training stand in for
    them: against the first design of the task that keeps groups together.
    """
    if tables.only_findings:
        return []
    external = tables.of_classes(tables.external)
    if external is None or external.empty:
        return _of_sources(tables) or [
            KIND.not_assessable("no data set from elsewhere is named (`external`)")
        ]
    columns = ("fold", "data_set", "n", "accuracy", "majority_share", "internal_n")
    checks = []
    for subject, rows in designs(external, (*columns, "internal_accuracy")):
        for data_set, of_set in rows.groupby("data_set", sort=False):
            checks.append(_of_data_set(subject, str(data_set), of_set))
    return checks


def _of_sources(tables: AuditTables) -> list[Check]:
    """One check a design that leaves out one source after the other; none where there is none."""
    if tables.runs is None or tables.leaks is None or "held_out" not in tables.runs.columns:
        return []
    grouped = tables.leaks[tables.leaks["grouped"].astype(bool)]
    # Of divisions only: not networks that see a part of each image on another one's.
    drawn = tables.runs[tables.runs["scheme"].isin(tables.leaks["scheme"])]
    is_left_out = drawn["held_out"].notna()
    checks = []
    columns = ("fold", "n", "accuracy", "majority_share")
    for _, rows in designs(drawn[is_left_out], columns):
        task, scheme = rows["task"].iloc[0], str(rows["scheme"].iloc[0])
        others = drawn[~is_left_out & (drawn["task"] == task)]
        others = others[others["scheme"].isin(grouped.loc[grouped["task"] == task, "scheme"])]
        inside = pooled_share(others[others["scheme"].isin(others["scheme"].head(1))])
        outside = pooled_share(rows)
        if inside is None or outside is None:
            why = "no other design keeps patients together, to compare the sources left out with"
            checks.append(KIND.not_assessable(why, subject=str(task), detail=scheme))
            continue
        check = _compared(
            outside,
            inside,
            float(np.average(rows["majority_share"], weights=rows["n"])),
            subject=str(task),
            detail=scheme,
            images=f"images of sources left out of training ({scheme})",
        )
        accuracy = rows.groupby("held_out")["accuracy"].mean()
        finding = f"{check.finding}; lowest {per_cent(accuracy.min())} ({accuracy.idxmin()})"
        checks.append(replace(check, finding=finding, file="tables/metrics.csv"))
    return checks


def _of_data_set(subject: str, data_set: str, rows: pd.DataFrame) -> Check:
    outside = pooled_share(rows.assign(fold=0))
    inside = pooled_share(
        rows[["fold"]].assign(accuracy=rows["internal_accuracy"], n=rows["internal_n"])
    )
    if outside is None or inside is None:
        why = first_reason(rows, "an accuracy is missing")
        return KIND.not_assessable(why, subject=subject, detail=data_set)
    check = _compared(
        outside,
        inside,
        float(rows["majority_share"].mean()),
        subject=subject,
        detail=data_set,
        images=f"images from elsewhere ({data_set})",
    )
    aurocs = rows.get("macro_auroc", pd.Series(dtype=float)).dropna()
    auroc = f"; AUROC {aurocs.mean():.2f}, by chance 0.50" if len(aurocs) else ""
    return replace(check, finding=check.finding + auroc)


def _compared(
    outside: Estimate, inside: Estimate, majority: float, *, subject: str, detail: str, images: str
) -> Check:
    """The check of an accuracy elsewhere and here; `images` is said in the verdict's sentence."""
    drop = difference_of_shares(inside, outside)
    finding = (
        f"right on {outside}, here on {inside}: {_fall(drop)}; the commonest class alone gives"
        f" {per_cent(majority)}"
    )
    clause = (
        f"on {images} the network is right on {per_cent(outside.value)}, here on"
        f" {per_cent(inside.value)}; the commonest class alone gives {per_cent(majority)}"
    )
    if outside.high <= majority:
        why = "it is no better than always naming the commonest class"
        lost = KIND.failed(finding, why, subject=subject, clause=clause, detail=detail)
        return replace(lost, about="elsewhere")
    if drop.low > LARGEST_DROP:
        why = "the accuracy falls by more than 5 points"
    elif outside.low > majority and drop.high <= EXCLUDED_DROP:
        why = "better than the commonest class, and a fall by more than 10 points is ruled out"
        return KIND.passed(finding, why, subject=subject, detail=detail)
    else:
        why = f"{outside.n:,} images are too few: it may fall by 10 points, or not at all"
        undecided = KIND.not_assessable(why, finding=finding, subject=subject, detail=detail)
        # They were tested: the sentence must not say otherwise.
        return replace(undecided, clause=f"there are too few {images} to tell")
    return KIND.failed(finding, why, subject=subject, clause=clause, detail=detail)


def _fall(drop: Estimate) -> str:
    """A difference in words: "a fall of 23 points (14 to 34)", or a rise."""
    fall = round(100 * drop.value), round(100 * drop.low), round(100 * drop.high)
    if fall[0] < 0:
        return f"a rise of {-fall[0]} points ({-fall[2]} to {-fall[1]})"
    return f"a fall of {fall[0]} points ({fall[1]} to {fall[2]})"
