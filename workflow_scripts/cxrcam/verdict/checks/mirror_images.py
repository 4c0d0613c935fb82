"""Whether the map of a mirror image is the mirrored map."""

from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.check import Check, CheckKind, register
from workflow_scripts.cxrcam.verdict.map_numbers import (
    floor_of,
    inner,
    judge_alike,
    parts_of_designs,
    with_file,
)

KIND = CheckKind(
    name="mirror images",
    question="Is the map of a mirror image the mirrored map?",
    about="explanation",
    order=146,
    file="audit/*/*/fold-*/seed-*/map_tests.json",
    advice="Do not show the maps as the reason of an answer; set `train: {horizontal_flip: 0.5}` "
    "if it was switched off.",
    to_assess="Raise `audit: {explanation_images: N}`.",
)


@register(KIND)
def judge(tables: AuditTables) -> list[Check]:
    """One check a design (Arun et al. 2021).

    Passed if the Spearman correlation lies above the bar of `randomisation`, failed if it lies
    below.
    """
    if not tables.map_tests:
        return [KIND.not_assessable("the maps were not tested")]
    cascades = dict(parts_of_designs(tables.map_tests, "randomisation"))
    words = (
        "Spearman correlation with the mirrored map",
        "the map of a mirror image is not the mirrored map",
    )
    checks = []
    for subject, entries in parts_of_designs(tables.map_tests, "flip"):
        spearman = {run: inner(flip, "spearman") for run, flip in entries.items()}
        check = judge_alike(KIND, subject, spearman, floor_of(cascades[subject]), *words)
        checks.append(with_file(check, entries, "map_tests.json"))
    return checks
