"""What only a GPU can show: recorded steps, streams, pinned memory. Run by `make test-gpu`."""

import logging
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.networks.architectures import ARCHITECTURES, Backbone
from workflow_scripts.cxrcam.networks.device_images import Normalisation, Part, Pixels
from workflow_scripts.cxrcam.networks.devices import set_up_torch
from workflow_scripts.cxrcam.networks.models import build_classifier
from workflow_scripts.cxrcam.networks.prediction import predict
from workflow_scripts.cxrcam.networks.training.checkpoints import Checkpoints, TrainingStopped
from workflow_scripts.cxrcam.networks.training.cuda_graphs import WARM_UPS, RecordedStep, own_stream
from workflow_scripts.cxrcam.networks.training.loop import train
from workflow_scripts.cxrcam.networks.training.recipe import TrainSettings
from workflow_scripts.cxrcam.networks.training.step import Learner

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU here")

GPU = torch.device("cuda")
SIDE = 96
IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.fixture(autouse=True)
def deterministic() -> Iterator[None]:
    set_up_torch(2, deterministic=True)
    torch.manual_seed(0)
    yield
    torch.use_deterministic_algorithms(False)


def pixels(n: int = 50, side: int = SIDE) -> np.ndarray:
    """Noise, of which every other image is brighter."""
    noise = np.random.default_rng(0).integers(0, 200, (n, side, side), dtype=np.uint8)
    noise[1::2] += 40
    return noise


def part(images: np.ndarray) -> Pixels:
    return Pixels.on(GPU, images, np.arange(len(images)) % 2)


def fit(
    training: Part,
    cuda_graphs: bool,
    precision: str = "bfloat16",
    architecture: str = "resnet18",
    checkpoints: Checkpoints | None = None,
    **changes: Any,
) -> tuple[nn.Module, list[dict[str, Any]]]:
    """Train; 50 images in batches of 8 are six full ones an epoch, and a rest."""
    settings = TrainSettings.from_mapping(
        {
            **{"epochs": 3, "batch_size": 8, "optimizer": "adam", "learning_rate": 0.001},
            **{"momentum": 0.9, "weight_decay": 1e-4, "schedule": "one_cycle"},
            **{"horizontal_flip": 0.5, "watch": ["test"], "evaluate_every": "epoch"},
            **{"keep": "last", "patience": 0, **changes},
        }
    )
    model = build_classifier(Backbone(architecture), 2, 0)
    torch.manual_seed(1)
    learner = Learner(model, training, settings, IMAGENET, precision, cuda_graphs=cuda_graphs)
    watched = {"test": part(pixels(20))}
    history = train(learner, watched, np.random.default_rng(0), checkpoints)
    return model, history


def without_clocks(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if "seconds" not in k} for row in history]


def assert_same(a: nn.Module, b: nn.Module) -> None:
    for (name, x), y in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        assert torch.equal(x, y), name


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"precision": "float32"},
        {"optimizer": "sgd", "learning_rate": 0.01, "label_smoothing": 0.1},
        {"progressive": [0.5, 1.0], "epochs": 2},
        {"augment": {"rotation": 5, "contrast": 0.1, "noise": 0.02, "erasing": 0.5}},
        {"sampling": "balanced", "augment": {"shift": 0.05, "scale": 0.1}},
    ],
)
def test_a_recorded_training_has_the_bits_of_a_plain_one(changes: dict[str, Any]):
    plain, expected = fit(part(pixels()), False, **changes)
    recorded, history = fit(part(pixels()), True, **changes)
    assert_same(plain, recorded)
    assert without_clocks(history) == without_clocks(expected)
    losses = [row["loss"] for row in history if row["role"] == "train"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("cuda_graphs", [False, True])
def test_pixels_that_stay_in_the_hosts_memory_train_the_same_weights(
    tmp_path: Path, cuda_graphs: bool
):
    resident, expected = fit(part(pixels()), True)
    pixels().tofile(tmp_path / "pixels")
    mapped = np.memmap(tmp_path / "pixels", np.uint8, "c", shape=(50, SIDE, SIDE))
    streamed = part(mapped[:])
    assert streamed.home.type == "cpu"
    model, history = fit(streamed, cuda_graphs)
    assert_same(resident, model)
    assert without_clocks(history) == without_clocks(expected)


class Interrupting(Checkpoints):
    """Asks the run to stop at its n-th look at the clock."""

    looks_left = 0

    def due(self) -> bool:
        self.looks_left -= 1
        self.stop_requested |= self.looks_left == 0
        return super().due()


@pytest.mark.parametrize("looks", [2, 9])  # before and after the recording
def test_an_interrupted_run_ends_with_the_bits_of_an_undisturbed_one(tmp_path: Path, looks: int):
    whole, expected = fit(part(pixels()), True)
    about = (tmp_path / "checkpoint.safetensors", "this", 3600.0, logging.getLogger())
    interrupting = Interrupting(*about)
    interrupting.looks_left = looks
    with pytest.raises(TrainingStopped):
        fit(part(pixels()), True, checkpoints=interrupting)
    resumed, history = fit(part(pixels()), True, checkpoints=Checkpoints(*about))
    assert_same(whole, resumed)
    assert without_clocks(history) == without_clocks(expected)


# Of those that are found by looking at them: shuffled channels, and a grid of means.
FOUND = ("shufflenet_v2_x1_0", "vgg11")


@pytest.mark.parametrize("architecture", [*ARCHITECTURES, *FOUND])
def test_every_network_can_be_recorded(architecture: str):
    model, history = fit(
        *(part(pixels(24)), True),
        architecture=architecture,
        **{"epochs": 2, "learning_rate": 1e-4, "batch_size": 4},
    )
    assert all(np.isfinite(row["loss"]) for row in history)
    assert all(bool(torch.isfinite(value).all()) for value in model.state_dict().values())


def test_dropout_draws_anew_in_each_replay():
    dropout = nn.Dropout(0.5)
    ones = torch.ones(10_000, device=GPU)
    with own_stream(GPU):
        step = RecordedStep(dropout)
        masks = [step(ones).cpu() for _ in range(WARM_UPS + 4)]
    for a, b in pairwise(masks):
        assert 0.4 < float((a != b).float().mean()) < 0.6


def test_an_older_recording_that_nobody_holds_does_not_spoil_the_next():
    for _ in range(2):
        # Garbage that only the collector finds, as a traceback may leave it.
        model, _ = fit(part(pixels()), True)
        with own_stream(GPU):
            step = RecordedStep(nn.Linear(4, 4, device=GPU))
            step.itself = step  # type: ignore[attr-defined]
            for _ in range(WARM_UPS + 1):
                step(torch.ones(2, 4, device=GPU))
        del step
    assert all(bool(torch.isfinite(value).all()) for value in model.state_dict().values())


def test_logits_and_maps_are_those_of_the_cpu():
    model = build_classifier(Backbone("resnet18"), 2, 0)
    on_gpu = predict(model, Backbone("resnet18"), pixels(8), IMAGENET, GPU)
    on_cpu = predict(model, Backbone("resnet18"), pixels(8), IMAGENET, torch.device("cpu"))
    assert on_gpu.logits == pytest.approx(on_cpu.logits, abs=2e-3)
    assert on_gpu.class_maps == pytest.approx(on_cpu.class_maps, abs=5e-3)


# The last: PyTorch takes no recording back that failed.
def test_what_cannot_be_recorded_says_how_to_go_on():
    with own_stream(GPU):
        step = RecordedStep(lambda value: value * float(value))  # waits for the GPU
        one = torch.ones((), device=GPU)
        for _ in range(WARM_UPS):
            step(one)
        with pytest.raises(InputError, match=r"compute\.cuda_graphs: false"):
            step(one)
