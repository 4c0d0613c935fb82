"""Where the maps point, against chance."""

from collections.abc import Mapping

from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables, Numbers, Run
from workflow_scripts.cxrcam.verdict.check import Check, CheckKind, per_cent, register
from workflow_scripts.cxrcam.verdict.map_numbers import (
    parts_of_designs,
    table_of_runs,
    with_file,
)
from workflow_scripts.cxrcam.verdict.pooling import Estimate, pooled_estimate

RATIO = 1.5
"""How many times chance is a preference worth the name; to less, a radiologist gives nothing."""


def _kind(name: str, question: str, order: int) -> CheckKind:
    return CheckKind(
        name,
        question,
        "explanation",
        order,
        file="audit/*/*/fold-*/seed-*/maps.json",
        advice="Do not show the maps as the reason of an answer; the report shows what the "
        "network looks at instead.",
        to_assess="Give masks of lungs or lesions (column `mask_path`, boxes of a collection), and "
        "test more images.",
    )


MEASURES = {
    "lung_share": (
        _kind(
            "maps in the lungs", "Do the maps lie in the lungs, clearly more than by chance?", 140
        ),
        "of the evidence in the lungs",
        "the maps avoid the lungs",
    ),
    "border_share": (
        _kind("maps at the border", "Do the maps leave the border of the image alone?", 141),
        "of the evidence at the border",
        "the maps favour the border of the image",
    ),
    "pointing_game": (
        _kind("pointing game", "Is the hottest point in the lesion, more than by chance?", 142),
        "of the hottest points in the lesion",
        "the maps do not find the lesions that are known",
    ),
    "intersection_over_union": (
        _kind("overlap with lesions", "Do the maps cover the lesions, more than by chance?", 143),
        "intersection over union",
        "the maps do not cover the lesions that are known",
    ),
}
"""Of each measure in maps.json: its check, its name, and what the answer says of a failure."""

KINDS = [kind for kind, _, _ in MEASURES.values()]


@register(*KINDS)
def judge(tables: AuditTables) -> list[Check]:
    """Four checks a design.

    Chance is what a map without preference gives; what is less than 1.5 times chance is told, not
    passed. Intervals are at 95 %, over the runs together.

    - lungs (López-Cabrera et al. 2021): passed if the share lies above 1.5 times chance, failed if
      below chance (the maps avoid the lungs), otherwise not assessable;
    - border: failed if the share lies above 1.5 times chance, passed if below that;
    - pointing game (Zhang et al. 2018) and intersection over union: passed if above 1.5 times
      chance; failed if below chance, or if the interval holds chance and even 1.5 times chance is
      ruled out; otherwise not assessable.
    """
    if not tables.maps:
        return [kind.not_assessable("the maps were not scored") for kind in KINDS]
    return [
        _of_design(measure, subject, entries)
        for measure in MEASURES
        for subject, entries in parts_of_designs(tables.maps, measure)
    ]


def _of_design(measure: str, subject: str, entries: Mapping[Run, Numbers | None]) -> Check:
    kind, words, clause = MEASURES[measure]
    table, reason = table_of_runs(entries, "value")
    share = pooled_estimate(table, "value", "low", "high")
    known = table.dropna(subset=["value", "low", "high", "chance"])
    if share is None or known.empty:
        return kind.not_assessable(reason or "no map was scored", subject=subject)
    # Intervals of a share that is nearly none or all may reach over the edge when pooled.
    share = Estimate(share.value, max(0.0, share.low), min(1.0, share.high), share.n)
    chance = float((known["chance"] * known["n"]).sum() / known["n"].sum())
    times = f", {share.value / chance:.1f} times that" if chance > 0.0 else ""
    finding = f"{share} {words}; chance gives {per_cent(chance)}{times}"
    passes, why = _passes(measure, share, chance)
    if len(known) < len(table):
        why += f"; {len(table) - len(known)} of {len(table)} runs: {reason or 'chance unknown'}"
    if passes is None:
        check = kind.not_assessable(why, finding=finding, subject=subject)
    else:
        result = kind.passed if passes else kind.failed
        check = result(finding, why, subject=subject, clause=clause)
    return with_file(check, entries, "maps.json")


def _passes(measure: str, share: Estimate, chance: float) -> tuple[bool | None, str]:
    """Whether the check passes, None if that cannot be told; and why."""
    limit = RATIO * chance
    in_words = f"1.5 times chance, {per_cent(min(1.0, limit))}"
    if measure == "border_share":
        if share.low > limit:
            return False, f"the whole interval is above {in_words}"
        if share.high <= limit:
            return True, f"the whole interval is below {in_words}"
        return None, f"the interval includes {in_words}"
    if share.low > limit:
        return True, f"the whole interval is above {in_words}"
    if share.high < chance:
        return False, "the whole interval is below chance"
    if share.low > chance:
        return None, f"above chance, but not clearly above {in_words}: too little to count on"
    if measure != "lung_share" and share.high < limit:
        return False, f"no clear difference from chance, and below {in_words}"
    return None, "no clear difference from chance, and too few images to rule one out"
