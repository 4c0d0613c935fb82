"""Data that give the classes away: planted confounders fail, clean data and luck do not."""

import numpy as np
import pandas as pd
import pytest

from tests.unit.audit_tables_example import floors, measured, one, status
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.checks import given_away


def judged(table):
    return given_away.judge(AuditTables(floors=table))


@pytest.mark.parametrize("seed", range(10))
def test_planted_confounders_give_the_data_away_and_clean_data_raise_no_alarm(seed):
    assert status(judged(measured("clean", seed))) == "passed"
    marker = one(judged(measured("marker", seed)))
    assert marker.status == "failed" and "centre black 80 %" in marker.why
    exposure = one(judged(measured("exposure", seed)))
    assert exposure.status == "failed"
    assert "border 55 %" in exposure.why and "histogram 80 %" in exposure.why
    assert exposure.clause.startswith("a classifier that sees only the image border reaches")


def test_black_corners_are_offered_only_where_the_corners_give_the_class_away():
    assert one(judged(floors({"corners": 250, "border": 250}))).mend == "blank_corners"
    assert one(judged(floors({"border": 250}))).mend == "lungs_only"


def test_floors_that_know_nothing_fail_in_at_most_one_data_set_in_twenty():
    rng = np.random.default_rng(0)
    draws = rng.binomial(300, 0.5, size=(60, 4, 2))
    names = ("border", "corners")
    failed = 0
    for draw in draws:
        tables = [
            floors(dict(zip(names, counts, strict=True)), task=f"task {k}")
            for k, counts in enumerate(draw)
        ]
        failed += any(c.status == "failed" for c in judged(pd.concat(tables)))
    assert failed <= 0.05 * len(draws)


def test_more_floors_demand_more_of_each():
    # 0.63 of 300: above 0.55 at 95 %, not with 40 looks.
    table = floors({"border": 186})
    assert status(judged(table)) == "failed"
    many = [floors({"border": 150, "corners": 150}, task=f"task {k}") for k in range(20)]
    assert judged(pd.concat([table, *many]))[0].status != "failed"


def test_too_few_images_cannot_pass():
    small = one(judged(floors({"border": 15, "corners": 14}, n=30)))
    assert small.status == "not assessable"
    assert "or more would stand out, n = 30" in small.why
    folds = pd.concat([floors({"border": 30}, n=60, fold=fold) for fold in range(5)])
    assert status(judged(folds)) == "passed"


def test_the_thumbnail_sees_the_lungs_and_is_not_blamed():
    assert status(judged(floors({"border": 150, "thumbnail": 297}))) == "passed"
    assert status(judged(floors({"thumbnail": 297}))) == "not assessable"


def test_unequal_classes_are_measured_against_the_commonest():
    assert status(judged(floors({"border": 270}, majority=0.9))) == "passed"
    assert status(judged(floors({"border": 297}, majority=0.9))) == "failed"
