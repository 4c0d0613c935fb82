"""Class by column: what is judged and what is not, intervals, held-out answers, the check."""

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from tests.unit.audit_tables_example import one, status
from workflow_scripts.cxrcam.audit.class_by_column import (
    assess_class_by_columns,
    held_out_accuracy,
    v_interval,
)
from workflow_scripts.cxrcam.audit.class_by_source import cramers_v
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.checks import class_by_column

CLASSES = ["Normal", "COVID"]
N = 60  # of each class


def index(classes=CLASSES, **columns):
    """Images, each of its own group, class after class, with columns given class by class."""
    images = pd.DataFrame({"label": np.repeat(classes, N)})
    images["group"] = [f"g{k}" for k in range(len(images))]
    for name, of_class in columns.items():
        images[name] = np.concatenate([np.resize(values, N) for values in of_class])
    return images


def assessed(images, classes=CLASSES, **also):
    folds = np.arange(len(images)) % 5
    found = assess_class_by_columns(images, classes, folds, **also)
    json.dumps({name: asdict(of_column) for name, of_column in found.items()}, allow_nan=False)
    return found


def check_of(**columns):
    """The check of one column, of a task."""
    found = {name: vars(of_column) for name, of_column in assessed(index(**columns)).items()}
    return one(class_by_column.judge(AuditTables(columns={"two_class": found})))


def test_a_view_of_its_own_for_each_class_fails_and_is_named():
    check = check_of(view=(["PA"], ["AP"]))
    assert check.status == "failed" and check.about == "shortcut"
    assert (check.name, check.subject) == ("class by column: view", "two_class")
    assert check.clause == (
        "'view' alone gives the class away: it is right on 100 %, where guessing gives 50 %"
    )


def test_a_view_that_is_mixed_alike_passes():
    check = check_of(view=(["PA", "AP"], ["PA", "AP"]))
    assert check.status == "passed" and "0.00" in check.finding


def test_a_sex_that_is_commoner_in_one_class_fails():
    found = assessed(index(sex=(["F", "F", "F", "M"], ["M", "M", "M", "F"])))["sex"]
    assert found.finding == "associated"
    assert found.accuracy == pytest.approx(0.75) and found.majority_accuracy == 0.5
    assert found.accuracy_low < 0.75 < found.accuracy_high
    assert found.cramers_v_low < found.cramers_v < found.cramers_v_high


def test_a_missing_value_is_a_value():
    found = assessed(index(age=(["40"], ["", "45"])))["age"]
    assert found.finding == "associated"
    assert found.values == ["40-59", "not known"] and found.counts == [[60, 0], [30, 30]]


def test_a_hint_that_luck_could_give_is_not_assessable():
    images = index(view=(["PA", "AP"], ["PA", "PA", "AP"])).iloc[40:80]
    found = assessed(images)["view"]
    assert found.finding == "not assessable" and "too few to tell" in found.verdict
    few = assessed(index(view=(["PA"], ["AP"])).iloc[52:70])["view"]
    assert few.verdict == "not assessable: class 'Normal' has 8 groups of images, 10 are needed"


def test_classes_that_share_no_value_by_luck_are_not_confounded():
    images = index(room=(list("abcdefghij"), list("klmnopqrst")))
    images = images.iloc[[*range(10), *range(N, N + 10)]]
    found = assessed(images, named=["room"])["room"]
    assert found.unshared_pairs and found.finding == "not assessable"


def test_a_column_of_unknown_meaning_that_is_the_class_is_said_to_be_it_and_not_judged():
    images = index(diagnosis=(["healthy"], ["ill"]), view=(["PA"], ["AP"]))
    found = assessed(images)
    assert found["diagnosis"].verdict == (
        "not judged: the column 'diagnosis' is the class under another name"
    )
    assert found["view"].finding == "confounded"
    assert assessed(images, named=["diagnosis"])["diagnosis"].finding == "confounded"


def test_a_column_that_describes_one_class_only_is_not_judged():
    found = assessed(index(severity=([None], ["mild", "severe"])))["severity"]
    assert found.finding == "not judged" and "it describes the others" in found.verdict


def test_columns_of_names_and_columns_with_one_value_are_not_judged():
    names = [[f"file {k}" for k in range(N)], [f"image {k}" for k in range(N)]]
    found = assessed(index(study=names, country=(["UK"], ["UK"])))
    assert found["study"].verdict == "not judged: it has 120 different values, more than 20"
    assert "the same value, 'UK'" in found["country"].verdict


def test_findings_are_no_traits_of_each_other():
    columns = {"Mass": (["0"], ["1"]), "Edema": (["0", ""], ["1", "0"]), "sex": (["F"], ["M"])}
    found = assessed(index(**columns), findings={"Mass"})
    assert [of.finding for of in found.values()] == ["not judged", "not judged", "confounded"]
    assert assessed(index(**columns))["Edema"].finding == "associated"


def test_three_classes_name_the_pair_that_shares_no_value():
    images = index([*CLASSES, "Viral"], view=(["PA", "AP"], ["AP"], ["PA"]))
    found = assessed(images, [*CLASSES, "Viral"])["view"]
    assert "confounded: 'COVID' and 'Viral' share no value" in found.verdict


def test_intervals_of_v_hold_it_in_95_of_100_sets_and_exclude_0_by_luck_in_few():
    rng, held, alarms = np.random.default_rng(0), 0, 0
    share = np.array([[0.35, 0.15], [0.15, 0.35]])  # V is 0.4
    for _ in range(400):
        low, high = v_interval(rng.multinomial(150, share.ravel()).reshape(2, 2), 150)
        held += low <= 0.4 <= high
        by_luck = v_interval(rng.multinomial(150, [1 / 12] * 12).reshape(2, 6), 150, 4)
        alarms += by_luck[0] > 0
    assert 0.92 <= held / 400 <= 0.98
    assert alarms / 400 <= 0.02


def test_images_of_one_patient_count_once_and_more_columns_widen():
    table = [[30, 10], [10, 50]]
    low, high = v_interval(table, 100)
    assert low < cramers_v(table) < high
    assert v_interval(table, 20)[0] < low < v_interval(table, 1000)[0]
    assert v_interval(table, 100, 10)[0] < low
    assert v_interval([[5, 5], [5, 5]], 20)[1] > 0.3, "an even table of 20 images shows little"


def test_answers_are_learnt_on_other_folds():
    # Each value is one image's own: known of it is nothing, but the majority of all.
    labels = pd.Series(["a"] * 6 + ["b"] * 4)
    folds = np.arange(10) % 5
    assert held_out_accuracy(labels, pd.Series(range(10)), folds) == 0.6
    assert held_out_accuracy(labels, labels, folds) == 1.0


def test_without_columns_the_check_is_not_assessable():
    assert status(class_by_column.judge(AuditTables())) == "not assessable"
    assert status(class_by_column.judge(AuditTables(columns={"t": {}}))) == "not assessable"
