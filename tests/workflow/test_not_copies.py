"""A reader's no: a pair that is rejected is no copy any more, anywhere."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.workflow.small_project import Project, merged, small_configuration
from workflow_scripts.cxrcam.phantom.dataset import PhantomSettings, draw_phantom

OWN = "results/home/audit/duplicates"
TARGETS = (f"{OWN}.csv", f"{OWN}.html", "results/home/audit/external/far/overlap.parquet")
NAMES = ("a.png", "b.png", "c.png")


def write_images(data: Path) -> None:
    """Three chests at home with a darker copy of the first; elsewhere one of the second."""
    rng = np.random.default_rng(0)
    chests = [draw_phantom("Normal", rng, PhantomSettings(size=192)).image for _ in range(4)]
    rows = {"home": [], "far": []}
    for of, name, pixels in (
        *(("home", name, chest) for name, chest in zip(NAMES, chests, strict=False)),
        ("home", "dark.png", np.rint(chests[0] * 0.8).astype(np.uint8)),
        ("far", "dark.png", np.rint(chests[1] * 0.8).astype(np.uint8)),
        ("far", "new.png", chests[3]),
    ):
        (data / of).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(data / of / name)
        rows[of].append(f"{name},{'COVID' if name in ('b.png', 'dark.png') else 'Normal'}")
    for of, lines in rows.items():
        (data / of / "list.csv").write_text("\n".join(["path,label", *lines]) + "\n", "utf-8")


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Project:
    data_sets = {
        name: {"kind": "manifest", "path": f"data/{name}/list.csv"} for name in ("home", "far")
    }
    configuration = merged(
        small_configuration(),
        {
            **{"dataset": "home", "external": ["far"], "datasets": {"small": None, **data_sets}},
            "tasks": {"three_class": None},
            "schemes": {"random_subsample": None},
            "image": {"size": 192},
        },
    )
    project = Project.create(tmp_path_factory.mktemp("no") / "cxrcam", configuration)
    write_images(project.folder / "data")
    project.run(*TARGETS)
    return project


def test_copies_are_listed_and_a_rejected_one_is_gone_everywhere(searched: Project) -> None:
    table = pd.read_csv(searched.folder / f"{OWN}.csv")
    found = table[["image_id_a", "data_set_b", "image_id_b", "kind"]].values.tolist()
    assert ["a", "home", "dark", "brightened"] in found
    assert ["b", "far", "dark", "brightened"] in found
    index = pd.read_parquet(searched.folder / "results/home/index/images.parquet")
    groups = index.set_index("image_id")["group"]
    assert groups["a"] == groups["dark"]

    # As its page says: rows of the table, with its first line.
    table.to_csv(searched.folder / "no.csv", index=False)
    searched.change(datasets={"home": {"not_copies": "no.csv"}})
    done = searched.run(*TARGETS)
    assert "Left out" not in done  # nobody needs to read it in the terminal
    index = pd.read_parquet(searched.folder / "results/home/index/images.parquet")
    groups = index.set_index("image_id")["group"]
    assert groups["a"] != groups["dark"]
    assert pd.read_csv(searched.folder / f"{OWN}.csv").empty
    assert pd.read_parquet(searched.folder / TARGETS[2]).empty
    log = (searched.folder / "results/logs/home/index/images.log").read_text("utf-8")
    assert f"Left out {sum(table['data_set_b'] == 'home')} pairs that no.csv" in log
    assert "Nothing to be done" in searched.run(*TARGETS)


def test_a_table_that_is_not_there_is_refused_before_the_run(searched: Project) -> None:
    searched.change(datasets={"home": {"not_copies": "absent.csv"}})
    message = searched.refuse()
    assert "datasets.home.not_copies: the file 'absent.csv' does not exist" in message
