"""Frozen layers through the workflow: computed once, shared by runs, and unchanged by training."""

import re

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.workflow.small_project import Project
from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.models import build_classifier, load_model

RUN = "results/small/runs/{}/holdout/fold-1/seed-0"
TARGETS = [f"{RUN.format(task)}/predictions.parquet" for task in ("two_class", "three_class")]


@pytest.fixture
def frozen(fresh: Project) -> Project:
    """A project that fine-tunes the last layers of a network with weights from a file."""
    state = build_classifier(Backbone("resnet18"), 10, seed=5).state_dict()
    (fresh.folder / "data").mkdir(exist_ok=True)
    save_file(dict(state), fresh.folder / "data/pretrained.safetensors")
    fresh.change(model={"weights": "data/pretrained.safetensors"}, train={"freeze_until": "layer3"})
    return fresh


def test_frozen_layers_stay_and_are_computed_once_for_all_runs(frozen: Project) -> None:
    frozen.run(*TARGETS)
    features = sorted((frozen.folder / "results/small/features").rglob("*.parquet"))
    assert len(features) == 4, "one file a cache shard, whatever the number of runs"
    assert len({file.parent for file in features}) == 1
    before = load_file(frozen.folder / "data/pretrained.safetensors")
    for task in ("two_class", "three_class"):
        model, card = load_model(frozen.folder / RUN.format(task) / "model.safetensors")
        after = model.state_dict()
        assert torch.equal(after["layer3.1.conv2.weight"], before["layer3.1.conv2.weight"])
        assert torch.equal(after["bn1.running_mean"], before["bn1.running_mean"])
        assert not torch.equal(after["layer4.0.conv1.weight"], before["layer4.0.conv1.weight"])
        assert card.training["freeze_until"] == "layer3"
    with safe_open(frozen.folder / RUN.format("two_class") / "model.safetensors", "pt") as model:
        assert "fc.weight" in model.keys()

    jobs = frozen.snakemake("--dry-run", *TARGETS).stdout
    assert "Nothing to be done" in jobs
    frozen.change(train={"epochs": 2})
    jobs = frozen.snakemake("--dry-run", *TARGETS).stdout
    assert re.search(r"^train +2$", jobs, re.MULTILINE), jobs
    assert not re.search(r"^features +\d", jobs, re.MULTILINE)


def test_a_layer_that_is_not_there_is_named(frozen: Project) -> None:
    frozen.change(train={"freeze_until": "layer7"})
    done = frozen.snakemake("--cores", "1", *TARGETS)
    assert done.returncode == 1
    assert "'layer7', but resnet18 has no such layer. Choose one of its layers" in done.stderr
