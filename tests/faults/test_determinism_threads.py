"""With two threads a job, and more of what a study can ask for: the same bytes, twice.

The short version of it, with one thread, is tests/workflow/test_determinism.py.
"""

import pytest
from safetensors.torch import save_file

from tests.workflow import determinism
from tests.workflow.small_project import Project
from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.models import build_classifier

WEIGHTS = "data/pretrained.safetensors"
PHANTOMS = determinism.STUDY["datasets"]["drawn"]
WIDER = {
    "external": ["other"],
    "datasets": {"other": {**PHANTOMS, "seed": 1}},
    "schemes": {
        "holdout": {"system": "paper"},
        "frozen": {
            "kind": "same_splits",
            "of": "holdout",
            "model": {"weights": WEIGHTS},
            "train": {"freeze_until": "layer3"},
        },
    },
    "train": {"watch": ["test"]},
    "audit": {"map_methods": ["grad_cam"]},
    "paper": {"target_accuracy": 0.5, "sustained": 1, "channels": 3},
    "compute": {"threads": 2},
}
TARGETS = ("all", "paper", "paper_networks", "related", "export", "crate")


def save_weights(project: Project) -> None:
    """The file whose early layers stay as they are."""
    (project.folder / "data").mkdir()
    state = build_classifier(Backbone("resnet18"), 10, seed=5).state_dict()
    save_file(dict(state), project.folder / WEIGHTS)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Project]:
    """The study, run with one core and with two."""
    folder = tmp_path_factory.mktemp("determinism")
    return determinism.run_twice(folder, WIDER, *TARGETS, prepare=save_weights)


def test_two_threads_and_every_target_leave_the_same_bytes(
    both: tuple[Project, Project], record_property
) -> None:
    first, second = map(determinism.made, both)
    for part in (
        *("drawn/features", "drawn/paper/figure_6.png", "drawn/audit/map_methods.csv"),
        *("drawn/export", "drawn/workflow"),
    ):
        assert any(name.startswith(part) for name in first), f"{part} was not compared"
    assert "drawn/audit/external.csv" in first
    assert determinism.differences(first, second) == []
    record_property("shown", f"the same twice, with 2 threads: {determinism.compared(first)}")


def test_every_exempt_name_is_that_of_a_file(both: tuple[Project, Project]) -> None:
    unused = [name for name in determinism.DURATIONS if not determinism.results(both[0], name)]
    assert unused == [], "exempt for nothing: take these out of DURATIONS"
