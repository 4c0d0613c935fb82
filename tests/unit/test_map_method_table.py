"""The table of map methods: every score of every method, with interval and n, in one row."""

import pytest

from workflow_scripts.cxrcam.configuration.map_methods import TITLES
from workflow_scripts.cxrcam.map_tests.method_table import (
    method_row,
    method_table,
    methods_to_test,
)


def mean(value: float, n: int = 12) -> dict:
    return {"n": n, "mean": value, "interval": [value - 0.1, value + 0.1]}


def place(value: float, chance: float) -> dict:
    return {"n": 7, "value": value, "interval": [value - 0.2, value + 0.2], "chance": chance}


@pytest.fixture
def scores() -> dict:
    areas = {"insertion": 0.7, "deletion": 0.3, "road": 0.4}
    return {
        "n": 12,
        "lung_share": place(0.5, 0.3),
        "border_share": place(0.2, 0.36),
        "pointing_game": {"reason": "no rightly predicted test image has a lesion mask"},
        "intersection_over_union": place(0.25, 0.1),
        "randomisation": [
            {"block": "fc", "spearman": mean(0.9), "ssim": mean(0.91)},
            {"block": "conv1", "spearman": mean(0.1), "ssim": mean(0.6)},
            {"block": "floor", "spearman": mean(0.2), "ssim": mean(0.61)},
        ],
        "faithfulness": [
            {"test": test, "map": "map", "area": mean(area), "advantage": None}
            for test, area in areas.items()
        ]
        + [
            {"test": test, "map": control, "area": mean(0.0), "advantage": mean(area / 10)}
            for test, area in areas.items()
            for control in ("centre", "blurred", "random")
        ],
        "flip": {"ssim": mean(0.8), "spearman": mean(0.85)},
    }


def test_every_score_has_its_value_interval_and_n(scores):
    row = method_row("layer_cam", scores)
    assert (row["method"], row["title"], row["images"]) == ("layer_cam", "LayerCAM", 12)
    expected = {
        "lung_share": 0.5,
        "border_share": 0.2,
        "intersection_over_union": 0.25,
        "untrained_spearman": 0.1,  # the last step, not the floor after it
        "untrained_ssim": 0.6,
        "other_image_spearman": 0.2,
        "insertion": 0.7,
        "insertion_over_random": 0.07,
        "deletion_over_centre": 0.03,
        "road": 0.4,
        "road_over_blurred": 0.04,
        "flip_spearman": 0.85,
        "flip_ssim": 0.8,
    }
    for name, value in expected.items():
        assert row[name] == pytest.approx(value), name
        assert row[f"{name}_low"] < value < row[f"{name}_high"], name
        assert row[f"{name}_n"] > 0, name
    assert row["lung_share_chance"] == 0.3


def test_what_could_not_be_scored_is_empty_and_counts_no_image(scores):
    row = method_row("exact", scores)
    assert row["pointing_game"] is row["pointing_game_low"] is None
    assert row["pointing_game_n"] == 0
    # One image or one group have no interval.
    scores["flip"]["ssim"] = {"n": 1, "mean": 0.8, "interval": None}
    row = method_row("exact", scores)
    assert (row["flip_ssim"], row["flip_ssim_low"], row["flip_ssim_n"]) == (0.8, None, 1)


def test_rows_of_all_methods_have_the_same_columns(scores):
    columns = list(method_row("exact", scores))
    assert all(list(method_row(method, scores)) == columns for method in TITLES)


def test_our_own_map_comes_first_and_no_method_twice():
    assert methods_to_test("exact", ["score_cam", "grad_cam"]) == ["exact", "score_cam", "grad_cam"]
    # VGG's own map is Grad-CAM.
    assert methods_to_test("grad_cam", ["eigen_cam", "grad_cam"]) == ["grad_cam", "eigen_cam"]


def test_the_table_has_a_row_a_design_and_method(scores):
    runs = [{"dataset": "d", "task": task, "scheme": "s", "fold": 1, "seed": 0} for task in "tu"]
    table = method_table(runs, [{"exact": scores, "layer_cam": scores}, {"exact": scores}])
    assert table[["task", "method"]].to_numpy().tolist() == [
        *(["t", "exact"], ["t", "layer_cam"], ["u", "exact"])
    ]
    assert table.columns.tolist()[:5] == ["task", "scheme", "fold", "seed", "method"]
    assert table["lung_share"].tolist() == [0.5] * 3
