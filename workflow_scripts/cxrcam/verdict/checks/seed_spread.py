"""Whether the accuracy hangs on the seed of the training."""

from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.check import Check, CheckKind, per_cent, register
from workflow_scripts.cxrcam.verdict.pooling import designs, pooled_share

KIND = CheckKind(
    name="luck of the seed",
    question="Do trainings that differ only in their seed agree?",
    about="limits",
    order=110,
    file="tables/metrics.csv",
    advice="Report the mean and the range over at least three `seeds`, and train for longer: "
    "`train: {epochs: N}`.",
    to_assess="Set `seeds: [0, 1, 2]`.",
)


@register(KIND)
def judge(tables: AuditTables) -> list[Check]:
    """One check a design.

    Failed if two seeds, each over all folds together, differ by more than the 95 % interval of the
    accuracy is wide: then the luck of the training outweighs the luck of the test images, and the
    interval promises too much. Not assessable with one seed. Bouthillier et al. 2021, MLSys 3:747.
    """
    if tables.runs is None or tables.runs.empty:
        return [KIND.not_assessable("no network was tested")]
    checks = []
    for subject, rows in designs(tables.runs, ("fold", "seed", "n", "accuracy")):
        by_seed = [pooled_share(of_seed) for _, of_seed in rows.groupby("seed")]
        values = [share.value for share in by_seed if share is not None]
        share = pooled_share(rows)
        if len(values) < 2 or share is None:
            why = "there is one seed; set `seeds: [0, 1, 2]`"
            checks.append(KIND.not_assessable(why, subject=subject))
            continue
        spread, width = max(values) - min(values), share.high - share.low
        found = f"{per_cent(min(values))} to {per_cent(max(values))}"
        result, more = (KIND.failed, "more") if spread > width else (KIND.passed, "no more")
        finding = f"{len(values)} seeds: {found} (n = {share.n:,} each)"
        why = f"the range is {more} than the 95 % interval is wide, {100 * width:.0f} points"
        clause = f"trainings that differ only in their seed reach {found}"
        checks.append(result(finding, why, subject=subject, clause=clause))
    return checks
