"""Whether there is a group of images that nobody named and on which the network is worse."""

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from workflow_scripts.cxrcam.metrics.intervals import difference_interval, wilson_interval
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.check import Check, CheckKind, per_cent, register
from workflow_scripts.cxrcam.verdict.pooling import confidence_of, designs

KIND = CheckKind(
    name="slices",
    question="Is the network as good in groups of images that nobody named?",
    about="limits",
    order=116,
    file="audit/slices.csv",
    advice="Look at the pictures in audit/slices.html: what do they have in common? Add training "
    "images like them, or mend their labels.",
    to_assess="Test more images: each class needs 40 patients, and 8 mistakes among them.",
)

RULED_OUT: Final = 0.20
"""Gap that must be ruled out for the most suspicious group of each class."""


@register(KIND)
def judge(tables: AuditTables) -> list[Check]:
    """One check a design, that of the headline.

    Failed if a slice was found (`audit.slices`, false-discovery rate 5 %): a group of images that
    lie together in the network's features, on which the odds of a mistake are surely more than
    twice those of the rest of the class, tested on images that had no part in choosing it. Passed
    if each class could be searched, and for its most suspicious group a gap above 20 points is
    ruled out (Newcombe's interval, Bonferroni).
    """
    if tables.slices is None or tables.slices.empty:
        why = "groups are searched among mistakes, and of findings nothing says what is one"
        return [KIND.not_assessable(why)]
    columns = ["fold", "label", "n", "n_mistakes", "n_rest", "rest_accuracy"]
    columns += ["corrected_p", "is_found", "reason"]
    return [_of_design(subject, rows) for subject, rows in designs(tables.slices, columns)]


def _of_design(subject: str, rows: pd.DataFrame) -> Check:
    found = rows[rows["is_found"].astype(bool)].sort_values("corrected_p")
    if len(found):
        more = f"; {len(found) - 1} more such groups" if len(found) > 1 else ""
        why = "more than twice the odds of a mistake; pictures in audit/slices.html"
        told = _in_words(found.iloc[0].to_dict())
        clause = f"there is a group that nobody named on which it is worse: {told}"
        return KIND.failed(told + more, why, subject=subject, clause=clause)
    tested = rows[rows["n"].notna()]
    finding = f"no group found in {len(tested)} of {len(rows)} classes"
    if rows["fold"].nunique() > 1:
        finding += f" of {rows['fold'].nunique()} networks"
    if len(tested) < len(rows):
        row = rows[rows["n"].isna()].iloc[0]
        why = f"{row['label']} cannot be searched: {row['reason']}"
        finding = finding if len(tested) else "-"
        return KIND.not_assessable(why, finding=finding, subject=subject)
    at_most = max(_gap_at_most(row, len(rows)) for row in tested.to_dict("records"))
    if at_most <= RULED_OUT:
        return KIND.passed(finding, "a gap above 20 points is ruled out", subject=subject)
    why = "a gap above 20 points is not ruled out: the groups have too few test images"
    return KIND.not_assessable(why, finding=finding, subject=subject)


def _gap_at_most(row: Mapping[Any, Any], comparisons: int) -> float:
    """Largest gap between the rest of a class and its slice that the images allow."""
    n, n_rest = int(row["n"]), int(row["n_rest"])
    right, rest_right = n - int(row["n_mistakes"]), round(n_rest * row["rest_accuracy"])
    confidence = confidence_of(comparisons)
    of_slice = wilson_interval(right, n, confidence)
    of_rest = wilson_interval(rest_right, n_rest, confidence)
    return difference_interval(rest_right / n_rest, of_rest, right / n, of_slice).high


def _in_words(row: Mapping[Any, Any]) -> str:
    """A slice: "wrong on 12 of 30 images of A that look alike to it, and on 4 % of the others"."""
    others = per_cent(1 - row["rest_accuracy"])
    told = f"wrong on {row['n_mistakes']:.0f} of {row['n']:.0f} images of {row['label']}"
    return f"{told} that look alike to it, and on {others} of the others"
