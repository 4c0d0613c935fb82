"""Small trainings for test_distributed.py, alone or as one of several processes.

What each of several processes finds is written to files.
"""

import json
import logging
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.batch_statistics import SynchronisedBatchNorm
from workflow_scripts.cxrcam.networks.checkpoints import Checkpoints, TrainingStopped
from workflow_scripts.cxrcam.networks.distributed import joined
from workflow_scripts.cxrcam.networks.models import build_classifier
from workflow_scripts.cxrcam.networks.parts import Normalisation, Pixels
from workflow_scripts.cxrcam.networks.ranks import SINGLE_PROCESS, Ranks
from workflow_scripts.cxrcam.networks.recipe import TrainSettings
from workflow_scripts.cxrcam.networks.training import train

CPU = torch.device("cpu")
IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
PLAIN = {
    **{"epochs": 3, "batch_size": 6, "optimizer": "adam", "learning_rate": 0.003},
    **{"momentum": 0.9, "weight_decay": 0.0, "schedule": "constant", "horizontal_flip": 0.5},
    **{"watch": [], "evaluate_every": "epoch", "keep": "last", "patience": 0},
}
# Images, and changes to the settings. Of three processes, one has no image of the last batch of
# "adam"; two share that of "recipe" unevenly.
TRAININGS = {
    "adam": (14, {}),
    "recipe": (
        13,
        {
            **{"optimizer": "sgd", "schedule": "one_cycle", "label_smoothing": 0.1},
            **{"evaluate_every": 2, "keep": "best_validation", "progressive": [0.5, 1.0]},
            **{"learning_rate": 0.05, "batch_size": 4, "weight_decay": 0.01},
        },
    ),
    # So few steps, and small ones: in a deep network whose last layers see a few values each, what
    # was rounded otherwise grows with every step, as would a change of a weight's last digit.
    "resnet18": (9, {"optimizer": "sgd", "learning_rate": 1e-4, "epochs": 1, "batch_size": 4}),
    "separate statistics": (14, {"sync_batch_norm": False}),
    "dropout": (13, {}),
}
# Shares of a batch of which one may be empty, as the shape of what a layer sees.
LAYER_INPUTS = {"images": (5, 3, 4, 6), "one image": (1, 3, 4, 6), "vectors": (7, 3)}


def noise(n: int, seed: int = 0) -> Pixels:
    pixels = np.random.default_rng(seed).integers(0, 256, (n, 64, 64), dtype=np.uint8)
    return Pixels.on(CPU, pixels, np.arange(n) % 2)


def network(name: str) -> nn.Module:
    if name == "resnet18":
        return build_classifier(Backbone(name), 2, seed=0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=4, padding=1, bias=False),
            *(nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            nn.Dropout(0.5 if name == "dropout" else 0.0),
            nn.Linear(8, 2),
        )


class Interrupting(Checkpoints):
    """Asks to stop at the fourth step."""

    looks = 0

    def due(self) -> bool:
        self.looks += 1
        self.stop_requested |= self.looks == 4
        return super().due()


def trained(
    name: str, ranks: Ranks = SINGLE_PROCESS, checkpoints: Checkpoints | None = None
) -> tuple[nn.Module, list[dict]]:
    """One of `TRAININGS`: the network, and its history without its clocks."""
    n_images, changes = TRAININGS[name]
    model = network(name)
    history = train(
        *(model, noise(n_images), {"validation": noise(150, 1), "test": noise(5, 2)}),
        *(TrainSettings.from_mapping(PLAIN | changes), IMAGENET, "float32"),
        *(np.random.default_rng(0), None, checkpoints, (), ranks),
    )
    return model, [{k: v for k, v in row.items() if "seconds" not in k} for row in history]


def resumed(ranks: Ranks, file: Path) -> nn.Module:
    """The training with dropout, stopped by one of the processes and taken up again."""
    log = logging.getLogger("test")
    stopping = Interrupting if ranks.rank else Checkpoints
    torch.manual_seed(ranks.rank)
    first = ranks.rank == 0
    try:
        trained("dropout", ranks, stopping(file, "this", 3600.0, log, writes=first))
        raise AssertionError("the request of one process did not stop the training")
    except TrainingStopped:
        torch.manual_seed(99)  # what is drawn next comes from the file
    return trained("dropout", ranks, Checkpoints(file, "this", 3600.0, log, writes=first))[0]


def save(state: dict[str, torch.Tensor], file: Path) -> None:
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, file)


class Recorder(nn.Module):
    """A network that notes which images pass it in training; each image is one grey value."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[list[int]] = []
        self.linear = nn.Linear(1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # Mirrored images are told by their bright edge.
        mirrored = x[:, 0, 0, -1] > x[:, 0, 0, 0]
        grey = (x[:, 0, 1, 1] * 255).round().int()
        self.seen.append((torch.where(mirrored, -1, 1) * grey).tolist())
        return self.linear(x[:, :1].mean((2, 3)))


def passed(ranks: Ranks = SINGLE_PROCESS) -> list[list[int]]:
    """Images of each batch that a process sees, counted from 1; negative where mirrored."""
    pixels = np.arange(1, 14, dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2)
    pixels[:, 0, 0] = 255
    recorder = Recorder()
    train(
        *(recorder, Pixels.on(CPU, pixels, np.arange(13) % 2), {}),
        TrainSettings.from_mapping(PLAIN | {"batch_size": 4}),
        *(Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), "float32", np.random.default_rng(0)),
        ranks=ranks,
    )
    return recorder.seen


def layer_results(
    kind: type[nn.BatchNorm2d] | type[nn.BatchNorm1d], name: str, ranks: Ranks = SINGLE_PROCESS
) -> dict[str, torch.Tensor]:
    """Output, gradients and running statistics of two steps of a layer on a share of a batch."""
    shape = LAYER_INPUTS[name]
    rng = np.random.default_rng(3)
    layer: nn.Module = kind(shape[1], momentum=0.3)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.from_numpy(rng.normal(1, 0.3, shape[1])))
    if ranks.size > 1:
        layer = SynchronisedBatchNorm.of(layer)
    for _ in range(2):
        # Far from 0, where a careless variance loses its digits.
        given = rng.normal(100, 2, shape).astype(np.float32)
        weights = ranks.share(torch.from_numpy(rng.normal(0, 1, shape).astype(np.float32)))
        images = ranks.share(torch.from_numpy(given)).requires_grad_()
        result = layer(images)
        layer.zero_grad()
        (result * weights).sum().backward()
    assert images.grad is not None
    found = {"output": result.detach(), "gradient": images.grad}
    found |= {f"{n} gradient": p.grad for n, p in layer.named_parameters() if p.grad is not None}
    return found | {n: b.clone() for n, b in layer.named_buffers()}


def main(rank: int, size: int, folder: Path) -> None:
    """All of the above as one of `size` processes."""
    torch.set_num_threads(1)
    with joined(rank, size, folder / "meeting", CPU) as ranks:
        facts: dict = {"passed": passed(ranks)}
        for name in TRAININGS if size == 2 else ["adam"]:
            torch.manual_seed(rank)  # of the dropout
            model, facts[name] = trained(name, ranks)
            save(model.state_dict(), folder / f"{name}-{rank}.safetensors")
        state = resumed(ranks, folder / "checkpoint.safetensors").state_dict()
        save(state, folder / f"resumed-{rank}.safetensors")
        for name, shape in LAYER_INPUTS.items():
            kind = nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d
            save(layer_results(kind, name, ranks), folder / f"{name}-{rank}.safetensors")
    (folder / f"facts-{rank}.json").write_text(json.dumps(facts))
