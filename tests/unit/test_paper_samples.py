"""What the paper's figures and tables show: a typical image, the asked one, and costs."""

import pandas as pd
import pytest

from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.metrics.intervals import wilson_interval
from workflow_scripts.cxrcam.paper.samples import (
    asked_image,
    prediction_caption,
    prediction_of,
    typical_images,
)
from workflow_scripts.cxrcam.paper.tables import (
    accuracy_table,
    networks_table,
    training_speed,
)

CLASSES = ["a", "b"]


def records(*rows: tuple[str, str, str, float]) -> pd.DataFrame:
    table = pd.DataFrame(list(rows), columns=["image_id", "label", "predicted", "probability"])
    table["correct"] = table["label"] == table["predicted"]
    table["probability_a"] = table["probability"].where(
        table["predicted"] == "a", 1 - table["probability"]
    )
    return table.assign(probability_b=1 - table["probability_a"])


RECORDS = records(
    *(("1", "a", "a", 0.99), ("2", "a", "a", 0.6), ("3", "a", "a", 0.8), ("4", "a", "b", 0.7)),
    *(("5", "b", "a", 0.9), ("6", "b", "a", 0.55), ("7", "b", "a", 0.6)),
)


def test_a_typical_image_is_the_median_of_those_called_rightly_or_of_all():
    assert typical_images(RECORDS, CLASSES)["image_id"].tolist() == ["3", "7"]
    assert typical_images(RECORDS, CLASSES[::-1])["image_id"].tolist() == ["7", "3"]
    assert typical_images(RECORDS, CLASSES).index.tolist() == [2, 6], "rows of the whole table"


def test_the_asked_image_is_shown_and_without_one_the_first_of_the_last_class():
    tables = {"two": RECORDS, "other": records(("9", "c", "c", 0.9), ("8", "a", "a", 0.8))}
    assert asked_image(tables, "two", CLASSES, "4")["image_id"] == "4"
    assert asked_image(tables, "two", CLASSES, None)["image_id"] == "5"
    # A test image of the other task only: another one is shown.
    assert asked_image(tables, "two", CLASSES, "9")["image_id"] == "5"
    with pytest.raises(InputError, match=r"paper\.image is 'nowhere'.*for example '1', '2', '3'"):
        asked_image(tables, "two", CLASSES, "nowhere")


def test_the_table_of_a_prediction_has_a_column_a_class():
    table = prediction_of(RECORDS.iloc[3], CLASSES)
    assert table.columns.tolist() == ["Image", "True label", "Predicted label", "P(a)", "P(b)"]
    assert table.iloc[0].tolist() == ["4", "a", "b", pytest.approx(0.3), pytest.approx(0.7)]
    assert prediction_caption(4, "two", "once", 2).startswith("Table IV. Prediction of the 2-class")
    assert prediction_caption(11, "two", "once", 2).startswith("Table 11. ")


def metrics() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "task": ["two", "two", "three"],
            "scheme": ["once", "once", "big"],
            "fold": [1, 2, 1],
            "n": [100, 100, 50],
            "accuracy": [0.9, 0.8, 0.5],
            "accuracy_equation_1_a": [0.9, 0.8, 0.7],
            "accuracy_equation_1_b": [0.9, 0.8, 0.6],
            "accuracy_equation_1_c": [None, None, 0.5],
            "best_floor": ["border", "border", "corners"],
            "best_floor_accuracy": [0.6, 0.8, 0.4],
        }
    )


CONFIG = {
    "tasks": {"two": {"classes": ["a", "b"]}, "three": {"classes": ["a", "b", "c"]}},
    "schemes": {
        name: {"kind": "holdout", "grouped": True, "train": {}} for name in ("once", "big")
    },
    "train": {"optimizer": "adam", "learning_rate": 0.1, "batch_size": 8, "epochs": 2},
}


def test_accuracy_of_a_design_is_over_its_runs_together(monkeypatch):
    monkeypatch.setattr(
        "workflow_scripts.cxrcam.paper.tables.describe_design", lambda *of: "/".join(of[1:])
    )
    table = accuracy_table(metrics(), CONFIG)
    assert table["Design"].tolist() == ["two/once", "three/big"]
    first = table.iloc[0]
    assert (first["Runs"], first["n"], first["Accuracy"]) == (2, 200, 0.85)
    assert (first["95 % from"], first["to"]) == wilson_interval(170, 200)
    assert first["Equation (1), b"] == pytest.approx(0.85)
    assert first["Floor"] == "70.0% (border)"
    assert pd.isna(first["Equation (1), c"])
    # In the order of first appearance, with what is in words at the end.
    assert table.columns.tolist()[-3:] == ["Equation (1), c", "Floor", "Design"]


def test_networks_stand_by_their_size_with_the_mean_speed_of_their_runs():
    cost = {"network": "big", "input": 224, "parameters": 10, "gmac": 1.23456, "speed": 10.0}
    costs = pd.DataFrame(
        [
            {"task": "two", "scheme": "once", **cost},
            {"task": "two", "scheme": "once", **cost, "speed": 20.0},
            {"task": "two", "scheme": "small", **cost, "network": "small", "gmac": 0.5},
        ]
    )
    small = metrics().iloc[:1].assign(scheme="small")
    table = networks_table(costs, pd.concat([metrics(), small]))
    assert table["Network"].tolist() == ["small", "big"]
    assert table["Training images/s"].tolist() == [10.0, 15.0]
    assert table["GMAC"].tolist() == [0.5, 1.235]
    assert table["Runs"].tolist() == [1, 2]
    with pytest.raises(ValueError, match="without runs"):
        networks_table(costs, metrics())


def test_the_speed_of_training_is_that_of_all_epochs():
    history = pd.DataFrame({"iteration": [20, 10], "epoch": [2.0, 1.0], "seconds": [8.0, 5.0]})
    assert training_speed(history, 100) == 25.0
