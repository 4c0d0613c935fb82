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
    # Surely above chance, 1.3 times it: told, but no radiologist would call it a preference.
    little = score(0.26, 0.24, 0.28)
    for key, name in (("lung_share", "maps in the lungs"), ("pointing_game", "pointing game")):
        (check,) = [c for c in judged({RUN: {key: little}}) if c.name == name]
        assert check.status == "not assessable" and "not clearly above 1.5 times" in check.why
        assert "chance gives 20 %, 1.3 times that" in check.finding
    # Tightly at chance: lesions are not found; the lungs are neither preferred nor avoided.
    assert map_status("pointing game", pointing_game=score(0.21, 0.19, 0.23)) == "failed"
    assert map_status("maps in the lungs", lung_share=score(0.2, 0.19, 0.21)) == "not assessable"


def test_maps_at_the_border_fail_above_one_and_a_half_of_its_area():
    for value, expected in ((0.4, "failed"), (0.2, "passed"), (0.3, "not assessable")):
        found = map_status(
            "maps at the border", border_share=score(value, value - 0.05, value + 0.05)
        )
        assert found == expected


def test_the_evidence_is_the_file_of_the_first_run():
    scores = {"lung_share": score(0.5, 0.4, 0.6)}
    check = judged({RUN._replace(seed=1): scores, RUN: scores})[0]
    assert check.file == "audit/two_class/holdout/fold-1/seed-0/maps.json"


def test_maps_without_masks_say_so_and_are_still_listed():
    checks = judged({RUN: {"lung_share": {"reason": "no test image has a lung mask"}}})
    assert len(checks) == 4
    assert {c.status for c in checks} == {"not assessable"}
    assert checks[0].why == "no test image has a lung mask"
    no_interval = {"n": 1, "value": 0.4, "interval": None, "chance": 0.2}
    assert map_status("maps in the lungs", lung_share=no_interval) == "not assessable"
