"""Whether the answer depends on the places that the maps show."""

from collections.abc import Mapping
from typing import Any

from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables, Numbers, Run
from workflow_scripts.cxrcam.verdict.check import Check, CheckKind, register
from workflow_scripts.cxrcam.verdict.map_numbers import parts_of_designs, pooled_mean, with_file

KIND = CheckKind(
    name="faithfulness",
    question="Does the answer depend on the places that the maps show?",
    about="explanation",
    order=145,
    file="audit/*/*/fold-*/seed-*/map_tests.json",
    advice="Do not show the maps as the reason of an answer; compare other maps with `audit: "
    "{map_methods: [grad_cam, layer_cam]}`.",
    to_assess="Raise `audit: {explanation_images: N}`.",
)

MAP_TESTS = ("insertion", "deletion", "road")

CONTROLS = {"random": "random maps", "centre": "a blob in the centre of the image"}
"""Maps that know nothing of the network. The blurred copy knows it all, and is only reported."""


@register(KIND)
def judge(tables: AuditTables) -> list[Check]:
    """One check a design for each of insertion, deletion and ROAD.

    Passed if the maps beat random maps and a blob in the centre (advantage above 0, each interval
    widened for six comparisons), failed if one of these beats them. The blurred copy of the map is
    reported only. Petsiuk et al. 2018; Rong et al. 2022.
    """
    if not tables.map_tests:
        why = "the maps were not tested"
        return [KIND.not_assessable(why, detail=test) for test in MAP_TESTS]
    return [
        with_file(_of_design(subject, test, entries), entries, "map_tests.json")
        for subject, entries in parts_of_designs(tables.map_tests, "faithfulness")
        for test in MAP_TESTS
    ]


def _advantage(rows: Any, test: str, control: str) -> Numbers | None:  # noqa: ANN401
    if rows is None or isinstance(rows, Mapping):
        return rows
    found: dict[tuple[str, str], Numbers | None]
    found = {(row["test"], row["map"]): row["advantage"] for row in rows}
    return found.get((test, control), {"reason": f"{test} was not run against {control}"})


def _of_design(subject: str, test: str, entries: Mapping[Run, Any]) -> Check:
    comparisons = len(MAP_TESTS) * len(CONTROLS)
    advantages, lost, undecided = [], [], []
    for control in (*CONTROLS, "blurred"):
        of_control = {run: _advantage(rows, test, control) for run, rows in entries.items()}
        advantage, reason = pooled_mean(of_control, comparisons)
        if advantage is None:
            if control in CONTROLS:
                why = reason or "it was not run"
                return KIND.not_assessable(why, subject=subject, detail=test)
            continue
        advantages.append(
            f"{control} {advantage.value:+z.3f} ({advantage.low:+z.3f} to {advantage.high:+z.3f},"
            f" n = {advantage.n:,})"
        )
        if control in CONTROLS and advantage.high < 0.0:
            lost.append(control)
        elif control in CONTROLS and advantage.low <= 0.0:
            undecided.append(control)
    finding = f"advantage over {', '.join(advantages)}"
    if lost:
        why = f"{' and '.join(CONTROLS[control] for control in lost)} did better"
        clause = f"{CONTROLS[lost[-1]]} did better than the network's maps at naming what matters"
        return KIND.failed(finding, why, subject=subject, clause=clause, detail=test)
    if undecided:
        named = " and ".join(CONTROLS[control] for control in undecided)
        why = f"no clear difference to {named}: the interval includes 0"
        return KIND.not_assessable(why, finding=finding, subject=subject, detail=test)
    why = "better than random maps and than a blob in the centre"
    return KIND.passed(finding, why, subject=subject, detail=test)
