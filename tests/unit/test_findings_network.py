"""Networks with several findings: what they learn by, and what each says when asked for one."""

import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors import safe_open

from tests.shards import write_shard
from tests.unit.test_models import CARD
from tests.unit.training_job_example import small_job
from workflow_scripts.cxrcam.contracts import findings_split_schema
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps, with_absent_maps
from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.models import (
    METADATA_KEY,
    WeightsError,
    build_classifier,
    load_model,
    save_model,
)
from workflow_scripts.cxrcam.networks.prediction import predict_as_trained
from workflow_scripts.cxrcam.networks.questions import asked_for, load_question
from workflow_scripts.cxrcam.networks.training.findings_loss import FindingsLoss, right_answers
from workflow_scripts.cxrcam.networks.training.job import labels_of_images, train_classifier

pytestmark = pytest.mark.usefixtures("one_torch_thread")

CPU = torch.device("cpu")
NAN = float("nan")
LABELS = ["Effusion", "Mass", "Edema"]
KNOWN = torch.tensor([[1.0, 0.0, NAN], [NAN, NAN, NAN], [0.0, 1.0, 1.0]])
LOGITS = torch.tensor([[0.5, -1.0, -9.0], [2.0, -2.0, 2.0], [3.0, -2.0, 0.1]])


# --- loss and right answers -----------------------------------------------------------------------


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def test_loss_is_the_cross_entropy_of_what_is_known():
    by_hand = [
        (-np.log(sigmoid(0.5)) - np.log(1 - sigmoid(-1.0))) / 3,
        0.0,
        (-np.log(1 - sigmoid(3.0)) - np.log(sigmoid(-2.0)) - np.log(sigmoid(0.1))) / 3,
    ]
    np.testing.assert_allclose(FindingsLoss()(LOGITS, KNOWN), by_hand, rtol=1e-5)


def test_smoothing_takes_its_share_of_the_target_to_both_sides():
    def entropy(z, target):
        return -target * np.log(sigmoid(z)) - (1 - target) * np.log(1 - sigmoid(z))

    by_hand = (entropy(0.5, 0.9) + entropy(-1.0, 0.1)) / 3
    found = FindingsLoss(smoothing=0.2)(LOGITS, KNOWN)
    assert found[0].item() == pytest.approx(by_hand, rel=1e-5)
    assert found[1].item() == 0.0


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_what_is_not_known_teaches_nothing(smoothing):
    logits = LOGITS.clone().requires_grad_()
    FindingsLoss(smoothing)(logits, KNOWN).mean().backward()
    unknown = KNOWN.isnan()
    assert (logits.grad[unknown] == 0).all()
    assert (logits.grad[~unknown] != 0).all()


def test_right_answers_are_shares_of_what_is_known():
    assert right_answers(LOGITS, KNOWN).item() == pytest.approx(2 / 2 + 0 + 1 / 3)
    assert right_answers(LOGITS, torch.tensor([0, 1, 0])).item() == 2


# --- a network asked for one finding --------------------------------------------------------------

NETWORKS = [
    Backbone("resnet18", last_stage=2),
    Backbone("squeezenet1_1"),
    Backbone("mobilenet_v2"),
]


def network_of(backbone, size=64):
    card = replace(
        CARD,
        classes=LABELS,
        findings=True,
        architecture=backbone.architecture,
        last_stage=backbone.last_stage,
        image_size=size,
        input_size=size,
    )
    model = build_classifier(backbone, len(LABELS), seed=3).eval()
    head = model.get_submodule(backbone.head)
    torch.nn.init.normal_(head.bias, generator=torch.Generator().manual_seed(1))
    # With statistics of its own, or deep networks of noise say the same of every image.
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.inference_mode():
        model.train()(torch.randn(8, 3, size, size, generator=torch.Generator().manual_seed(2)))
    return model.eval(), card


def some_pixels(size=64):
    return np.random.default_rng(0).integers(0, 256, (3, size, size), dtype=np.uint8)


@pytest.mark.parametrize("backbone", NETWORKS, ids=lambda backbone: backbone.architecture)
@pytest.mark.parametrize("finding", LABELS)
def test_a_question_has_the_probability_and_the_map_of_its_finding(backbone, finding):
    model, card = network_of(backbone)
    pixels, number = some_pixels(), LABELS.index(finding)
    of_all = predict_as_trained(model, card, pixels, CPU)
    np.testing.assert_allclose(of_all.probabilities, sigmoid(of_all.logits), rtol=1e-5)
    own_bias = model.get_submodule(backbone.head).bias[number].item()

    asked, own_card = asked_for(model, card, finding)
    assert own_card.classes == [f"no {finding}", finding]
    assert not own_card.findings
    found = predict_as_trained(asked, own_card, pixels, CPU)
    assert (found.logits[:, 0] == 0).all()
    assert len(set(found.logits[:, 1].tolist())) == 3  # each image has a logit of its own
    present = of_all.probabilities[:, number]
    np.testing.assert_allclose(found.logits[:, 1], of_all.logits[:, number], atol=1e-5)
    np.testing.assert_allclose(found.probabilities, np.stack([1 - present, present], 1), atol=1e-6)
    # The map of its absence is nothing; that of its presence adds up to the logit.
    assert (found.class_maps[:, 0] == 0).all()
    np.testing.assert_allclose(found.class_maps[:, 1], of_all.class_maps[:, number], atol=1e-4)
    linear = isinstance(asked.get_submodule(backbone.head), torch.nn.Linear)
    sums = found.class_maps.mean(axis=(2, 3))[:, 1] + (own_bias if linear else 0)
    np.testing.assert_allclose(sums, found.logits[:, 1], atol=1e-4)


def test_stored_maps_get_that_of_the_absence_before_them():
    values = np.random.default_rng(0).normal(size=(2, 1, 4, 4)).astype(np.float32)
    maps = with_absent_maps(RawMaps(values, 64, 16.0, 0.0))
    assert maps.values.shape == (2, 2, 4, 4)
    assert (maps.values[:, 0] == 0).all()
    np.testing.assert_array_equal(maps.values[:, 1], values[:, 0])


def test_a_finding_that_a_network_does_not_know_is_an_error():
    with pytest.raises(ValueError, match="Hernia"):
        asked_for(*network_of(Backbone("squeezenet1_1")), "Hernia")


# --- the card -------------------------------------------------------------------------------------


def test_the_card_says_that_outputs_are_findings_and_only_then(tmp_path):
    model, card = network_of(Backbone("squeezenet1_1"))
    file = tmp_path / "model.safetensors"
    save_model(file, model, card)
    assert load_model(file)[1] == card
    assert load_question(file, None)[1].findings
    assert load_question(file, "Mass")[1].classes == ["no Mass", "Mass"]
    with safe_open(file, framework="pt") as handle:
        text = handle.metadata()[METADATA_KEY]
    assert '"findings": true' in text

    usual = replace(card, findings=False)
    save_model(file, model, usual)
    with safe_open(file, framework="pt") as handle:
        assert "findings" not in handle.metadata()[METADATA_KEY]
    assert load_model(file)[1] == usual


def test_a_card_with_anything_else_is_refused(tmp_path):
    model, card = network_of(Backbone("squeezenet1_1"))
    file = tmp_path / "model.safetensors"
    save_model(file, model, card)
    file.write_bytes(file.read_bytes().replace(b'findings\\": true', b'findings\\": 1   '))
    with pytest.raises(WeightsError, match="damaged"):
        load_model(file)


# --- training -------------------------------------------------------------------------------------

N, N_TEST = 48, 16
SEEN = ["left", "right"]


def findings_job(folder, **settings):
    """Pictures of noise, a bright half a finding; a third of the entries is not known."""
    job = small_job(folder, {"architecture": "resnet18", "last_stage": 2}, settings)
    rng = np.random.default_rng(0)
    known = (rng.random((N, 2)) < 0.5).astype(np.float32)
    pixels = rng.integers(0, 60, (N, 32, 32), dtype=np.uint8)
    pixels[known[:, 0] == 1, :16] += 180
    pixels[known[:, 1] == 1, 16:] += 180
    told = np.where(rng.random((N, 2)) < 1 / 3, np.nan, known).astype(np.float32)
    told[-N_TEST:] = known[-N_TEST:]
    names = [f"image-{k}" for k in range(N)]
    columns = {
        **{"image_id": names, "label": ["x"] * N, "group": names},
        "role": ["train"] * (N - N_TEST) + ["test"] * N_TEST,
        **{f"finding_{name}": column for name, column in zip(SEEN, told.T, strict=True)},
    }
    pq.write_table(pa.table(columns).cast(findings_split_schema(SEEN)), job.split)
    write_shard(folder / "shard.parquet", names, pixels, {"content_fingerprint": "0f"})
    return replace(job, classes=SEEN, findings=True), pixels, known


def test_labels_of_findings_are_what_is_known(tmp_path):
    job, _, _ = findings_job(tmp_path)
    split = pd.read_parquet(job.split)
    labels = labels_of_images(split, job)
    assert labels.flags.writeable
    assert labels.dtype == np.float32
    np.testing.assert_array_equal(labels, split[["finding_left", "finding_right"]])
    assert np.isnan(labels).any()


def test_a_network_learns_several_findings_from_what_is_known(tmp_path):
    job, pixels, known = findings_job(tmp_path, epochs=8, horizontal_flip=0.0)
    train_classifier(job, CPU, logging.getLogger("test"))
    history = pd.read_parquet(job.history_file)
    assert np.isfinite(history["loss"]).all()
    train = history[history["role"] == "train"]
    assert train["loss"].iloc[-1] < 0.3 * train["loss"].iloc[0]
    assert train["accuracy"].between(0, 1).all()

    model, card = load_model(job.model_file)
    assert (card.classes, card.findings) == (SEEN, True)
    found = predict_as_trained(model, card, pixels, CPU)
    tested = slice(N - N_TEST, N)
    right = (found.probabilities[tested] > 0.5) == (known[tested] == 1)
    assert right.mean() > 0.9
    # Training's own last look at the test images agrees with the predictions.
    last = history[history["role"] == "test"].iloc[-1]
    assert last["accuracy"] == pytest.approx(right.mean())
    loss = FindingsLoss()(torch.tensor(found.logits), torch.tensor(known))[tested].mean()
    assert last["loss"] == pytest.approx(loss.item(), rel=1e-3)


def test_another_reading_of_the_table_is_another_experiment(tmp_path):
    job, _, _ = findings_job(tmp_path, epochs=1)
    train_classifier(job, CPU, logging.getLogger("test"))
    split = pd.read_parquet(job.split)
    split["finding_left"] = split["finding_left"].fillna(1)
    first = load_model(job.model_file)[0].state_dict()
    pq.write_table(pa.Table.from_pandas(split, findings_split_schema(SEEN)), job.split)
    train_classifier(job, CPU, logging.getLogger("test"))
    second = load_model(job.model_file)[0].state_dict()
    assert any(not torch.equal(first[name], second[name]) for name in first)
