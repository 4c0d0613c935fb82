"""Recorded training steps, with a stand-in for the recorder; on a real GPU: tests/gpu."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from workflow_scripts.cxrcam.networks.device_images import Normalisation, Pixels
from workflow_scripts.cxrcam.networks.training import loop as training
from workflow_scripts.cxrcam.networks.training import step as training_step
from workflow_scripts.cxrcam.networks.training.cuda_graphs import WARM_UPS, RecordedStep
from workflow_scripts.cxrcam.networks.training.recipe import TrainSettings

pytestmark = pytest.mark.usefixtures("one_torch_thread")

SIDE = 64
PLAIN = Normalisation((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
CPU = torch.device("cpu")


class Recorder:
    """What a CUDA graph does, as far as it shows without a GPU.

    A recording executes nothing; a replay reads and writes the same memory each time.
    """

    def __init__(self) -> None:
        self.recorded: list[list[torch.Size]] = []
        self.replays = 0

    def __call__(
        self, step: Callable[..., torch.Tensor], inputs: Sequence[torch.Tensor]
    ) -> tuple[Callable[[], None], torch.Tensor]:
        self.recorded.append([given.shape for given in inputs])
        result = torch.full((), torch.nan)

        def replay() -> None:
            self.replays += 1
            result.copy_(step(*inputs))

        return replay, result


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def test_the_first_steps_are_plain_ones_and_the_rest_replays(recorder: Recorder):
    seen: list[float] = []

    def step(value: torch.Tensor) -> torch.Tensor:
        seen.append(float(value))
        return 2 * value

    recorded = RecordedStep(step, recorder)
    results = [float(recorded(torch.tensor(float(k)))) for k in range(WARM_UPS + 4)]
    # Each value is computed once: a recording leaves no trace.
    assert seen == [float(k) for k in range(WARM_UPS + 4)]
    assert results == [2 * value for value in seen]
    assert recorder.recorded == [[torch.Size([])]] and recorder.replays == 4


def test_a_replay_keeps_nothing_of_the_callers_tensors(recorder: Recorder):
    recorded = RecordedStep(lambda value: value + 1, recorder)
    given = torch.zeros(())
    for _ in range(WARM_UPS + 2):
        recorded(given)
    assert float(given) == 0.0
    given.fill_(7.0)
    assert float(recorded(torch.tensor(1.0))) == 2.0


# --- in a training --------------------------------------------------------------------------------


def network(outputs: int) -> nn.Module:
    """With batch statistics and dropout: a step too many would show in both."""
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, stride=4, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(8, outputs)),
    ).train()


def settings(**changes: object) -> TrainSettings:
    recipe = {
        **{"epochs": 4, "batch_size": 6, "optimizer": "adam", "learning_rate": 0.003},
        **{"momentum": 0.9, "weight_decay": 0.0, "schedule": "one_cycle", "horizontal_flip": 0.5},
        **{"watch": [], "evaluate_every": "epoch", "keep": "last", "patience": 0, **changes},
    }
    return TrainSettings.from_mapping(recipe)


def part(n: int = 27, outputs: int = 2) -> Pixels:
    pixels = np.random.default_rng(0).integers(0, 256, (n, SIDE, SIDE), dtype=np.uint8)
    return Pixels.on(CPU, pixels, np.arange(n) % outputs)


class Elsewhere(Pixels):
    """Pixels that the device which computes does not hold."""

    @property
    def home(self) -> torch.device:
        return torch.device("cpu", 0)  # not the name that the others give it

    def batch(self, *arguments: Any) -> torch.Tensor:
        return Pixels(self.pixels, self.labels).batch(*arguments)


def fitted(
    monkeypatch: pytest.MonkeyPatch,
    recorder: Recorder | None,
    images: Pixels,
    sub_classes: int = 1,
    **changes: object,
) -> tuple[nn.Module, list[dict[str, object]]]:
    """Train; with a recorder, as on a GPU."""
    model, recipe = network(2 * sub_classes), settings(**changes)
    learner = training_step.Learner(
        *(model, images, recipe, PLAIN, "float32"), sub_classes=sub_classes
    )
    assert not learner.records, "nothing is recorded on a CPU"
    if recorder is not None:
        learner.records = True
        learner.rate_on_gpu = torch.zeros((), dtype=torch.float64)
        recording = lambda step: RecordedStep(step, recorder)  # noqa: E731
        monkeypatch.setattr(training_step, "RecordedStep", recording)
    torch.manual_seed(2)
    run = training._Loop(learner, {}, np.random.default_rng(0))
    run.run(lambda _: None)
    for record in run.at.history:
        del record["seconds"], record["wall_seconds"]
    return model, run.at.history


@pytest.mark.parametrize("images", [part(), Elsewhere(part().pixels, part().labels)])
@pytest.mark.parametrize("progressive, recordings", [([], 1), ([0.5, 1.0], 2)])
def test_recorded_training_is_the_training_without(
    monkeypatch: pytest.MonkeyPatch,
    recorder: Recorder,
    images: Pixels,
    progressive: list[float],
    recordings: int,
):
    plain, expected = fitted(monkeypatch, None, images, progressive=progressive)
    quick, history = fitted(monkeypatch, recorder, images, progressive=progressive)
    # 27 images: four full batches an epoch, and a rest that is computed as usual.
    assert len(recorder.recorded) == recordings
    assert recorder.replays == 4 * 4 - recordings * WARM_UPS
    assert history == expected
    for a, b in zip(plain.state_dict().values(), quick.state_dict().values(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("images", [part(), Elsewhere(part().pixels, part().labels)])
def test_changed_images_and_balanced_epochs_are_learnt_by_recorded_steps_too(
    monkeypatch: pytest.MonkeyPatch, recorder: Recorder, images: Pixels
):
    augment = {"rotation": 10, "scale": 0.1, "contrast": 0.2, "noise": 0.1, "erasing": 0.5}
    changes: dict[str, Any] = {"augment": augment, "sampling": "balanced"}
    plain, expected = fitted(monkeypatch, None, images, **changes)
    quick, history = fitted(monkeypatch, recorder, images, **changes)
    assert recorder.replays == 4 * 4 - WARM_UPS
    assert history == expected
    for a, b in zip(plain.state_dict().values(), quick.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    unchanged, _ = fitted(monkeypatch, None, images, sampling="balanced")
    assert not torch.equal(next(plain.parameters()), next(unchanged.parameters()))


def test_sub_classes_are_learnt_by_recorded_steps_too(
    monkeypatch: pytest.MonkeyPatch, recorder: Recorder
):
    images = part(outputs=4)
    plain, expected = fitted(monkeypatch, None, images, sub_classes=2)
    quick, history = fitted(monkeypatch, recorder, images, sub_classes=2)
    assert len(recorder.recorded) == 1
    assert history == expected
    for a, b in zip(plain.state_dict().values(), quick.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_pixels_that_the_gpu_holds_are_taken_within_the_recording(
    monkeypatch: pytest.MonkeyPatch, recorder: Recorder
):
    fitted(monkeypatch, recorder, part())
    assert recorder.recorded == [[(6,), (6,), (6,)]]  # which images, flips, classes


def test_pixels_that_it_does_not_hold_are_brought_to_the_recording(
    monkeypatch: pytest.MonkeyPatch, recorder: Recorder
):
    fitted(monkeypatch, recorder, Elsewhere(part().pixels, part().labels))
    assert recorder.recorded == [[(6, 3, SIDE, SIDE), (6,)]]
