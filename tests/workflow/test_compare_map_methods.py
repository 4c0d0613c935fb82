"""Other map methods: only where asked for, and then put to the very tests of our own maps."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.workflow.small_project import Project

METHODS = ["grad_cam", "hires_cam"]
TABLE, FIGURE = "results/small/audit/map_methods.csv", "results/small/audit/map_methods.png"
SCHEMES = ("holdout", "random_subsample")


def test_without_configured_methods_there_is_no_comparison(finished: Project) -> None:
    assert finished.results("map_methods*") == {}


def test_methods_are_scored_by_the_tests_of_our_own_maps_on_the_same_images(
    project: Project,
) -> None:
    before = project.results()
    # One task, so that there is little to compute.
    project.change(audit={"map_methods": METHODS}, tasks={"two_class": None})
    project.run("--", TABLE, FIGURE)
    after = project.results()
    assert {name for name in before if after.get(name) != before[name]} == set(), "stale by it"

    table = pd.read_csv(project.folder / TABLE)
    rows = list(zip(table["task"], table["scheme"], table["method"], strict=True))
    assert rows == [("three_class", s, m) for s in SCHEMES for m in ("exact", *METHODS)]
    assert (table["images"] == 4).all()
    assert (table["fold"] == 1).all()
    assert (table["flip_spearman_n"] == 4).all()
    own, *others = (table[table["method"] == name] for name in ("exact", *METHODS))
    # One and the same map, so one and the same scores: every method gets the same draws.
    numbers = [
        name for name in table.columns if name.startswith(("insertion", "road", "untrained"))
    ]
    np.testing.assert_allclose(others[0][numbers], others[1][numbers], atol=1e-5)
    # Evidence is centred over the classes, theirs is not.
    assert not np.allclose(own[numbers], others[0][numbers], atol=1e-5)
    own = own.set_index("scheme")
    for scheme in SCHEMES:
        file = f"results/small/audit/three_class/{scheme}/fold-1/seed-0/map_tests.json"
        known = json.loads((project.folder / file).read_text(encoding="utf-8"))
        untrained = known["randomisation"][-2]["spearman"]["mean"]
        assert own.loc[scheme, "untrained_spearman"] == pytest.approx(untrained)
        for row in known["faithfulness"]:
            if row["map"] == "map":
                expected = row["area"]["mean"]
                assert own.loc[scheme, row["test"]] == pytest.approx(expected, abs=1e-6)
            else:
                name = f"{row['test']}_over_{row['map']}"
                expected = row["advantage"]["mean"]
                assert own.loc[scheme, name] == pytest.approx(expected, abs=1e-6)
    with Image.open(project.folder / FIGURE) as picture:
        picture.load()
        assert picture.width > picture.height * 0.9  # an X-ray and three maps a row
        assert len(set(picture.convert("L").tobytes())) > 50


def test_an_unknown_method_is_refused_by_name(fresh: Project) -> None:
    fresh.change(audit={"map_methods": ["gradcam"]})
    assert "audit.map_methods" in fresh.refuse()
