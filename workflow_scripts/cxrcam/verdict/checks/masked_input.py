"""Whether the network still answers with a part of the image covered."""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from workflow_scripts.cxrcam.configuration.mend_names import LUNGS_ONLY
from workflow_scripts.cxrcam.images.covering import MASKING_VARIANTS, MaskingVariant
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables, Run
from workflow_scripts.cxrcam.verdict.check import (
    FAILED,
    NOT_ASSESSABLE,
    PASSED,
    Check,
    CheckKind,
    per_cent,
    register,
)
from workflow_scripts.cxrcam.verdict.pooling import (
    confidence_of,
    designs,
    first_reason,
    pooled_share,
)

KIND = CheckKind(
    name="masked input",
    question="Does the accuracy come from the lungs?",
    about="shortcut",
    order=25,
    file="audit/masked_inputs.csv",
    advice="Let the network see the lungs only: a scheme with `input: lungs_only`, where lung "
    "masks are known; else train on images of several hospitals.",
    to_assess="Give lung masks (column `mask_path`, or folders `masks`), or test more images: a "
    "larger `test_fraction`.",
    mend=LUNGS_ONLY,
)

KEPT = 0.5
"""Share of the network's gain from which on it "keeps most of its accuracy"."""


def masked_rows(
    files: Mapping[Run, str], metrics: pd.DataFrame, covered: Mapping[str, Mapping[str, str]]
) -> pd.DataFrame:
    """What networks say of covered test images, and networks that were trained on covered ones.

    `files` are each run's masked.csv, `metrics` has a row a run; `covered` has the schemes that
    train on covered images: what they see (``input``) and whose images (``of``). Covering those
    once more would say nothing: they have no rows of their own.
    """
    tables = [
        pd.read_csv(file).assign(**run._asdict(), retrained=False)
        for run, file in files.items()
        if run.scheme not in covered
    ]
    masked = pd.concat([*tables, retrained_rows(metrics, covered)], ignore_index=True)
    masked["reason"] = masked["reason"].fillna("")
    return masked


def retrained_rows(metrics: pd.DataFrame, covered: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Accuracy of networks trained on covered images, under the design of the same images whole."""
    shared = ["task", "scheme", "fold", "seed"]
    parts = []
    for scheme, settings in covered.items():
        rows = metrics[metrics["scheme"] == scheme].assign(scheme=settings["of"])
        whole = metrics.set_index(shared)["accuracy"].rename("original_accuracy")
        rows = rows[[*shared, "n", "accuracy", "majority_share"]].join(whole, on=shared)
        parts.append(rows.assign(variant=settings["input"], retrained=True, reason=""))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


@register(KIND)
def judge(tables: AuditTables) -> list[Check]:
    """One check a design and variant.

    Measured as the share of the network's gain over the commonest class that it keeps.

    - failed: the lower bound of the masked accuracy keeps more than half of the gain (Wilson,
      Bonferroni over all designs and variants), so that most of the accuracy does not come from
      what was covered;
    - passed: the upper bound keeps half of it or less; otherwise not assessable, as is a network
      whose own accuracy is not above that of the commonest class;
    - "lungs only" is the other way round: it passes if the lower bound keeps more than half, and
      never fails, as a loss may come from the covering;
    - "centre covered" stands in for the lungs where these are not known. It leaves lung beside the
      square: what survives there is no fault of a network whose gain is gone with the lungs
      themselves covered and stays with the lungs alone, on the very same images. Then it is not
      assessable. The second half is needed, as covered lungs may fail for their looks;
    - networks *retrained* on covered images have a line of their own, by the same rules, against
      the network of the same images uncovered. They are the harder test: a network that never saw
      such images may fail on them for their looks, one that was trained on them cannot.

    Maguolo & Nanni 2021, Inf Fusion 76:1-7, who saw nearly all accuracy survive without lungs.
    """
    if tables.only_findings:
        return []
    masked = tables.of_classes(tables.masked_inputs)
    if masked is None or masked.empty:
        return [KIND.not_assessable("no network was tested on covered images")]
    columns = ("fold", "variant", "n", "accuracy", "majority_share", "original_accuracy")
    parts = list(designs(masked, (*columns, "retrained")))
    tested = masked[masked["n"] > 0]
    comparisons = len(tested[["task", "scheme", "variant", "retrained"]].drop_duplicates())
    checks: list[Check] = []
    for subject, rows in parts:
        for retrained in (False, True):
            of_way = rows[rows["retrained"].astype(bool) == retrained]
            # Nobody has to train on covered images.
            of_variants = {
                variant.name: _of_variant(subject, variant, retrained, of_variant, comparisons)
                for variant in MASKING_VARIANTS
                if len(of_variant := of_way[of_way["variant"] == variant.name]) or not retrained
            }
            counts = of_way.groupby("variant")["n"].sum()
            checks += _lungs_before_centre(of_variants, counts).values()
    return checks


def _lungs_before_centre(of_variants: dict[str, Check], counts: pd.Series) -> dict[str, Check]:
    """Take back a failure of "centre covered" where all hangs on the lungs, on the same images.

    Checks, and counts of the images tested, are by variant.
    """
    centre = of_variants.get("centre_black")
    if centre is None or centre.status != FAILED:
        return of_variants
    for variant in ("lungs_out", "lungs_only"):
        known = of_variants.get(variant)
        if known is None or known.status != PASSED or counts[variant] != counts["centre_black"]:
            return of_variants
    why = (
        f"{centre.why}; but with the lungs covered the gain is lost, and with the lungs alone it "
        "stays: what is left here comes from lung beside the square"
    )
    advice = "Go by the lines of covered lungs and of the lungs only: they are of the same images."
    taken_back = replace(
        centre, status=NOT_ASSESSABLE, why=why, clause=KIND.untested, advice=advice, mend=""
    )
    return of_variants | {"centre_black": taken_back}


def _of_variant(
    subject: str, variant: MaskingVariant, retrained: bool, rows: pd.DataFrame, comparisons: int
) -> Check:
    detail = f"retrained on {variant.title}" if retrained else variant.title
    share = pooled_share(rows, confidence=confidence_of(comparisons)) if len(rows) else None
    if share is None:
        why = "this variant was not tested"
        if variant.needs_lung_masks:
            why = "no test image has a lung mask"
        return KIND.not_assessable(first_reason(rows, why), subject=subject, detail=detail)
    majority = pooled_share(rows, "majority_share")
    original = pooled_share(rows, "original_accuracy")
    if majority is None or original is None or original.low <= majority.value:
        why = "the network itself is not clearly better than the commonest class"
        return KIND.not_assessable(why, finding=str(share), subject=subject, detail=detail)
    gain = original.value - majority.value
    low, value, high = ((x - majority.value) / gain for x in (share.low, share.value, share.high))
    finding = (
        f"right on {share}, on whole images {per_cent(original.value)}; the commonest class alone"
        f" gives {per_cent(majority.value)}"
    )
    # Below the commonest class nothing of the gain is left, however far below.
    kept = [f"{100 * min(max(x, 0.0), 1.0):.0f}" for x in (value, low, high)]
    rule = (
        f"{kept[0]} % ({kept[1]} to {kept[2]} %) of its gain over the commonest class is left; the "
        f"limit is half of it ({100 * confidence_of(comparisons):.1f} % interval)"
    )
    if variant.name == "lungs_only":
        if low > KEPT:
            return KIND.passed(finding, rule, subject=subject, detail=detail)
        unseen = "the loss may come from not seeing where the lungs lie in the image"
        if not retrained:
            unseen = "the network was never trained on such images, so a loss proves nothing"
        why = f"{rule}; {unseen}"
        return KIND.not_assessable(why, finding=finding, subject=subject, detail=detail)
    if low > KEPT:
        border_only = variant.name == "border_only"
        covered = "all but the border covered" if border_only else f"the {variant.title}"
        clause = (
            f"with {covered} the network is still right on {per_cent(share.value)}, on whole"
            f" images on {per_cent(original.value)}"
        )
        if retrained:
            clause = (
                f"a network trained with {covered} is right on {per_cent(share.value)},"
                f" one trained on whole images on {per_cent(original.value)}"
            )
        return KIND.failed(finding, rule, subject=subject, clause=clause, detail=detail)
    if high <= KEPT:
        return KIND.passed(finding, rule, subject=subject, detail=detail)
    why = f"{rule}, which the interval includes"
    return KIND.not_assessable(why, finding=finding, subject=subject, detail=detail)
