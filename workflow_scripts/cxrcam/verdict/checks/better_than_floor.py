"""Whether the network beats the best floor on the same test images."""

import pandas as pd

from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.check import FAILED, Check, CheckKind, per_cent, register
from workflow_scripts.cxrcam.verdict.checks import given_away
from workflow_scripts.cxrcam.verdict.pooling import (
    Estimate,
    confidence_of,
    designs,
    first_reason,
    pooled_estimate,
    pooled_share,
)

KIND = CheckKind(
    name="better than a blind classifier",
    question="Is the network right more often than the best classifier that cannot see lung detail?",  # noqa: E501
    about="shortcut",
    order=30,
    file="tables/metrics.csv",
    advice="Take away what gives the class away, and train again: `image: {blank: corners}`, or a "
    "scheme with `input: lungs_only`.",
    to_assess="Test more images: a larger `test_fraction`, or a scheme of the kind "
    "`stratified_kfold`.",
    untested="it is not clear whether the network beats a classifier that cannot see lung detail",
)


@register(KIND)
def judge(tables: AuditTables) -> list[Check]:
    """One check a design.

    The gap is accuracy minus that of the best floor, paired image by image. Its 95 % interval is
    widened for the number of designs (Bonferroni).

    - passed: the interval lies above 0;
    - failed: it lies below 0, or it holds 0 where the data give the classes away (`given_away`
      failed, under whatever design of the task): then nothing shows that the network sees more
      than the shortcut;
    - not assessable: it holds 0 on data that give nothing away. A small test set cannot tell, and
      a floor such as the thumbnail may see the disease too; this is no evidence of a shortcut.
    """
    if tables.only_findings:
        return []
    runs = tables.of_classes(tables.runs)
    if runs is None or runs.empty or "gap_low" not in runs.columns:
        return [KIND.not_assessable("no network was compared with a floor")]
    columns = ("fold", "n", "accuracy", "best_floor", "best_floor_accuracy", "gap")
    parts = list(designs(runs, (*columns, "gap_low", "gap_high")))
    failed = [check.subject for check in given_away.judge(tables) if check.status == FAILED]
    checks = []
    for subject, rows in parts:
        task = rows["task"].iloc[0]
        gives_away = any(other == task or other.startswith(f"{task}, ") for other in failed)
        checks.append(_of_design(subject, rows, len(parts), gives_away))
    return checks


def _of_design(subject: str, rows: pd.DataFrame, comparisons: int, gives_away: bool) -> Check:
    gap = pooled_estimate(rows, "gap", "gap_low", "gap_high", comparisons)
    network, floor = pooled_share(rows), pooled_share(rows, "best_floor_accuracy")
    if gap is None or network is None or floor is None:
        why = first_reason(rows, "the gap to the floors has no interval")
        return KIND.not_assessable(why, subject=subject)
    name = str(rows["best_floor"].mode().iloc[0])
    sees = given_away.SEES.get(name, f"sees only {name}")
    mend = given_away.mend_of([name])
    finding = (
        f"right on {per_cent(network.value)}, the best floor ({name.replace('_', ' ')}) on"
        f" {per_cent(floor.value)}: a difference of {_points(gap)}"
    )
    clause = (
        f"a classifier that {sees} is as good, {per_cent(floor.value)} against"
        f" {per_cent(network.value)}"
    )
    # Tables show each run's interval at 95 %: a reader who compares must see why this one is wider.
    judged = f", as {comparisons} designs were judged" if comparisons > 1 else ""
    width = f"({100 * confidence_of(comparisons):.1f} % interval{judged})"
    if gap.low > 0.0:
        return KIND.passed(finding, f"the whole interval is above 0 {width}", subject=subject)
    if gap.high < 0.0:
        clause = clause.replace("is as good", "is better")
        why = f"the whole interval is below 0 {width}"
        return KIND.failed(finding, why, subject=subject, clause=clause, mend=mend)
    if gives_away:
        why = f"no clear difference {width}, and the data give the classes away"
        return KIND.failed(finding, why, subject=subject, clause=clause, mend=mend)
    why = f"no clear difference: {gap.n:,} test images are too few {width}"
    return KIND.not_assessable(why, finding=finding, subject=subject)


def _points(gap: Estimate) -> str:
    low, high = 100 * gap.low, 100 * gap.high
    return f"{100 * gap.value:+z.0f} points ({low:+z.0f} to {high:+z.0f}, n = {gap.n:,})"
