"""Networks trained on covered images: covered in training, in prediction and in the audit."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tests.workflow.small_project import IMAGE_SIDE, Project
from workflow_scripts.cxrcam.networks.device_images import Normalisation
from workflow_scripts.cxrcam.networks.input_parts import read_network_input
from workflow_scripts.cxrcam.networks.models import load_model
from workflow_scripts.cxrcam.networks.prediction import predict

pytestmark = pytest.mark.usefixtures("one_torch_thread")

BORDER = {"kind": "same_splits", "of": "holdout", "input": "border_only", "tasks": ["two_class"]}
RUN = "runs/two_class/border/fold-1/seed-0"


def logits_of(results: Path, part: str) -> np.ndarray:
    """What the network trained on borders says of the test images when it sees a part of them."""
    model, card = load_model(results / RUN / "model.safetensors")
    image_ids = pd.read_parquet(results / RUN / "predictions.parquet")["image_id"].tolist()
    shards = sorted((results / "cache").glob("shard-*.parquet"))
    pixels = read_network_input(shards, image_ids, card.image_size, part, None)
    normalisation = Normalisation(tuple(card.mean), tuple(card.std))
    device = torch.device("cpu")
    return predict(model, card.backbone, pixels, normalisation, device).logits


def test_a_network_trained_on_borders_sees_borders_everywhere(project: Project) -> None:
    before = project.results("*.safetensors")
    project.change(schemes={"border": BORDER})
    overlays = f"results/small/{RUN.replace('runs', 'cam')}/overlays"
    project.run("--", "results/small/audit/verdict.md", overlays)
    results = project.folder / "results" / "small"
    after = project.results("*.safetensors")
    assert {name: after[name] for name in before} == before, "other networks were trained again"

    assert load_model(results / RUN / "model.safetensors")[1].input_part == "border_only"
    predictions = pd.read_parquet(results / RUN / "predictions.parquet")
    written = predictions[[f"logit_{name}" for name in ("Normal", "COVID")]].to_numpy()
    np.testing.assert_allclose(logits_of(results, "border_only"), written, rtol=1e-3, atol=1e-3)
    assert np.abs(logits_of(results, "whole") - written).max() > 1e-2
    # In training as well: its last look at the test images is what the predictions say of them.
    history = pd.read_parquet(results / RUN / "history.parquet")
    watched = history.loc[history["role"] == "test", "loss"].iloc[-1]
    labels = torch.tensor((predictions["label"] == "COVID").to_numpy(dtype=np.int64))
    loss = torch.nn.functional.cross_entropy(torch.tensor(written), labels).item()
    assert watched == pytest.approx(loss, rel=1e-3)
    # And what is drawn is what it saw: nothing in the middle of the X-ray, the left panel.
    overlay = next((results / RUN.replace("runs", "cam") / "overlays").glob("*.png"))
    with Image.open(overlay) as picture:
        middle = np.asarray(picture.convert("L"))[126:226, 100:200]
    assert len(np.unique(middle)) == 1

    metrics = pd.read_csv(results / "tables/metrics.csv").set_index(["task", "scheme"])
    masked = pd.read_csv(results / "audit/masked_inputs.csv")
    (row,) = masked[masked["retrained"]].to_dict("records")
    assert (row["task"], row["scheme"], row["variant"]) == ("two_class", "holdout", "border_only")
    assert row["accuracy"] == metrics.loc[("two_class", "border"), "accuracy"]
    assert row["original_accuracy"] == metrics.loc[("two_class", "holdout"), "accuracy"]
    checks = json.loads((results / "audit/verdict.json").read_text(encoding="utf-8"))["checks"]
    (check,) = [c for c in checks if c["name"] == "masked input: retrained on border only"]
    assert check["subject"] == "two_class, holdout"
    # Covering covered images once more would say nothing: no row, and no check that is unknown.
    assert "border" not in set(masked["scheme"])
    assert not [c for c in checks if c["subject"] == "two_class, border" and "masked" in c["name"]]
    own = pd.read_csv(results / RUN.replace("runs", "audit") / "masked.csv")
    assert own["reason"].str.contains("only ever sees covered images").all()


def test_lungs_without_masks_are_refused_before_any_job_starts(fresh: Project) -> None:
    fresh.change(schemes={"lungs": {**BORDER, "input": "lungs_only"}})
    said = fresh.refuse()
    assert "schemes.lungs.input is lungs_only, but 16 of 20 images have no lung mask" in said
    assert "Traceback" not in said


def test_only_networks_that_see_lungs_wait_for_the_masks(fresh: Project) -> None:
    mask = np.zeros((IMAGE_SIDE, IMAGE_SIDE), dtype=np.uint8)
    mask[8:40, 6:42] = 255
    for image in sorted((fresh.folder / "data" / "small").glob("*/images/*.png")):
        Image.fromarray(mask).save(image.parents[1] / "masks" / image.name)
    lungs = {**BORDER, "input": "lungs_out"}
    fresh.change(schemes={"lungs": lungs, "border": BORDER})
    for scheme, waits in (("lungs", True), ("border", False), ("holdout", False)):
        run = f"results/small/runs/two_class/{scheme}/fold-1/seed-0"
        plan = fresh.snakemake("--dry-run", "--", f"{run}/model.safetensors")
        assert plan.returncode == 0, plan.stderr
        # Rules stand at the beginning of the lines of the table of jobs.
        jobs = re.findall(r"^(\w+) +\d+$", plan.stdout + plan.stderr, flags=re.MULTILINE)
        assert "train" in jobs
        assert ("masks" in jobs) == waits, scheme
