"""A scheme whose classes are learnt as sub-classes, through to predictions, maps and report."""

import numpy as np
import pandas as pd
import pytest
import torch

from tests.workflow.small_project import Project
from workflow_scripts.cxrcam.maps.raw_maps import read_raw_maps
from workflow_scripts.cxrcam.networks.input_parts import read_network_input
from workflow_scripts.cxrcam.networks.models import load_model
from workflow_scripts.cxrcam.networks.prediction import predict_as_trained

pytestmark = pytest.mark.usefixtures("one_torch_thread")

PARTS = {"kind": "same_splits", "of": "holdout", "tasks": ["two_class"]}
RUN = "runs/two_class/parts/fold-1/seed-0"
CLASSES = ["Normal", "COVID"]


def test_a_decomposed_scheme_answers_with_classes_everywhere(project: Project) -> None:
    before = project.results("model.safetensors")
    project.change(schemes={"parts": {**PARTS, "model": {"decompose": 2}}})
    project.run("--", "results/small/report/index.html")
    results = project.folder / "results" / "small"
    after = project.results("model.safetensors")
    assert {name: after[name] for name in before} == before, "other networks were trained again"

    model, card = load_model(results / RUN / "model.safetensors")
    assert (card.classes, card.sub_classes) == (CLASSES, 2)
    split = pd.read_parquet(results / "splits/two_class/holdout/fold-1.parquet")
    trained_on = split[split["role"] == "train"]["label"].value_counts()
    counts = card.training["sub_class_images"]
    assert {name: sum(each) for name, each in counts.items()} == trained_on.to_dict()
    assert all(n > 0 for each in counts.values() for n in each)
    log = (project.folder / "results/logs/small" / RUN / "train.log").read_text(encoding="utf-8")
    assert "Each class is learnt as 2 sub-classes. Training images: Normal" in log

    predictions = pd.read_parquet(results / RUN / "predictions.parquet")
    logits = predictions[[f"logit_{name}" for name in CLASSES]].to_numpy()
    image_ids = predictions["image_id"].tolist()
    shards = sorted((results / "cache").glob("shard-*.parquet"))
    pixels = read_network_input(shards, image_ids, card.image_size, "whole", None)
    found = predict_as_trained(model, card, pixels, torch.device("cpu"))
    np.testing.assert_allclose(found.logits, logits, rtol=1e-3, atol=1e-3)
    stored = read_raw_maps(
        results / RUN.replace("runs", "cam") / "maps.parquet", image_ids, CLASSES
    )
    np.testing.assert_allclose(found.class_maps, stored.values, rtol=1e-3, atol=1e-3)
    # In training as well: its last look at the test images is what the predictions say of them.
    history = pd.read_parquet(results / RUN / "history.parquet")
    watched = history.loc[history["role"] == "test", "loss"].iloc[-1]
    labels = torch.tensor((predictions["label"] == "COVID").to_numpy(dtype=np.int64))
    loss = torch.nn.functional.cross_entropy(torch.tensor(logits), labels).item()
    assert watched == pytest.approx(loss, rel=1e-3)

    metrics = pd.read_csv(results / "tables/metrics.csv").set_index(["task", "scheme"])
    right = (logits.argmax(axis=1) == labels.numpy()).mean()
    assert metrics.loc[("two_class", "parts"), "accuracy"] == pytest.approx(right)
    assert "parts" in (results / "report/index.html").read_text(encoding="utf-8")

    project.change(schemes={"parts": {**PARTS, "model": {"decompose": 10}}})
    done = project.snakemake("--cores", "1", "--", f"results/small/{RUN}/model.safetensors")
    assert done.returncode == 1
    assert "model.decompose is 10, but the 7 training images of Normal" in done.stderr
    assert "Traceback" not in done.stderr
