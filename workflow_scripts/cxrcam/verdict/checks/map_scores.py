"""Where the maps point, against chance."""

from collections.abc import Mapping

from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables, Numbers, Run
from workflow_scripts.cxrcam.verdict.check import Check, CheckKind, per_cent, register
from workflow_scripts.cxrcam.verdict.map_numbers import parts_of_designs, table_of_runs
from workflow_scripts.cxrcam.verdict.pooling import Estimate, pooled_estimate

BORDER_RATIO = 1.5
"""Share of the border's area that the maps may give to the border."""

LESION_RATIO = 1.5
"""Ratio to chance that must be ruled out before maps are said not to find lesions."""


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
        _kind("maps in the lungs", "Do the maps prefer the lungs?", 140),
        "share of the maps in the lungs",
        "they avoid the lungs",
    ),
    "border_share": (
        _kind("maps at the border", "Do the maps leave the border alone?", 141),
        "share of the maps at the border",
        "they favour the border of the image",
    ),
    "pointing_game": (
        _kind("pointing game", "Is the hottest point in the lesion?", 142),
        "hottest point in the lesion",
        "they do not find the lesions that are known",
    ),
    "intersection_over_union": (
        _kind("overlap with lesions", "Do the maps cover the lesions?", 143),
        "intersection over union",
        "they do not find the lesions that are known",
    ),
}
"""Of each measure in maps.json: its check, its name, and what the sentence says of a failure."""

KINDS = [kind for kind, _, _ in MEASURES.values()]


@register(*KINDS)
def judge(tables: AuditTables) -> list[Check]:
    """Four checks a design.

    Chance is what a map without preference gives. Intervals are at 95 %, over the runs together.

    - lungs (López-Cabrera et al. 2021): passed if the share lies above chance, failed if below
      (the maps avoid the lungs), not assessable if the interval holds chance;
    - border: failed if the share lies above 1.5 times chance, passed if below that;
    - pointing game (Zhang et al. 2018) and intersection over union: passed if above chance; failed
      if even 1.5 times chance is ruled out; otherwise too few lesions to tell.
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
    finding = f"{words} {share}; without preference {per_cent(chance)}"
    passes, why = _passes(measure, share, chance)
    if len(known) < len(table):
        why += f"; {len(table) - len(known)} of {len(table)} runs: {reason or 'chance unknown'}"
    if passes is None:
        return kind.not_assessable(why, finding=finding, subject=subject)
    result = kind.passed if passes else kind.failed
    return result(finding, why, subject=subject, clause=clause)


def _passes(measure: str, share: Estimate, chance: float) -> tuple[bool | None, str]:
    """Whether the check passes, None if that cannot be told; and why."""
    if measure == "border_share":
        limit = BORDER_RATIO * chance
        area = f"1.5 times the border's area, {per_cent(limit)}"
        if share.low > limit:
            return False, f"the interval lies above {area}"
        if share.high <= limit:
            return True, f"the interval lies below {area}"
        return None, f"the interval holds {area}"
    if share.low > chance:
        return True, "the interval lies above chance"
    if share.high < chance:
        return False, "the interval lies below chance"
    if measure != "lung_share" and share.high < LESION_RATIO * chance:
        return False, "the interval holds chance and rules out 1.5 times chance"
    return None, "the interval holds chance: no preference is shown, nor excluded"
