"""Recorded passes, with a stand-in for the recorder, as tests run without a GPU."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import nn

from workflow_scripts.cxrcam.networks import training
from workflow_scripts.cxrcam.networks.cuda_graphs import RecordedNetwork
from workflow_scripts.cxrcam.networks.parts import Normalisation, Pixels
from workflow_scripts.cxrcam.networks.recipe import TrainSettings
from workflow_scripts.cxrcam.networks.training import train

pytestmark = pytest.mark.usefixtures("one_torch_thread")

SIDE = 64
PLAIN = Normalisation((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
WARM_UPS = 3


class Recorder:
    """What `torch.cuda.make_graphed_callables` does, as far as it shows without a GPU."""

    def __init__(self) -> None:
        self.recorded: list[torch.Size] = []
        self.replayed: list[torch.Size] = []

    def __call__(self, module: nn.Module, sample: tuple[torch.Tensor]) -> nn.Module:
        assert module.training
        assert not (torch.is_autocast_enabled("cpu") and torch.is_autocast_cache_enabled())
        self.recorded.append(sample[0].shape)
        original = module.forward
        for _ in range(WARM_UPS):
            torch.autograd.grad(original(*sample).sum(), list(module.parameters()))

        def replay(images: torch.Tensor) -> torch.Tensor:
            assert images.shape == sample[0].shape
            self.replayed.append(images.shape)
            return original(images)

        module.forward = replay  # type: ignore[method-assign]
        return module


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    stand_in = Recorder()
    monkeypatch.setattr(torch.cuda, "make_graphed_callables", stand_in)
    yield stand_in


def network() -> nn.Module:
    """With batch statistics, which warming up changes, and dropout, which draws numbers."""
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, stride=4, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(8, 2)),
    ).train()


def images(n: int, side: int = SIDE) -> torch.Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(n))


def test_recording_leaves_no_trace_in_the_network_or_the_random_numbers(recorder: Recorder):
    plain, recorded = network(), network()
    torch.manual_seed(1)
    expected = [plain(images(4)) for _ in range(2)]
    forward = RecordedNetwork(recorded, "float32")
    torch.manual_seed(1)
    for logits in expected:
        assert torch.equal(forward(images(4)), logits)
    assert recorder.recorded == [(4, 3, SIDE, SIDE)] and len(recorder.replayed) == 2
    pairs = zip(plain.state_dict().items(), recorded.state_dict().values(), strict=True)
    for (name, value), other in pairs:
        assert torch.equal(value, other), name
    assert all(parameter.grad is None for parameter in recorded.parameters())


def test_the_network_itself_takes_any_batch_all_the_same(recorder: Recorder):
    model = network()
    RecordedNetwork(model, "float32")(images(4))
    assert model(images(3)).shape == (3, 2)
    assert len(recorder.replayed) == 1


def test_another_shape_is_recorded_anew_and_the_old_recording_let_go(recorder: Recorder):
    forward = RecordedNetwork(network(), "float32")
    for side in (64, 64, 48, 48, 64):
        forward(images(4, side))
    assert [shape[-1] for shape in recorder.recorded] == [64, 48, 64]
    assert [shape[-1] for shape in recorder.replayed] == [64, 64, 48, 48, 64]


def test_casts_of_another_context_stay_out_of_a_recording(recorder: Recorder):
    forward = RecordedNetwork(network(), "bfloat16")
    with torch.autocast("cpu", torch.bfloat16):
        forward(images(4))
        assert torch.is_autocast_cache_enabled()  # the step's own context keeps its casts
    assert len(recorder.recorded) == 1


def settings(**changes: object) -> TrainSettings:
    recipe = {
        **{"epochs": 2, "batch_size": 6, "optimizer": "adam", "learning_rate": 0.003},
        **{"momentum": 0.9, "weight_decay": 0.0, "schedule": "constant", "horizontal_flip": 0.5},
        **{"watch": [], "evaluate_every": "epoch", "keep": "last", "patience": 0, **changes},
    }
    return TrainSettings.from_mapping(recipe)


def part(n: int = 15) -> Pixels:
    pixels = np.random.default_rng(0).integers(0, 256, (n, SIDE, SIDE), dtype=np.uint8)
    return Pixels.on(torch.device("cpu"), pixels, np.arange(n) % 2)


def fitted(step_network: Callable[[nn.Module], object] | None, **changes: object) -> nn.Module:
    """Train; full batches go through what `step_network` makes of the network."""
    model = network()
    run = training._Run(
        *(model, part(), {}, settings(**changes), PLAIN, "float32", np.random.default_rng(0)),
        *(None, None, ()),
    )
    if step_network is not None:
        run.network_of_full_batches = step_network(model)  # type: ignore[assignment]
    torch.manual_seed(2)
    run.go_on(lambda _: None, lambda _: None)
    return model


@pytest.mark.parametrize("progressive, sides", [([], [64, 64]), ([0.5, 1.0], [32, 64])])
def test_full_batches_are_replayed_and_the_weights_are_those_of_plain_steps(
    recorder: Recorder, progressive: list[float], sides: list[int]
):
    plain = fitted(None, progressive=progressive)
    quick = fitted(lambda model: RecordedNetwork(model, "float32"), progressive=progressive)
    # 15 images: two full batches an epoch, and a rest that is computed as usual.
    assert recorder.replayed == [(6, 3, side, side) for side in sides for _ in range(2)]
    for a, b in zip(plain.state_dict().values(), quick.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_on_a_cpu_nothing_is_recorded(recorder: Recorder):
    model = network()
    train(model, part(), {}, settings(cuda_graphs=True), PLAIN, "float32", np.random.default_rng(0))
    assert recorder.recorded == []
