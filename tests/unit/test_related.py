"""Published systems: thresholds, pooled rows, the page and the figures."""

import math

import numpy as np
import pandas as pd
import pytest

from workflow_scripts.cxrcam.figures.related import accuracy_figure, threshold_figure
from workflow_scripts.cxrcam.paper.published_systems import SYSTEMS
from workflow_scripts.cxrcam.paper.related import (
    ALL_LAYERS,
    in_words,
    operating_point,
    related_page,
    related_row,
)
from workflow_scripts.cxrcam.terms import TEST, VALIDATION


def predictions(role: str, labels: str, scores: list[float]) -> pd.DataFrame:
    """A table of two classes; "p" is the positive one."""
    return pd.DataFrame(
        {
            "role": role,
            "label": [{"p": "COVID", "n": "Normal"}[letter] for letter in labels],
            "probability_Normal": [1 - score for score in scores],
            "probability_COVID": scores,
        }
    )


TESTED = predictions(TEST, "ppppnnnn", [0.9, 0.8, 0.3, 0.2, 0.7, 0.25, 0.1, 0.0])


def test_the_threshold_is_the_highest_that_reaches_the_wanted_sensitivity() -> None:
    point = operating_point(TESTED, "COVID", wanted=0.75)
    assert point["threshold"] == 0.3  # 0.9, 0.8 and 0.3 are three of four
    assert (point["sensitivity"], point["sensitivity_n"]) == (0.75, 4)
    assert (point["specificity"], point["specificity_n"]) == (0.75, 4)  # 0.7 is called positive
    assert point["sensitivity_low"] < 0.75 < point["sensitivity_high"]
    assert point["chosen_on"] == TEST


def test_a_validation_part_chooses_the_threshold_alone() -> None:
    validation = predictions(VALIDATION, "ppn", [0.95, 0.85, 0.1])
    point = operating_point(pd.concat([validation, TESTED]), "COVID", wanted=1.0)
    assert point["chosen_on"] == VALIDATION
    assert point["threshold"] == 0.85
    assert (point["sensitivity"], point["specificity"]) == (0.25, 1.0)


def metrics(**changes: object) -> pd.DataFrame:
    """Two folds of ten images each, six of them positive."""
    row = {
        **{"fold": 1, "n": 10, "accuracy": 0.9, "best_floor": "border", "best_floor_accuracy": 0.7},
        **{"gap_low": 0.1, "n_COVID": 6, "sensitivity_COVID": 1.0, "specificity_COVID": 0.75},
    }
    return pd.DataFrame([row, row | {"fold": 2, "accuracy": 0.7, "gap_low": -0.1} | changes])


MASKED = pd.DataFrame(
    {
        "variant": ["lungs_out", "lungs_out", "lungs_only"],
        "accuracy": [0.5, math.nan, 1.0],
        "n": [4, 0, 4],
        "fold": 1,
    }
)


def test_runs_of_a_design_are_counted_together() -> None:
    row = related_row(metrics(sensitivity_COVID=0.5), "COVID", MASKED, [TESTED, TESTED])
    assert (row["runs"], row["n"], row["accuracy"]) == (2, 20, 0.8)
    assert row["low"] < 0.8 < row["high"]
    # Seeds of one fold answer the same images.
    seeds = related_row(metrics(fold=1), "COVID", MASKED, [TESTED, TESTED])
    assert (seeds["n"], seeds["accuracy"]) == (10, 0.8)
    assert seeds["high"] - seeds["low"] > row["high"] - row["low"]
    assert (row["sensitivity"], row["specificity"]) == (0.75, 0.75)
    assert row["above_floor"] == "1 of 2", "an interval that holds 0 is no gain"
    assert (row["lungs_covered"], row["n_lungs_covered"]) == (0.5, 4)
    twice = pd.concat([MASKED, MASKED.assign(accuracy=0.25)])  # a second seed
    again = related_row(metrics(), "COVID", twice[twice["n"] > 0], [])
    assert (again["lungs_covered"], again["n_lungs_covered"]) == (0.375, 4)
    # 0.9, 0.8 are called COVID, 0.3 and 0.2 Normal; 0.7 is a Normal called COVID.
    assert (row["elsewhere"], row["n_elsewhere"]) == (5 / 8, 8)
    assert row["majority_elsewhere"] == 0.5


def test_what_was_not_measured_is_no_number() -> None:
    row = related_row(metrics(), "COVID", MASKED.iloc[2:], [])
    assert math.isnan(row["lungs_covered"])
    assert math.isnan(row["elsewhere"])
    assert row["n_elsewhere"] == 0


@pytest.fixture
def table() -> pd.DataFrame:
    rows = []
    for key, division in (("detrac", "honest division"), ("deep_covid", "the paper's division")):
        about = {
            **{"key": key, "system": SYSTEMS[key].name, "network": "resnet18"},
            **{"trained": ALL_LAYERS, "mirrored": key == "detrac", "start": "random", "input": 65},
            **{"task": "two_class", "scheme": key, "division": division},
        }
        row = related_row(metrics(), "COVID", MASKED, [])
        rows.append(about | row | {"label": in_words(about)})
    return pd.DataFrame(rows)


def test_the_page_says_of_each_system_what_was_run_and_what_it_reached(table: pd.DataFrame) -> None:
    points = table[table["key"] == "deep_covid"].assign(**operating_point(TESTED, "COVID"))
    page = related_page(table, points, "small")
    assert "## DeTraC" in page
    assert SYSTEMS["covid_caps"].source not in page
    assert SYSTEMS["detrac"].open in page
    assert "80.0% (" in page and "n = 20" in page and "70.0% (border)" in page
    assert "resnet18 (random, 65 px, not mirrored)" in page
    assert "honest division: 0 of 1 networks are above the best floor, 70.0%" in page
    assert page.count("chosen on the test images themselves, which flatters") == 1


def test_every_accuracy_stands_beside_its_floor_in_the_figure(table: pd.DataFrame) -> None:
    figure = accuracy_figure(table, {("detrac", "two_class"): 0.95})
    drawn = [
        round(float(np.asarray(line.get_xdata())[0]), 3)
        for line in figure.axes[0].get_lines()
        if len(np.asarray(line.get_xdata())) == 1
    ]
    assert sorted(drawn) == [0.7, 0.7, 0.8, 0.8, 0.95]


def test_the_threshold_is_drawn_where_it_was_chosen(table: pd.DataFrame) -> None:
    point = table.iloc[[0]].assign(**operating_point(TESTED, "COVID", wanted=0.75))
    roc, histogram = threshold_figure(point, [TESTED]).axes
    x, y = (np.asarray(part) for part in roc.get_lines()[-1].get_data())
    assert (x[0], y[0]) == (0.25, 0.75)
    assert 0.3 in [np.asarray(line.get_xdata())[0] for line in histogram.get_lines()]


def test_every_system_of_the_schema_has_its_words() -> None:
    from pathlib import Path

    from workflow_scripts.cxrcam.configuration.resolution import load_schema

    schema = load_schema(Path(__file__).parents[2] / "schemas/config.schema.yaml")
    kinds = schema["properties"]["schemes"]["additionalProperties"]["allOf"]
    for kind in kinds:
        named = kind["then"]["properties"]["system"]["enum"]
        assert {*named} - {None} == {*SYSTEMS}
