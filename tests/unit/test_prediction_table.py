"""The table of predictions, read back: test images only, with what the network called them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workflow_scripts.cxrcam.networks.prediction_table import (
    read_test_predictions,
    write_predictions,
)

CLASSES = ["Normal", "COVID"]


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    images = pd.DataFrame(
        {
            "image_id": ["d", "c", "b", "a"],
            "label": ["COVID", "Normal", "COVID", "COVID"],
            "role": ["validation", "test", "test", "test"],
        }
    )
    probabilities = np.array([[0.1, 0.9], [0.75, 0.25], [0.625, 0.375], [0.25, 0.75]], "f4")
    write_predictions(tmp_path / "p.parquet", images, CLASSES, np.log(probabilities), probabilities)
    return tmp_path / "p.parquet"


def test_test_images_are_read_by_name_with_the_likeliest_class(predictions):
    table = read_test_predictions(predictions, CLASSES)
    assert table["image_id"].tolist() == ["a", "b", "c"]
    assert table.index.tolist() == [0, 1, 2]
    assert table["called"].tolist() == [1, 0, 0]
    assert table["predicted"].tolist() == ["COVID", "Normal", "Normal"]
    assert table["probability"].tolist() == [0.75, 0.625, 0.75]
    assert table["correct"].tolist() == [True, False, True]
    assert table["probability_COVID"].tolist() == [0.75, 0.375, 0.25]


def test_positions_are_those_of_the_classes_given(predictions):
    table = read_test_predictions(predictions, CLASSES[::-1])
    assert table["called"].tolist() == [0, 1, 1]
    assert table["predicted"].tolist() == ["COVID", "Normal", "Normal"]


def test_groups_come_from_the_division_by_name(predictions, tmp_path):
    split = pd.DataFrame({"image_id": ["x", "c", "a", "b"], "group": ["gx", "gc", "ga", "gb"]})
    split.to_parquet(tmp_path / "split.parquet")
    table = read_test_predictions(predictions, CLASSES, tmp_path / "split.parquet")
    assert table["group"].tolist() == ["ga", "gb", "gc"]


def test_a_run_without_test_images_has_an_empty_table(tmp_path):
    nothing = pd.DataFrame({"image_id": ["a"], "label": ["COVID"], "role": ["validation"]})
    values = np.zeros((1, 2), np.float32)
    write_predictions(tmp_path / "p.parquet", nothing, CLASSES, values, values)
    assert read_test_predictions(tmp_path / "p.parquet", CLASSES).empty
