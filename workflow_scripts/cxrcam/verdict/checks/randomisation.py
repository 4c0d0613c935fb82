"""Whether the maps depend on what the network has learnt."""

from collections.abc import Mapping
from typing import Any

from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables, Run
from workflow_scripts.cxrcam.verdict.check import Check, CheckKind, register
from workflow_scripts.cxrcam.verdict.map_numbers import (
    cascade_row,
    correlation_in_words,
    floor_of,
    parts_of_designs,
    pooled_mean,
    similarity_bar,
    with_file,
)

KIND = CheckKind(
    name="randomisation",
    question="Do the maps depend on what the network has learnt?",
    about="explanation",
    order=144,
    file="audit/*/*/fold-*/seed-*/map_tests.json",
    advice="Do not show the maps as reasons; end the network earlier (`model: {last_stage: 3}`), "
    "or try other maps (`audit: {map_methods: [grad_cam]}`).",
    to_assess="Raise `audit: {explanation_images: N}`.",
)

NO_ROOM = 0.9
"""Correlation of maps of different images beyond which randomisation could hardly fail."""


@register(KIND)
def judge(tables: AuditTables) -> list[Check]:
    """One check a design (Adebayo et al. 2018; Arun et al. 2021).

    With all weights untrained the maps must no longer resemble the original ones. The bar is the
    Spearman correlation of 0.5 or the upper bound of that between maps of different images,
    whichever is higher: failed if the lower bound of the last step lies above it, passed if the
    upper bound lies below. SSIM is reported only: smooth maps have a high SSIM whatever they show.
    Not assessable where even maps of different images correlate above 0.9, as constant ones do.
    """
    if not tables.map_tests:
        return [KIND.not_assessable("the maps were not tested")]
    cascades = parts_of_designs(tables.map_tests, "randomisation")
    return [
        with_file(_of_design(subject, entries), entries, "map_tests.json")
        for subject, entries in cascades
    ]


def _of_design(subject: str, entries: Mapping[Run, Any]) -> Check:
    last, reason = pooled_mean(cascade_row(entries, -2, "spearman"))
    if last is None:
        return KIND.not_assessable(reason or "no cascade was run", subject=subject)
    ssim, _ = pooled_mean(cascade_row(entries, -2, "ssim"))
    floor = floor_of(entries)
    bar, words = similarity_bar(floor)
    also = f", SSIM {ssim.value:.2f}" if ssim is not None else ""
    correlation = correlation_in_words(last, floor, also)
    finding = f"correlation with the maps of an untrained network: Spearman {correlation}"
    if last.low > bar:
        clause = "an untrained network draws much the same maps"
        return KIND.failed(
            finding,
            f"even the lower bound is above the limit, {words}",
            subject=subject,
            clause=clause,
        )
    if bar > NO_ROOM:
        why = f"maps of different images are as alike ({words}), so this test cannot tell"
        return KIND.not_assessable(why, finding=finding, subject=subject)
    if last.high <= bar:
        return KIND.passed(
            finding, f"the upper bound is within the limit, {words}", subject=subject
        )
    return KIND.not_assessable(
        f"the interval includes the limit, {words}", finding=finding, subject=subject
    )
