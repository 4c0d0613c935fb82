"""One number a design from what was measured on the maps of its runs.

Checks of maps say nothing about the accuracy: a network without shortcuts can have maps that show
nothing, and maps inside the lungs do not clear a network (Arun et al. 2021, Saporta et al. 2022).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from workflow_scripts.cxrcam.verdict.audit_tables import Numbers, OfRuns, Run
from workflow_scripts.cxrcam.verdict.check import Check, CheckKind
from workflow_scripts.cxrcam.verdict.pooling import Estimate, pooled_estimate

SIMILAR = 0.5
"""Spearman correlation from which on maps are alike: "large" by Cohen 1988."""


def parts_of_designs(runs: OfRuns, part: str) -> list[tuple[str, dict[Run, Any]]]:
    """Part of each run's content, by design: "<task>, <scheme>"."""
    by_design: dict[str, dict[Run, Any]] = {}
    for run, content in runs.items():
        by_design.setdefault(f"{run.task}, {run.scheme}", {})[run] = content.get(part)
    return list(by_design.items())


def with_file(check: Check, entries: Mapping[Run, Any], name: str) -> Check:
    """The check of a design, with a file of its first run as evidence."""
    task, scheme, fold, seed = min(entries)
    file = f"audit/{task}/{scheme}/fold-{fold}/seed-{seed}/{name}"
    return replace(check, file=file)


def table_of_runs(
    entries: Mapping[Run, Numbers | None], value: str
) -> tuple[pd.DataFrame, str | None]:
    """Rows with value, low, high, chance, n of each run; and the first reason of those without."""
    rows, reason = [], None
    for run, numbers in entries.items():
        numbers = numbers or {"reason": "it was not computed"}
        interval = numbers.get("interval")
        if interval is None and reason is None:
            alone = f"{numbers.get('n', 0)} image(s) or one group give no interval"
            reason = str(numbers.get("reason") or alone)
        low, high = interval if interval is not None else (None, None)
        found = {"value": numbers.get(value), "low": low, "high": high}
        found["chance"] = numbers.get("chance")
        rows.append({**run._asdict(), "n": numbers.get("n") or 0, **found})
    numeric = ["value", "low", "high", "chance"]
    table = pd.DataFrame(rows, columns=[*Run._fields, "n", *numeric])
    return table.astype(dict.fromkeys(numeric, "float64")), reason


def pooled_mean(
    entries: Mapping[Run, Numbers | None], comparisons: int = 1
) -> tuple[Estimate | None, str | None]:
    """Mean over the runs of a design, see `pooled_estimate`; and a reason where some have none."""
    table, reason = table_of_runs(entries, "mean")
    return pooled_estimate(table, "value", "low", "high", comparisons), reason


def inner(numbers: Numbers | None, name: str) -> Numbers | None:
    """One measure of a part, or the reason why the part is missing."""
    if numbers is None or "reason" in numbers:
        return numbers
    found: Numbers | None = numbers.get(name)
    return found


def cascade_row(
    entries: Mapping[Run, Any], position: int, measure: str
) -> Mapping[Run, Numbers | None]:
    """Measure of one row of each run's rows of `randomisation.summarise_cascade`.

    The last row is the floor, maps of different images; the one before has all weights untrained.
    """
    return {
        run: inner(rows, measure) if isinstance(rows, Mapping) or not rows
        else rows[position][measure]
        for run, rows in entries.items()
    }  # fmt: skip


def floor_of(entries: Mapping[Run, Any]) -> Estimate | None:
    """Spearman correlation of maps of different images, from the cascades of a design."""
    return pooled_mean(cascade_row(entries, -1, "spearman"))[0]


def similarity_bar(floor: Estimate | None) -> tuple[float, str]:
    """Correlation above which maps are alike, and its reason."""
    if floor is not None and floor.high > SIMILAR:
        return floor.high, f"{floor.high:.2f}, as between different images"
    return SIMILAR, f"{SIMILAR:.2f}"


def correlation_in_words(estimate: Estimate, floor: Estimate | None, also: str = "") -> str:
    """A correlation with its interval, `also`, and the correlation of different images."""
    words = f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f}, n = {estimate.n:,})"
    return words + also + (f"; maps of different images: {floor.value:.2f}" if floor else "")


def judge_alike(
    kind: CheckKind,
    subject: str,
    entries: Mapping[Run, Numbers | None],
    floor: Estimate | None,
    words: str,
    clause: str,
) -> Check:
    """Check that maps which ought to be alike are: passed above the bar, failed below it."""
    found, reason = pooled_mean(entries)
    if found is None:
        return kind.not_assessable(reason or "it was not computed", subject=subject)
    bar, limit = similarity_bar(floor)
    finding = f"{words} {correlation_in_words(found, floor)}"
    if found.low > bar:
        return kind.passed(finding, f"the whole interval is above {limit}", subject=subject)
    if found.high < bar:
        why = f"the whole interval is below {limit}"
        clause = f"{clause} (correlation {found.value:.2f})"
        return kind.failed(finding, why, subject=subject, clause=clause)
    return kind.not_assessable(f"the interval includes {limit}", finding=finding, subject=subject)
