"""A network beside its floors."""

import numpy as np
import pandas as pd
import pytest

from workflow_scripts.cxrcam.floors.comparison import compare_with_floors

CLASSES = ["a", "b"]


def table(called: list[int], truth: list[int], **more: str) -> pd.DataFrame:
    right = np.array(called)
    return pd.DataFrame(
        {
            "image_id": [f"i{k}" for k in range(len(truth))],
            "label": [CLASSES[k] for k in truth],
            "probability_a": np.where(right == 0, 0.9, 0.2),
            "probability_b": np.where(right == 0, 0.1, 0.8),
            **more,
        }
    )


TRUTH = [0, 1] * 20
NETWORK = table([*TRUTH[:38], 1, 0], TRUTH)
FLOORS = pd.concat(
    [
        table([0] * 40, TRUTH, floor="majority"),
        table([*TRUTH[:30], *(1 - k for k in TRUTH[30:])], TRUTH, floor="border"),
    ]
)
GROUPS = [f"g{k}" for k in range(40)]


def compared(network: pd.DataFrame = NETWORK, floors: pd.DataFrame = FLOORS) -> dict:
    return compare_with_floors(network, floors, GROUPS, CLASSES, np.random.default_rng(0))


def test_the_best_floor_is_the_one_to_beat():
    found = compared()
    assert found["best"] == "border"
    assert found["floors"]["border"]["accuracy"] == 0.75
    assert found["floors"]["majority"]["accuracy"] == 0.5
    gap = found["gap"]
    assert gap["gap"] == pytest.approx(0.2) and gap["low"] < 0.2 < gap["high"]


def test_the_order_of_the_images_does_not_matter():
    assert compared(floors=FLOORS.sample(frac=1, random_state=1).sort_values("floor")) == compared(
        floors=FLOORS.sort_values("floor", kind="stable")
    )


def test_a_floor_that_skipped_an_image_is_refused():
    with pytest.raises(ValueError, match="'border' was not asked"):
        compared(floors=FLOORS.iloc[:-1])


def test_a_floor_so_sure_that_every_probability_rounds_to_one_has_an_auroc():
    sure = FLOORS.assign(probability_b=1.0, probability_a=FLOORS["probability_a"] * 1e-20)
    assert compared(floors=sure)["floors"]["border"]["macro_auroc"] == pytest.approx(0.75)
