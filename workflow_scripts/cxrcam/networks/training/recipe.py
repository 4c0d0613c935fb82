"""How a network is trained: settings, and the optimiser, schedule and batches that they mean."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from workflow_scripts.cxrcam.networks.training.augmentation import Augmentation

MINIMUM_SIDE = 32
"""Pixels; below it a network that divides the side by 32 has no feature map left."""


@dataclass(frozen=True)
class TrainSettings:
    """The ``train`` section of the configuration, merged for one task and scheme."""

    epochs: int
    batch_size: int
    optimizer: str
    learning_rate: float
    momentum: float
    weight_decay: float
    schedule: str
    horizontal_flip: float
    watch: tuple[str, ...]
    evaluate_every: str | int
    keep: str
    patience: int
    label_smoothing: float = 0.0
    progressive: tuple[float, ...] = ()
    freeze_until: str | None = None
    gpus: int = 1
    sync_batch_norm: bool = True
    class_weights: str | Mapping[str, float] = "none"
    sampling: str = "natural"
    augment: Augmentation = field(default_factory=Augmentation)

    @staticmethod
    def from_mapping(values: Mapping[str, Any]) -> "TrainSettings":
        """Settings from the configuration's plain values."""
        plain: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        plain["augment"] = Augmentation(**plain.get("augment", {}))
        return TrainSettings(**plain)

    def side_in(self, epoch: int, side: int) -> int:
        """Pixels a side of the training images in an epoch (from 0); `side` is the full one.

        Shares are counted from the end, so that the last epoch has the last one, however few
        there are.
        """
        if not self.progressive:
            return side
        left = self.epochs - 1 - epoch
        share = self.progressive[-1 - left * len(self.progressive) // self.epochs]
        return max(MINIMUM_SIDE, round(share * side))


def batch_bounds(n_images: int, batch_size: int, least: int = 2) -> list[tuple[int, int]]:
    """First and last-plus-one position of each batch of an epoch.

    A rest of fewer than `least` images joins the batch before it: batch normalisation has no
    variance of one.
    """
    starts = list(range(0, n_images, batch_size))
    if len(starts) > 1 and n_images - starts[-1] < least:
        starts.pop()
    return list(zip(starts, [*starts[1:], n_images], strict=True))


def make_optimizer(model: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """Adam or SGD with momentum over all parameters that are trained."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    # One kernel for all tensors on a GPU; on a CPU it brings nothing.
    on_gpu = parameters[0].is_cuda
    if settings.optimizer == "adam":
        return torch.optim.Adam(
            parameters,
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=on_gpu,
            capturable=on_gpu,
        )
    return torch.optim.SGD(
        parameters,
        lr=settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        fused=on_gpu,
    )


def learning_rate(settings: TrainSettings, iteration: int, iterations: int) -> float:
    """Learning rate of an iteration (from 0): constant, or one cycle (Smith 2018).

    A cycle goes up for the first 30 % and down for the rest, each time along half a cosine, as
    `torch.optim.lr_scheduler.OneCycleLR` does by default; momentum stays as it is configured.
    """
    # A cycle shorter than this has no room to go up and down.
    if settings.schedule == "constant" or iterations < 4:
        return settings.learning_rate
    top = 0.3 * iterations - 1
    start = settings.learning_rate / 25
    if iteration <= top:
        return _along_cosine(start, settings.learning_rate, iteration / top)
    share = (iteration - top) / (iterations - 1 - top)
    return _along_cosine(settings.learning_rate, start / 1e4, share)


def _along_cosine(start: float, end: float, share: float) -> float:
    """Value after a share of the way from start to end."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))
