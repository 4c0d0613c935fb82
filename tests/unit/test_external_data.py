"""Images from elsewhere: what both data sets have is left out, and every row says what it can."""

import numpy as np
import pandas as pd
import pytest

from workflow_scripts.cxrcam.audit.external_data import (
    external_row,
    images_of_classes,
    lacking_reason,
    lacking_reasons,
    untested_row,
    without_overlap,
)
from workflow_scripts.cxrcam.metrics.intervals import wilson_interval
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables
from workflow_scripts.cxrcam.verdict.check import Check
from workflow_scripts.cxrcam.verdict.checks import external_data

CLASSES = ["Normal", "COVID"]
INTERNAL = {"n": 200, "accuracy": 0.9, "accuracy_low": 0.85, "accuracy_high": 0.93} | {
    "macro_auroc": 0.95
}


def index(*rows: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["image_id", "label", "group"])


def overlap(*ids: str) -> pd.DataFrame:
    return pd.DataFrame({"image_id_a": [f"own {k}" for k in ids], "image_id_b": list(ids)})


def answers(labels: list[str], right: int) -> pd.DataFrame:
    """Predictions of which the first `right` are right."""
    table = pd.DataFrame({"image_id": [str(k) for k in range(len(labels))], "label": labels})
    for name in CLASSES:
        agrees = (table["label"] == name) == (table.index < right)
        table[f"probability_{name}"] = np.where(agrees, 0.9, 0.1)
    return table


def row(labels: list[str], right: int, removed: int = 3) -> dict:
    return external_row(
        answers(labels, right),
        CLASSES,
        INTERNAL,
        removed=removed,
        groups=[str(k) for k in range(len(labels))],
        seed=np.random.SeedSequence(0),
    )


def judged(table: pd.DataFrame) -> list[Check]:
    return external_data.judge(AuditTables(external=table))


def as_table(*rows: dict) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"task": "two", "scheme": "once", "fold": 1, "seed": k, "data_set": "elsewhere", **row}
            for k, row in enumerate(rows)
        ]
    )


def test_an_image_of_both_data_sets_goes_with_its_patient():
    images = index(
        *[("a", "COVID", "p1"), ("b", "Normal", "p2"), ("c", "Normal", "p1"), ("d", "COVID", "d")]
    )
    # c is no copy, but of the patient of one, whom the network may have seen.
    assert without_overlap(images, overlap("a"))["image_id"].tolist() == ["b", "d"]
    assert without_overlap(images, overlap())["image_id"].tolist() == ["a", "b", "c", "d"]
    assert without_overlap(images, overlap("a", "b", "d")).empty


def test_a_copy_of_another_class_takes_its_patient_along():
    images = index(("a", "Lung_Opacity", "p1"), ("b", "Normal", "p1"), ("c", "COVID", "c"))
    left = images_of_classes(without_overlap(images, overlap("a")), CLASSES)
    assert left["image_id"].tolist() == ["c"]


def test_a_row_has_the_numbers_there_and_at_home():
    labels = ["Normal"] * 30 + ["COVID"] * 10
    found = row(labels, right=34)
    assert found["n"] == 40 and found["n_removed"] == 3 and found["reason"] == ""
    assert found["accuracy"] == pytest.approx(34 / 40)
    assert (found["accuracy_low"], found["accuracy_high"]) == wilson_interval(34, 40)
    assert found["majority_share"] == 0.75
    assert 0 < found["macro_auroc_low"] < found["macro_auroc"] < found["macro_auroc_high"] <= 1
    assert found["internal_accuracy"] == 0.9 and found["internal_n"] == 200


def test_where_the_overlap_takes_a_whole_class_the_reason_is_told():
    found = row(["COVID"] * 5, right=5, removed=1200)
    assert found["reason"] == "no image of 'Normal' is left without the 1,200 removed as overlap"
    assert found["n"] == 5 and found["accuracy"] is None
    nothing = row([], right=0)
    assert "'Normal' and 'COVID'" in nothing["reason"] and nothing["n"] == 0


def test_the_verdict_reads_the_table():
    fallen, held = row(["Normal", "COVID"] * 300, 400), row(["Normal", "COVID"] * 300, 545)
    assert [check.status for check in judged(as_table(fallen))] == ["failed"]
    assert [check.status for check in judged(as_table(held))] == ["passed"]
    reason = lacking_reason(["COVID"], ["other"])
    table = as_table(untested_row(reason, INTERNAL, n=9, removed=0))
    (check,) = judged(table)
    assert check.status == "not assessable" and check.why == reason
    assert check.clause == "the network was not tested on images from elsewhere"
    assert reason == "it has no image of 'COVID'; tasks that it can test: other"


def test_too_few_images_are_not_said_to_be_untested():
    (check,) = judged(as_table(row(["Normal", "COVID"] * 5, 9)))
    assert check.status == "not assessable"
    assert check.clause == "there are too few images from elsewhere (elsewhere) to tell"


def test_each_data_set_names_the_tasks_that_it_can_test():
    tests = [
        {"data_set": "x", "task": "two", "missing": []},
        {"data_set": "x", "task": "three", "missing": ["Viral"]},
        {"data_set": "y", "task": "three", "missing": ["Viral"]},
        {"data_set": "x", "task": "two", "missing": []},
        {"data_set": "x", "task": "four", "missing": []},
    ]
    assert lacking_reasons(tests) == [
        *(None, lacking_reason(["Viral"], ["two", "four"]), lacking_reason(["Viral"], [])),
        *(None, None),
    ]
