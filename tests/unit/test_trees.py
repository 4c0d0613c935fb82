"""The forests of floors and traces: they learn, and the number of threads changes nothing."""

import numpy as np
import pandas as pd
import pytest

from workflow_scripts.cxrcam.floors.floors import FLOORS, cross_validated_floors, floors_of_task
from workflow_scripts.cxrcam.floors.trees import fitted_trees
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.checks import given_away

LABELS = np.arange(120) % 2
FOLDS = np.arange(120) // 2 % 4


def features(seed: int) -> np.ndarray:
    """Noise, and one column that tells the classes apart on four images of five."""
    rng = np.random.default_rng(seed)
    told = np.where(rng.random(120) < 0.8, LABELS, 1 - LABELS)
    return np.column_stack([rng.normal(size=(120, 9)), told]).astype(np.float32)


@pytest.mark.parametrize("threads", [2, 5])
def test_a_forest_is_the_same_on_any_number_of_threads(threads):
    seen, new = features(0), features(1)
    one = fitted_trees(seen, LABELS, 40, 7)
    several = fitted_trees(seen, LABELS, 40, 7, threads)
    assert several.predict_proba(new).tobytes() == one.predict_proba(new).tobytes()
    assert several.n_jobs == 1, "probabilities would be added up in changing order"
    assert not np.array_equal(
        fitted_trees(seen, LABELS, 40, 8).predict_proba(new), one.predict_proba(new)
    )


@pytest.mark.parametrize("threads", [1, 3])
def test_floors_of_a_data_set_test_every_image_once(threads):
    seen = {name: features(k) for k, name in enumerate(FLOORS) if name != "majority"}
    seen["corners"] = np.random.default_rng(9).normal(size=(120, 5)).astype(np.float32)
    rows, probabilities = cross_validated_floors(
        seen,
        LABELS,
        FOLDS,
        2,
        lambda name, fold: np.random.SeedSequence(10 * FLOORS.index(name) + fold),
        threads,
    )
    assert [(row["floor"], row["fold"]) for row in rows] == [
        (name, fold) for name in FLOORS for fold in range(4)
    ]
    assert {row["n"] for row in rows} == {30}
    mean = {
        name: np.mean([row["accuracy"] for row in rows if row["floor"] == name]) for name in FLOORS
    }
    assert mean["majority"] == 0.5
    # What is said of each image is what the accuracy counts.
    for name in FLOORS[1:]:
        right = probabilities[name].argmax(axis=1) == LABELS
        assert right.mean() == pytest.approx(mean[name])
    assert mean["corners"] < 0.65
    assert all(mean[name] > 0.7 for name in ("histogram", "border", "centre_black", "thumbnail"))


def test_floors_of_a_task_never_part_a_group_and_are_the_same_twice():
    # Ten pictures of each patient, who alone can be told: learnt by heart unless groups are whole.
    patients = np.arange(120) // 10
    classes = np.array(["a", "b"])[np.random.default_rng(0).permutation(12) % 2]
    images = pd.DataFrame({"label": classes[patients], "group": [f"p{k}" for k in patients]})
    seen = {name: np.eye(12, dtype=np.float32)[patients] for name in FLOORS if name != "majority"}
    (rows, told), again = (floors_of_task("two", images, seen, ["a", "b"], 1) for _ in range(2))
    assert rows == again[0] and told.tobytes() == again[1].tobytes()
    assert told.shape == (120, 2) and np.allclose(told.sum(axis=1), 1)
    table = pd.DataFrame(rows)
    assert table.groupby("floor")["n"].sum().eq(120).all()
    assert table["fold"].nunique() == 5
    border = table[table["floor"] == "border"]
    assert (border["n"] * border["accuracy"]).sum() / 120 < 0.75


def test_floors_of_one_group_are_not_assessable_and_say_why():
    images = pd.DataFrame({"label": ["a", "b"] * 10, "group": "one patient"})
    seen = {name: np.zeros((20, 1)) for name in FLOORS if name != "majority"}
    rows, told = floors_of_task("two", images, seen, ["a", "b"], 1)
    assert told.shape == (20, 2) and np.isnan(told).all()
    assert [row["floor"] for row in rows] == list(FLOORS)
    assert all(np.isnan(row["accuracy"]) for row in rows)
    table = pd.DataFrame([{"task": "two", "scheme": "", **row} for row in rows])
    (check,) = given_away.judge(AuditTables(floors=table))
    assert check.status == "not assessable"
    assert "all images are in one group" in check.why
