"""Small trainings for test_distributed.py, alone or as one of several processes.

What each of several processes finds is written to files.
"""

import json
import logging
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import nn

from workflow_scripts.cxrcam.networks.decomposition import compose_in_evaluation
from workflow_scripts.cxrcam.networks.device_images import Normalisation, Pixels
from workflow_scripts.cxrcam.networks.training.checkpoints import Checkpoints, TrainingStopped
from workflow_scripts.cxrcam.networks.training.distributed import from_first, rank, world_size
from workflow_scripts.cxrcam.networks.training.loop import train
from workflow_scripts.cxrcam.networks.training.recipe import TrainSettings
from workflow_scripts.cxrcam.networks.training.step import Learner

CPU = torch.device("cpu")
IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
PLAIN = {
    **{"epochs": 3, "batch_size": 6, "optimizer": "adam", "learning_rate": 0.003},
    **{"momentum": 0.9, "weight_decay": 0.0, "schedule": "constant", "horizontal_flip": 0.5},
    **{"watch": [], "evaluate_every": "epoch", "keep": "last", "patience": 0},
}
# Images, and changes to the settings. Of three processes, one has no image of the last batch of
# "adam"; two share that of the others unevenly.
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
    "batch norm": (13, {"sync_batch_norm": False}),
    "dropout": (13, {}),
    "sub-classes": (14, {"label_smoothing": 0.1}),
    "changed": (
        14,
        {"sampling": "balanced", "augment": {"rotation": 10, "contrast": 0.2, "erasing": 0.5}},
    ),
}


class OfHalves(nn.BatchNorm2d):
    """Batch normalisation in one process as two processes do it, each of its own half."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(input)
        middle = len(input) // 2
        first = super().forward(input[:middle])
        second = nn.functional.batch_norm(
            input[middle:], None, None, self.weight, self.bias, training=True
        )
        return torch.cat([first, second])


def noise(n: int, seed: int = 0, labels: int = 2) -> Pixels:
    pixels = np.random.default_rng(seed).integers(0, 256, (n, 64, 64), dtype=np.uint8)
    return Pixels.on(CPU, pixels, np.arange(n) % labels)


def network(name: str) -> nn.Module:
    normalisation = OfHalves if world_size() == 1 else nn.BatchNorm2d
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=4, padding=1, bias=False),
            *([normalisation(8)] if name == "batch norm" else []),
            *(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            nn.Dropout(0.5 if name == "dropout" else 0.0),
            nn.Linear(8, 2 * sub_classes_of(name)),
        )
    if sub_classes_of(name) > 1:
        compose_in_evaluation(model, sub_classes_of(name))
    return model


def sub_classes_of(name: str) -> int:
    return 2 if name == "sub-classes" else 1


class Interrupting(Checkpoints):
    """Asks to stop at the fourth step."""

    looks = 0

    def due(self) -> bool:
        self.looks += 1
        self.stop_requested |= self.looks == 4
        return super().due()


def trained(name: str, checkpoints: Checkpoints | None = None) -> tuple[nn.Module, list[dict]]:
    """One of `TRAININGS`: the network, and its history without its clocks."""
    n_images, changes = TRAININGS[name]
    model, k = network(name), sub_classes_of(name)
    settings = TrainSettings.from_mapping(PLAIN | changes)
    training = noise(n_images, labels=2 * k)
    weights = torch.tensor([0.5, 1.5]) if name == "changed" else None
    learner = Learner(
        *(model, training, settings, IMAGENET, "float32"), sub_classes=k, class_weights=weights
    )
    watched = {"validation": noise(150, 1), "test": noise(5, 2)}
    history = train(learner, watched, np.random.default_rng(0), checkpoints)
    return model, [{k: v for k, v in row.items() if "seconds" not in k} for row in history]


def resumed(file: Path) -> nn.Module:
    """The training with dropout, stopped by one of the processes and taken up again."""
    log = logging.getLogger("test")
    stopping = Interrupting if rank() else Checkpoints
    torch.manual_seed(rank())
    first = rank() == 0
    try:
        trained("dropout", stopping(file, "this", 3600.0, log, writes=first))
        raise AssertionError("the request of one process did not stop the training")
    except TrainingStopped:
        torch.manual_seed(99)  # what is drawn next comes from the file
    return trained("dropout", Checkpoints(file, "this", 3600.0, log, writes=first))[0]


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


def passed() -> list[list[int]]:
    """Images of each batch that a process sees, counted from 1; negative where mirrored."""
    pixels = np.arange(1, 14, dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2)
    pixels[:, 0, 0] = 255
    recorder = Recorder()
    part = Pixels.on(CPU, pixels, np.arange(13) % 2)
    settings = TrainSettings.from_mapping(PLAIN | {"batch_size": 4})
    plain = Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    learner = Learner(recorder, part, settings, plain, "float32")
    train(learner, {}, np.random.default_rng(0))
    return recorder.seen


def main(rank: int, size: int, folder: Path) -> None:
    """All of the above as one of `size` processes."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=size
    )
    facts: dict = {"passed": passed()}
    facts["from first"] = from_first(torch.tensor([rank, rank + 1])).tolist()
    models = {}
    for name in TRAININGS if size == 2 else ["adam", "sub-classes", "changed"]:
        torch.manual_seed(rank)  # of the dropout
        models[name], facts[name] = trained(name)
    models["resumed"] = resumed(folder / "checkpoint.safetensors")
    for name, model in models.items():
        state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
        save_file(state, folder / f"{name}-{rank}.safetensors")
    (folder / f"facts-{rank}.json").write_text(json.dumps(facts))
    dist.destroy_process_group()
