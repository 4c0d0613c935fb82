"""Where maps point: they pass above chance only, and are listed where nothing is known."""

from tests.unit.audit_tables_example import RUN, one, score
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.checks import map_scores


def judged(table):
    return map_scores.judge(AuditTables(maps=table))


def map_status(name, **scores):
    return one([c for c in judged({RUN: scores}) if c.name == name]).status


def test_maps_pass_above_chance_only():
    for key, name in (("lung_share", "maps in the lungs"), ("pointing_game", "pointing game")):
        assert map_status(name, **{key: score(0.5, 0.4, 0.6)}) == "passed"
        assert map_status(name, **{key: score(0.1, 0.05, 0.15)}) == "failed"
        assert map_status(name, **{key: score(0.3, 0.1, 0.5)}) == "not assessable"
    # Tightly at chance: lesions are not found; the lungs are neither preferred nor avoided.
    assert map_status("pointing game", pointing_game=score(0.21, 0.19, 0.23)) == "failed"
    assert map_status("maps in the lungs", lung_share=score(0.2, 0.19, 0.21)) == "not assessable"


def test_maps_at_the_border_fail_above_one_and_a_half_of_its_area():
    for value, expected in ((0.4, "failed"), (0.2, "passed"), (0.3, "not assessable")):
        found = map_status(
            "maps at the border", border_share=score(value, value - 0.05, value + 0.05)
        )
        assert found == expected


def test_maps_without_masks_say_so_and_are_still_listed():
    checks = judged({RUN: {"lung_share": {"reason": "no test image has a lung mask"}}})
    assert len(checks) == 4
    assert {c.status for c in checks} == {"not assessable"}
    assert checks[0].why == "no test image has a lung mask"
    no_interval = {"n": 1, "value": 0.4, "interval": None, "chance": 0.2}
    assert map_status("maps in the lungs", lung_share=no_interval) == "not assessable"
