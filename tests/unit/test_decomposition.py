"""Class decomposition: sub-classes that are found, learnt, and composed to classes exactly."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tests.unit.training_job_example import CLASSES, small_job
from workflow_scripts.cxrcam.data.feature_cache import write_features
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.networks.architectures import ARCHITECTURES, Backbone
from workflow_scripts.cxrcam.networks.cam import logits_and_class_maps
from workflow_scripts.cxrcam.networks.decomposition import composed_logits, composed_maps
from workflow_scripts.cxrcam.networks.device_images import Features, Normalisation, Pixels
from workflow_scripts.cxrcam.networks.grad_cam import grad_cam
from workflow_scripts.cxrcam.networks.models import build_classifier, load_model
from workflow_scripts.cxrcam.networks.training import job as training_job
from workflow_scripts.cxrcam.networks.training.checkpoints import Checkpoints, TrainingStopped
from workflow_scripts.cxrcam.networks.training.freezing import (
    front_features_of_both_views,
    front_removed,
)
from workflow_scripts.cxrcam.networks.training.job import TrainingJob, train_classifier
from workflow_scripts.cxrcam.networks.training.recipe import TrainSettings
from workflow_scripts.cxrcam.networks.training.step import Batch, Learner
from workflow_scripts.cxrcam.networks.training.sub_classes import (
    pooled_features,
    sub_class_images,
    sub_class_labels,
    with_sub_classes,
)

pytestmark = pytest.mark.usefixtures("one_torch_thread")

CPU, LOG = torch.device("cpu"), logging.getLogger("test")
PLAIN = Normalisation((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
LN = np.log


# --- composing ------------------------------------------------------------------------------------


def test_probabilities_of_sub_classes_add_up_to_those_of_their_class():
    # Two classes of two sub-classes, whose probabilities are 0.1 and 0.3, 0.2 and 0.4.
    logits = torch.tensor([[LN(1), LN(3), LN(2), LN(4)]], dtype=torch.float32)
    found = composed_logits(logits, 2)
    torch.testing.assert_close(found, torch.tensor([[LN(4), LN(6)]], dtype=torch.float32))
    torch.testing.assert_close(found.softmax(1), torch.tensor([[0.4, 0.6]]))


def test_large_logits_and_half_precision_lose_nothing():
    logits = torch.tensor([[300.0, 300.0, 0.0, 1.0]], dtype=torch.bfloat16)
    expected = torch.tensor([[300 + LN(2), 1 + LN(1 + np.exp(-1))]], dtype=torch.float32)
    torch.testing.assert_close(composed_logits(logits, 2), expected)


def test_the_map_of_a_class_is_that_of_its_sub_classes_weighed_by_their_shares():
    # Two places. With the bias, logits are ln 1 and ln 3, ln 2 and ln 2: shares 1/4 and 3/4, 1/2
    # and 1/2.
    maps = torch.tensor([[[[2.0, -2.0]], [[4.0, 0.0]], [[1.0, 1.0]], [[5.0, 3.0]]]])
    head = nn.Linear(3, 4)
    head.bias.data = torch.tensor([LN(1) - 0, LN(3) - 2, LN(2) - 1, LN(2) - 4]).float()
    found = composed_maps(maps, head, 2)
    torch.testing.assert_close(found, torch.tensor([[[[3.5, -0.5]], [[3.0, 2.0]]]]))
    # What stands beside the map: the biases, weighed alike, and the entropy of the shares.
    beside = (0.75 * (LN(3) - 2)) - (0.25 * LN(0.25) + 0.75 * LN(0.75))
    assert found[0, 0].mean().item() + beside == pytest.approx(LN(4), abs=1e-6)
    beside = (0.5 * (LN(2) - 1) + 0.5 * (LN(2) - 4)) + LN(2)
    assert found[0, 1].mean().item() + beside == pytest.approx(LN(4), abs=1e-6)


def twins(backbone: Backbone, n_classes: int = 3) -> tuple[nn.Module, nn.Module]:
    """A network with sub-classes, and one with the same weights that knows sub-classes only."""
    composed = build_classifier(backbone, n_classes, seed=0).eval()
    plain = build_classifier(replace(backbone, sub_classes=1), n_classes * backbone.sub_classes, 0)
    plain.eval()
    with torch.no_grad():  # so that shares are neither alike nor all or nothing
        scale = 1.5 / plain(images()).std()
        for network in (composed, plain):
            network.get_submodule(backbone.head).weight.mul_(scale)
    return composed, plain


def images(side: int = 96) -> torch.Tensor:
    return torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_network_learns_sub_classes_and_answers_with_classes(architecture):
    model, plain = twins(Backbone(architecture, sub_classes=2))
    of_sub_classes = plain(images())
    assert of_sub_classes.shape == (3, 6)
    torch.testing.assert_close(model(images()), composed_logits(of_sub_classes, 2))
    dropout = torch.get_rng_state()
    in_training = model.train()(images())
    torch.set_rng_state(dropout)
    torch.testing.assert_close(in_training, plain.train()(images()))


ENDS = [
    Backbone("resnet18", sub_classes=2),
    Backbone("resnet18", 3, 8, sub_classes=3),
    Backbone("squeezenet1_1", sub_classes=2),
    Backbone("densenet121", 2, sub_classes=2),
    Backbone("vgg19", 3, sub_classes=2),
]


@pytest.mark.parametrize("backbone", ENDS, ids=lambda end: f"{end}, {end.sub_classes}")
def test_map_biases_and_entropy_are_the_logit_exactly(backbone):
    k = backbone.sub_classes
    model, plain = twins(backbone)
    logits, maps = logits_and_class_maps(model, backbone, images())
    of_sub_classes, _ = logits_and_class_maps(plain, replace(backbone, sub_classes=1), images())
    shares = torch.unflatten(of_sub_classes, 1, (-1, k)).softmax(2)
    head = plain.get_submodule(backbone.head)
    # SqueezeNet's bias is within the map.
    bias = head.bias.detach() if isinstance(head, nn.Linear) else torch.zeros(3 * k)
    entropy = -(shares * shares.log()).sum(2)
    found = maps.mean((2, 3)) + (shares * bias.reshape(-1, k)).sum(2) + entropy
    torch.testing.assert_close(found, logits, rtol=1e-5, atol=1e-5)
    assert 0.001 < shares.min() < 0.3, "shares are alike: this test shows nothing"
    assert entropy.min() >= 0 and entropy.max() <= LN(k) + 1e-6


def test_the_map_is_grad_cam_of_the_composed_logit():
    backbone = Backbone("resnet18", sub_classes=2)
    model, _ = twins(backbone)
    logits, maps = logits_and_class_maps(model, backbone, images())
    of_library = grad_cam(model, "layer4", images())
    torch.testing.assert_close(of_library[0], logits)
    cells = maps.shape[2] * maps.shape[3]
    torch.testing.assert_close(of_library[1] * cells, maps, rtol=1e-4, atol=1e-4)


def test_grad_cam_of_the_whole_vgg_weighs_that_of_the_sub_classes():
    backbone = Backbone("vgg19", sub_classes=2)
    model, plain = twins(backbone)
    logits, maps = logits_and_class_maps(model, backbone, images())
    single = replace(backbone, sub_classes=1)
    of_sub_classes, their_maps = logits_and_class_maps(plain, single, images())
    torch.testing.assert_close(logits, composed_logits(of_sub_classes, 2))
    shares = torch.unflatten(of_sub_classes, 1, (-1, 2)).softmax(2)
    expected = (shares[..., None, None] * torch.unflatten(their_maps, 1, (-1, 2))).sum(2)
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-6)


# --- decomposing ----------------------------------------------------------------------------------


def planted(n: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of two classes of two clusters each, their classes, and their clusters."""
    rng = np.random.default_rng(0)
    centres = 5 * rng.normal(size=(2, 2, 50))
    labels, clusters = np.arange(n) % 2, rng.integers(0, 2, n)
    features = centres[labels, clusters] + rng.normal(size=(n, 50))
    return features.astype(np.float32), labels, clusters


def test_planted_clusters_are_found_within_each_class():
    features, labels, clusters = planted()
    found = sub_class_labels(features, labels, CLASSES, 2, seed=1)
    assert (found // 2 == labels).all()
    for number in (0, 1):
        of_class = labels == number
        assert len({*zip(found[of_class], clusters[of_class], strict=True)}) == 2
    assert (found == sub_class_labels(features, labels, CLASSES, 2, seed=1)).all()
    counts = sub_class_images(torch.from_numpy(found), CLASSES, 2)
    assert list(counts) == CLASSES
    for number, name in enumerate(CLASSES):
        of_class = clusters[labels == number]
        assert sorted(counts[name]) == sorted([(of_class == 0).sum(), (of_class == 1).sum()])


def test_a_part_keeps_its_images_and_its_own_labels():
    features, labels, _ = planted(12)
    pixels = np.arange(12, dtype=np.uint8)[:, None, None]
    part = Pixels.on(CPU, pixels, labels)
    decomposed = with_sub_classes(part, features, CLASSES, 2, 0)
    assert decomposed.pixels is part.pixels
    assert (part.labels.numpy() == labels).all(), "the labels of the part itself have changed"
    assert (decomposed.labels.numpy() // 2 == labels).all()
    assert len(decomposed.labels.unique()) == 4


@pytest.mark.parametrize(("n_images", "k"), [(3, 4), (6, 4), (6, 2)])
def test_a_class_with_fewer_different_images_than_sub_classes_is_named(n_images, k):
    features, labels, _ = planted()
    features = np.concatenate([features[labels == 0], np.ones((n_images, 50), np.float32)])
    # As images in batches of different size come out.
    features[-1] *= 1 + 1e-7
    labels = np.concatenate([np.zeros(20, dtype=np.int64), np.ones(n_images, dtype=np.int64)])
    said = (
        rf"model\.decompose is {k}, but the {n_images} training images of dark hold fewer than {k} "
        r"that differ .*: lower model\.decompose, or set it to null"
    )
    with pytest.raises(InputError, match=said):
        sub_class_labels(features, labels, CLASSES, k, seed=0)


def noise(n: int = 10, side: int = 64) -> Pixels:
    pixels = np.random.default_rng(0).integers(0, 256, (n, side, side), dtype=np.uint8)
    return Pixels.on(CPU, pixels, np.arange(n) % 2)


@pytest.mark.parametrize("architecture", ["resnet18", "squeezenet1_1"])
def test_features_are_what_the_last_layer_gets_of_images_as_they_are(architecture):
    backbone, part = Backbone(architecture, sub_classes=2), noise(130)  # of two batches
    model = build_classifier(backbone, 2, 0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = pooled_features(model, backbone.head, part, 64, PLAIN, "float32")
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert found.shape == (130, 512)
    layer = "layer4" if architecture == "resnet18" else "features"
    seen = []
    model.get_submodule(layer).register_forward_hook(lambda *of: seen.append(of[2].mean((2, 3))))
    with torch.no_grad():
        model.eval()(part.batch(torch.arange(128, 130), None, 64, PLAIN))
    np.testing.assert_allclose(found[128:], seen[0].numpy(), rtol=1e-4, atol=1e-4)


def test_behind_frozen_layers_features_are_those_of_the_whole_network():
    backbone, part = Backbone("resnet18", sub_classes=2), noise()
    model = build_classifier(backbone, 2, 0)
    whole = pooled_features(model, "fc", part, 64, PLAIN, "float32")
    views = front_features_of_both_views(
        model.eval(), "layer3", part.pixels.numpy(), 64, PLAIN, CPU, "float32"
    )
    frozen = Features(torch.stack(views), part.labels, 64)
    with front_removed(model.train(), "layer3", 64) as rest:
        found = pooled_features(rest, "fc", frozen, 64, PLAIN, "float32")
    np.testing.assert_allclose(found, whole, rtol=1e-4, atol=1e-4)


# --- learning -------------------------------------------------------------------------------------


def test_sub_classes_are_learnt_and_classes_are_counted():
    part = replace(noise(4), labels=torch.tensor([0, 1, 2, 3]))
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 4))
    nn.init.zeros_(network[1].weight)
    network[1].bias.data = torch.tensor([LN(1), LN(3), LN(2), LN(4)]).float()
    settings = TrainSettings.from_mapping(
        {
            **{"epochs": 1, "batch_size": 4, "optimizer": "sgd", "learning_rate": 0.1},
            **{"momentum": 0.0, "weight_decay": 0.0, "schedule": "constant"},
            **{"horizontal_flip": 0.0, "watch": [], "evaluate_every": "epoch", "keep": "last"},
            "patience": 0,
        }
    )
    learner = Learner(network, part, settings, PLAIN, "float32", sub_classes=2)
    rows = torch.arange(4)
    loss = learner.step(Batch(0, rows, torch.zeros(4, dtype=torch.bool), part.labels), 0.1)
    # Probabilities 0.1, 0.3, 0.2, 0.4 of the sub-classes, 0.4 and 0.6 of the classes.
    assert loss.item() == pytest.approx(-LN([0.1, 0.3, 0.2, 0.4]).mean(), rel=1e-5)
    shown = learner.loss_sum.item() / 4
    assert shown == pytest.approx(-LN([0.4, 0.4, 0.6, 0.6]).mean(), rel=1e-5)
    assert learner.correct.item() == 2  # the likelier class, whatever its sub-class
    # The gradient of the cross entropy: mean of p less the truth, 1/4 each.
    moved = 0.1 * (np.array([0.25] * 4) - np.array([0.1, 0.3, 0.2, 0.4]))
    expected = LN([1, 3, 2, 4]) + moved
    np.testing.assert_allclose(network[1].bias.detach().numpy(), expected, rtol=1e-5, atol=1e-6)


class Stopping(Checkpoints):
    """Asks to stop at the second step."""

    looks = 0

    def due(self) -> bool:
        self.looks += 1
        self.stop_requested |= self.looks == 2
        return super().due()


def frozen_job(folder: Path) -> TrainingJob:
    """As `small_job`, behind frozen layers of weights from a file."""
    job = small_job(
        folder,
        {"decompose": 2, "weights": "file"},
        {"freeze_until": "features.9", "keep": "last"},
    )
    job = replace(
        job, features=[str(folder / "features.parquet")], weights=str(folder / "start.safetensors")
    )
    model = build_classifier(Backbone("squeezenet1_1"), 2, 5)
    save_file(model.state_dict(), job.weights)
    table = pq.read_table(job.shards[0])
    pixels = np.stack(
        [np.frombuffer(p, np.uint8).reshape(32, 32) for p in table["pixels"].to_pylist()]
    )
    views = front_features_of_both_views(
        model.eval(), "features.9", pixels, 32, PLAIN, CPU, "float32"
    )
    names = table["image_id"].to_pylist()
    write_features(Path(job.features[0]), names, views, "layers", "0f")
    return job


def decomposed_job(folder: Path) -> TrainingJob:
    return small_job(folder, {"decompose": 2})


@pytest.fixture
def no_signals(monkeypatch) -> None:
    """The handlers of the process that runs the tests stay as they are."""
    monkeypatch.setattr(training_job.signal, "signal", lambda *_: None)


@pytest.mark.usefixtures("no_signals")
@pytest.mark.parametrize("make", [decomposed_job, frozen_job])
def test_an_interrupted_training_ends_with_the_same_bytes(make, tmp_path, monkeypatch, caplog):
    whole = make(tmp_path / "whole")
    train_classifier(whole, CPU, LOG)

    job = make(tmp_path / "stopped")
    with monkeypatch.context() as stopping, pytest.raises(TrainingStopped):
        stopping.setattr(training_job, "Checkpoints", Stopping)
        train_classifier(job, CPU, LOG)
    stored = load_file(job.checkpoint)["labels.train"]
    caplog.set_level(logging.INFO)
    train_classifier(job, CPU, LOG)
    assert "Going on after iteration 2." in caplog.text
    assert Path(job.model_file).read_bytes() == Path(whole.model_file).read_bytes()

    model, card = load_model(Path(job.model_file))
    assert (card.sub_classes, card.classes) == (2, CLASSES)
    counts = card.training["sub_class_images"]
    assert counts == sub_class_images(stored, CLASSES, 2)
    assert [sum(counts[name]) for name in CLASSES] == [4, 4]
    bright, dark = (" + ".join(map(str, counts[name])) for name in CLASSES)
    assert f"2 sub-classes. Training images: bright {bright}, dark {dark}." in caplog.text
    assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 2)


@pytest.mark.usefixtures("no_signals")
def test_a_resumed_training_keeps_the_sub_classes_that_it_began_with(tmp_path, monkeypatch):
    job = decomposed_job(tmp_path)
    with monkeypatch.context() as stopping, pytest.raises(TrainingStopped):
        stopping.setattr(training_job, "Checkpoints", Stopping)
        train_classifier(job, CPU, LOG)
    before = load_file(job.checkpoint)["labels.train"]

    def swapped(*given: object) -> Pixels:
        part = with_sub_classes(*given)
        return replace(part, labels=part.labels ^ 1)  # as another device might find them

    monkeypatch.setattr(training_job, "with_sub_classes", swapped)
    train_classifier(job, CPU, LOG)
    assert torch.equal(load_file(job.checkpoint)["labels.train"], before)


@pytest.mark.usefixtures("no_signals")
def test_without_sub_classes_card_and_checkpoint_say_nothing_of_them(tmp_path):
    job = small_job(tmp_path)
    train_classifier(job, CPU, LOG)
    content = Path(job.model_file).read_bytes() + Path(job.checkpoint).read_bytes()
    assert b"sub_class" not in content and b"labels.train" not in content
    assert load_model(Path(job.model_file))[1].sub_classes == 1
    with_them = replace(job, model=job.model | {"decompose": 2})
    assert with_them.configuration_hash() != job.configuration_hash()


@pytest.mark.usefixtures("no_signals")
def test_too_many_sub_classes_end_a_training_with_a_sentence(tmp_path):
    with pytest.raises(InputError, match=r"model\.decompose is 5, but the 4 training images"):
        train_classifier(small_job(tmp_path, {"decompose": 5}), CPU, LOG)
