"""Accuracy on covered images, from the table that `predict_run` writes."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from workflow_scripts.cxrcam.audit.covered_scores import covered_scores
from workflow_scripts.cxrcam.contracts import covered_schema

CLASSES = ["clear", "ill"]
COLUMNS = ["probability_clear", "probability_ill"]


def called(classes: list[str]) -> pd.DataFrame:
    """Probabilities that name these classes."""
    sure = {"clear": (0.9, 0.1), "ill": (0.2, 0.8)}
    return pd.DataFrame([sure[name] for name in classes], columns=COLUMNS)


@pytest.fixture
def test_part() -> pd.DataFrame:
    truth = ["clear", "clear", "clear", "ill"]
    images = pd.DataFrame({"image_id": ["a", "b", "c", "d"], "label": truth})
    return images.join(called(["clear", "clear", "ill", "ill"]))


def test_covered_images_are_compared_with_the_same_images_uncovered(
    test_part: pd.DataFrame,
) -> None:
    # In another order than the test part, and of three of its four images: c has no mask.
    lungs = called(["ill", "clear", "ill"]).assign(variant="lungs_out", image_id=["d", "a", "b"])
    rows = covered_scores(test_part, lungs, CLASSES, "none").set_index("variant")
    row = rows.loc["lungs_out"]
    assert row["n"] == 3
    assert row["accuracy"] == pytest.approx(2 / 3)
    assert row["original_accuracy"] == 1.0
    assert row["balanced_accuracy"] == pytest.approx((1 / 2 + 1) / 2)
    assert row["majority_share"] == pytest.approx(2 / 3)
    assert row["classes_with_images"] == 2
    assert row["reason"] == ""
    interval = binomtest(2, 3).proportion_ci(method="wilson")
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
    others = rows.drop("lungs_out")
    assert (others["n"] == 0).all()
    assert (others["reason"] == "none").all()
    assert others["accuracy"].isna().all()


def test_an_empty_table_gives_the_reason_for_every_variant(test_part: pd.DataFrame) -> None:
    nothing = covered_schema(CLASSES).empty_table().to_pandas()
    rows = covered_scores(test_part, nothing, CLASSES, "no test image has a lung mask")
    assert len(rows) == 4
    assert set(rows["reason"]) == {"no test image has a lung mask"}
    assert np.array_equal(rows["n"], [0, 0, 0, 0])
