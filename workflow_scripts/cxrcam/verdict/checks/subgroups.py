"""Whether the network is as good in one group of patients and images as in another."""

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.check import Check, CheckKind, register
from workflow_scripts.cxrcam.verdict.pooling import designs

KIND = CheckKind(
    name="subgroups",
    question="Is the network as good in every group of patients and images?",
    about="limits",
    order=115,
    file="audit/subgroups.csv",
    advice="Report the accuracy of each group, and add training images of the weaker one; "
    "audit/subgroups.csv has all gaps.",
    to_assess="Add columns such as `sex`, `age` or `view` to the table of the images, and test "
    "more images of each group.",
)

LEAST_GAP: Final = 0.05
"""Smaller gaps matter little, however sure they are."""

RULED_OUT: Final = 0.10
"""Gap that must be ruled out between all groups."""


@register(KIND)
def judge(tables: AuditTables) -> list[Check]:
    """One check a design, that of the headline.

    Failed if the interval of a gap between two groups excludes 0 and the gap is 5 points or more;
    passed if the intervals of all pairs of groups and all metrics rule out a gap above 10 points.
    Intervals are widened for the number of pairs and metrics (Bonferroni). See Seyyed-Kalantari et
    al. 2021, Nat Med 27:2176, for gaps of chest X-ray classifiers by sex and age.
    """
    if tables.subgroups is None or tables.subgroups.empty:
        why = "nothing is known of the images by which to group them, such as sex, age or view"
        return [KIND.not_assessable(why)]
    found = designs(tables.subgroups, ["group", "against", "value", "low", "at_most"])
    return [_of_design(subject, rows) for subject, rows in found]


def _of_design(subject: str, rows: pd.DataFrame) -> Check:
    gaps = rows[rows["against"].notna()]
    if gaps.empty:
        why = "no two groups have enough test images"
        return KIND.not_assessable(why, subject=subject)
    failed = gaps[(gaps["low"] > 0) & (gaps["value"] >= LEAST_GAP)]
    worst = (failed if len(failed) else gaps).sort_values("value").iloc[-1].to_dict()
    n = int(worst["comparisons"])
    finding = _in_words(worst) + (
        f"; of {n:,} gaps the surest, or if none is sure the largest" if n > 1 else ""
    )
    if len(failed):
        why = "the gap is 5 points or more, and its interval is above 0"
        clause = f"the network is better in one group than in another: {_in_words(worst)}"
        return KIND.failed(finding, why, subject=subject, clause=clause)
    if gaps["at_most"].max() <= RULED_OUT:
        return KIND.passed(finding, "a gap above 10 points is ruled out", subject=subject)
    why = "the groups have too few test images to rule out a gap above 10 points"
    return KIND.not_assessable(why, finding=finding, subject=subject)


def _in_words(gap: Mapping[Any, Any]) -> str:
    """A gap, such as "sensitivity by sex, M over F: 12 points (3 to 21, n = 40 in the smaller)"."""
    value, low, high = (round(100 * gap[name]) for name in ("value", "low", "high"))
    metric = str(gap["metric"]).replace("_", " ").replace("auroc", "AUROC")
    groups = f"{gap['group']} over {gap['against']}"
    numbers = f"{value} points ({low} to {high}, n = {int(gap['n']):,} in the smaller)"
    return f"{metric} by {gap['column']}, {groups}: {numbers}"
