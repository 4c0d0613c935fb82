"""Whether the accuracy holds on data sets never trained on."""

from dataclasses import replace

import pandas as pd

from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.check import Check, CheckKind, per_cent, register
from workflow_scripts.cxrcam.verdict.pooling import (
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
    untested="external data were not tested",
)

LARGEST_DROP = 0.05
"""Loss of accuracy on images from elsewhere that is forgiven."""

EXCLUDED_DROP = 0.10
"""Loss that must be ruled out before "holds" is said: Zech et al. 2018 saw this and more."""


@register(KIND)
def judge(tables: AuditTables) -> list[Check]:
    """One check a design and data set.

    - failed: the accuracy falls by more than 5 points (lower bound of the difference, Newcombe's
      method 10), or its upper bound is no higher than the share of the commonest class;
    - passed: its lower bound is above that share and a fall by more than 10 points is ruled out;
    - otherwise not assessable. Sources may share shortcuts, so that "passed" is no proof either
      (DeGrave et al. 2021). Zech et al. 2018, PLoS Med 15:e1002683.
    """
    if tables.only_findings:
        return []
    external = tables.of_classes(tables.external)
    if external is None or external.empty:
        return [KIND.not_assessable("no external data set was given (`external:`)")]
    columns = ("fold", "data_set", "n", "accuracy", "majority_share", "internal_n")
    checks = []
    for subject, rows in designs(external, (*columns, "internal_accuracy")):
        for data_set, of_set in rows.groupby("data_set", sort=False):
            checks.append(_of_data_set(subject, str(data_set), of_set))
    return checks


def _of_data_set(subject: str, data_set: str, rows: pd.DataFrame) -> Check:
    outside = pooled_share(rows.assign(fold=0))
    inside = pooled_share(
        rows[["fold"]].assign(accuracy=rows["internal_accuracy"], n=rows["internal_n"])
    )
    if outside is None or inside is None:
        why = first_reason(rows, "an accuracy is missing")
        return KIND.not_assessable(why, subject=subject, detail=data_set)
    majority = float(rows["majority_share"].mean())
    drop = difference_of_shares(inside, outside)
    fall = f"{100 * drop.value:.0f} points ({100 * drop.low:.0f} to {100 * drop.high:.0f})"
    finding = f"{outside}, here {inside}; fall of {fall}; commonest class {per_cent(majority)}"
    clause = f"on images from elsewhere ({data_set}) it reaches {per_cent(outside.value)}"
    if drop.low > LARGEST_DROP:
        why = "the accuracy falls by more than 5 points"
    elif outside.high <= majority:
        why = "it is no better than the commonest class"
    elif outside.low > majority and drop.high <= EXCLUDED_DROP:
        why = "better than the commonest class, and a fall by more than 10 points is ruled out"
        return KIND.passed(finding, why, subject=subject, detail=data_set)
    else:
        why = f"{outside.n:,} images rule out neither a fall by 10 points nor none"
        undecided = KIND.not_assessable(why, finding=finding, subject=subject, detail=data_set)
        # They were tested: the sentence must not say otherwise.
        return replace(undecided, clause="external images are too few to tell")
    return KIND.failed(finding, why, subject=subject, clause=clause, detail=data_set)
