"""With two threads a job, and with all that a study can ask for: the same bytes twice from scratch.

The short version of it, with one thread, is tests/workflow/test_determinism.py.
"""

import pytest
from safetensors.torch import save_file

from tests.workflow import determinism
from tests.workflow.small_project import Project
from workflow_scripts.cxrcam.networks.models import build_classifier

WEIGHTS = "data/pretrained.safetensors"
PHANTOMS = determinism.STUDY["datasets"]["drawn"]
EVERYTHING = {
    "external": ["other"],
    "datasets": {"other": {**PHANTOMS, "seed": 1}},
    "schemes": {
        "random_subsample": {
            "kind": "random_subsample",
            "repeats": 1,
            "images_per_class": 6,
            "test_fraction": 0.34,
            "shared_test_of": "holdout",
            "train": {"epochs": 1, "batch_size": 6},
        },
        "squeezed": {
            "kind": "same_splits",
            "of": "holdout",
            "model": {"architecture": "squeezenet1_1"},
        },
        "frozen": {
            "kind": "same_splits",
            "of": "holdout",
            "model": {"weights": WEIGHTS},
            "train": {"freeze_until": "layer3"},
        },
        "lungs": {"kind": "same_splits", "of": "holdout", "input": "lungs_only"},
    },
    "train": {"watch": ["test", "shared_test"], "evaluate_every": 2},
    "audit": {"map_methods": ["grad_cam"]},
    "paper": {"target_accuracy": 0.5, "sustained": 2, "channels": 3},
    "compute": {"threads": 2},
}
TARGETS = ("all", "paper", "paper_networks")


def save_weights(project: Project) -> None:
    """The file whose early layers stay as they are."""
    (project.folder / "data").mkdir()
    state = build_classifier("resnet18", 10, seed=5).state_dict()
    save_file(dict(state), project.folder / WEIGHTS)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Project]:
    """The study, run with one core and with two."""
    folder = tmp_path_factory.mktemp("determinism")
    return determinism.run_twice(folder, EVERYTHING, *TARGETS, prepare=save_weights)


def test_two_threads_and_every_target_leave_the_same_bytes(both: tuple[Project, Project]) -> None:
    first, second = map(determinism.made, both)
    for part in ("drawn/features", "drawn/paper/figure_6.png", "drawn/audit/map_methods.csv"):
        assert any(name.startswith(part) for name in first), f"{part} was not compared"
    assert "drawn/audit/external.csv" in first
    assert determinism.differences(first, second) == []
    print(f"\n2 threads: {determinism.compared(first)}")


@pytest.mark.parametrize("pattern", determinism.DURATIONS)
def test_no_file_is_exempt_that_need_not_be(both: tuple[Project, Project], pattern: str) -> None:
    first, second = (determinism.results(project, pattern) for project in both)
    assert first, f"no file has the name {pattern}"
    assert determinism.differences(first, second) != []
