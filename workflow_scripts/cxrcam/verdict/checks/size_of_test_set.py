"""Whether the test set is large enough to tell."""

from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.check import Check, CheckKind, register
from workflow_scripts.cxrcam.verdict.pooling import designs, pooled_share

KIND = CheckKind(
    name="size of the test set",
    question="Are there enough test images to tell?",
    about="limits",
    order=100,
    file="tables/metrics.csv",
    advice="Test more images: a larger `test_fraction`, or a scheme of the kind "
    "`stratified_kfold`, which tests each image once.",
    to_assess="Give the scheme test images: a `test_fraction`.",
)

FEWEST_PER_CLASS = 30
"""Test images of the rarest class. With 30, a sensitivity of 0.9 is known to ± 11 points."""

WIDEST_INTERVAL = 0.20
"""Width of the 95 % interval of the accuracy."""


@register(KIND)
def judge(tables: AuditTables) -> list[Check]:
    """One check a design.

    Failed if the rarest class has fewer than 30 test images or the 95 % interval (Wilson) of the
    accuracy is wider than 20 points: such a number cannot tell a good network from a mediocre one.
    CLAIM 2024 asks for the reason of the sample size; Riley et al. 2021, Stat Med 40:4230, for
    interval widths as that reason.
    """
    if tables.runs is None or tables.runs.empty:
        return [KIND.not_assessable("no network was tested")]
    checks = []
    columns = ("fold", "n", "accuracy", "smallest_class", "n_smallest_class")
    for subject, rows in designs(tables.runs, columns):
        share = pooled_share(rows)
        if share is None:
            checks.append(KIND.not_assessable("there are no test images", subject=subject))
            continue
        width = share.high - share.low
        smallest = rows.groupby("fold")[["smallest_class", "n_smallest_class"]].first()
        rarest, name = int(smallest["n_smallest_class"].sum()), smallest["smallest_class"].iloc[0]
        faults = []
        clause = f"{share.n:,} test images are few: the interval is {100 * width:.0f} points wide"
        if rarest < FEWEST_PER_CLASS:
            images, are = ("image", "is") if rarest == 1 else ("images", "are")
            faults.append(f"the rarest class, {name}, has {rarest} test {images}, fewer than 30")
            clause = f"only {rarest} test {images} {are} of {name}, the rarest class"
        if width > WIDEST_INTERVAL:
            faults.append(f"the interval is {100 * width:.0f} points wide, more than 20")
        finding = f"{share}, {100 * width:.0f} points wide; {rarest:,} of the rarest class, {name}"
        good = "the interval is at most 20 points wide, and each class has at least 30 images"
        result, why = (KIND.failed, "; ".join(faults)) if faults else (KIND.passed, good)
        checks.append(result(finding, why, subject=subject, clause=clause))
    return checks
