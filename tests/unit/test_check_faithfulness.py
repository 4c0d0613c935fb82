"""Faithfulness: maps must beat random ones and the centre."""

from dataclasses import asdict

from tests.unit.audit_tables_example import RUN, mean, one
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.checks import faithfulness


def faithful(**advantages):
    rows = [("map", None), *((name, mean(value)) for name, value in advantages.items())]
    return [
        {
            "test": "road",
            "map": name,
            "area": asdict(mean(0.5)),
            "advantage": None if advantage is None else asdict(advantage),
        }
        for name, advantage in rows
    ]


def outcome(test, rows):
    checks = faithfulness.judge(AuditTables(map_tests={RUN: {"faithfulness": rows}}))
    return one([check for check in checks if check.name == f"faithfulness: {test}"])


def test_maps_must_beat_random_ones_and_the_centre():
    better = outcome("road", faithful(centre=0.2, blurred=-0.2, random=0.2))
    assert better.status == "passed" and "blurred -0.200" in better.finding
    lost = outcome("road", faithful(centre=-0.2, blurred=0.0, random=0.2))
    assert lost.status == "failed" and "a blob in the centre" in lost.clause
    near = outcome("road", faithful(centre=0.06, blurred=0.0, random=0.2))
    assert near.status == "not assessable"  # above 0 at 95 %, not with six comparisons
    assert "insertion" in outcome("insertion", faithful(centre=1.0)).why
