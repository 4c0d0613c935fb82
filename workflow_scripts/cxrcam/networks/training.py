"""Train one classifier on pixels that lie in memory.

The data set is a uint8 array on the device; a batch is taken from it by index, flipped and
normalised there. Nothing is decoded, copied or converted image by image.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.networks.devices import autocast
from workflow_scripts.cxrcam.networks.input_pipeline import resize_pixels


class TrainingError(InputError):
    """Training cannot go on; the message says where it stood and what to change."""


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of the three input channels, for pixels in [0, 1]."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """Network input from grey pixels.

        Parameters
        ----------
        pixels : uint8 tensor, shape (n, height, width)

        Returns
        -------
        float32 tensor, shape (n, 3, height, width), channels last in memory
        """
        scale = 1.0 / (255.0 * torch.tensor(self.std, device=pixels.device))
        shift = -torch.tensor(self.mean, device=pixels.device) / torch.tensor(
            self.std, device=pixels.device
        )
        # Made with the channel last and then viewed as (n, 3, h, w): the layout that
        # convolutions read fastest, without a copy.
        last = pixels.unsqueeze(-1) * scale + shift
        return last.permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Part:
    """One part of a split, on the device.

    Attributes
    ----------
    pixels : uint8 tensor, shape (n, size, size)
    labels : int64 tensor, shape (n,)
        Position of the class.
    """

    pixels: torch.Tensor
    labels: torch.Tensor

    @staticmethod
    def on(
        device: torch.device, pixels: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]
    ) -> "Part":
        """Put arrays on a device."""
        return Part(torch.from_numpy(pixels).to(device), torch.from_numpy(labels).to(device))

    def __len__(self) -> int:
        return len(self.labels)


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

    @staticmethod
    def from_mapping(values: Mapping[str, Any]) -> "TrainSettings":
        """Settings from the configuration's plain values."""
        return TrainSettings(**{**values, "watch": tuple(values["watch"])})


@dataclass(frozen=True)
class Progress:
    """State of a training run at a moment, for a progress bar and the log."""

    iteration: int
    iterations: int
    images: int
    loss: float
    accuracy: float


def batch_bounds(n_images: int, batch_size: int) -> list[tuple[int, int]]:
    """First and last-plus-one position of each batch of an epoch.

    A rest of one image joins the batch before it: batch normalisation has no variance of one.
    """
    starts = list(range(0, n_images, batch_size))
    if len(starts) > 1 and n_images - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], n_images], strict=True))


def make_optimizer(model: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """Adam or SGD with momentum over all parameters."""
    if settings.optimizer == "adam":
        return torch.optim.Adam(
            model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
    return torch.optim.SGD(
        model.parameters(),
        lr=settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
    )


def make_schedule(
    optimizer: torch.optim.Optimizer, settings: TrainSettings, iterations: int
) -> torch.optim.lr_scheduler.LRScheduler | None:
    """Learning rate over the run: constant (None) or one cycle (Smith 2018)."""
    # A cycle shorter than this has no room to go up and down.
    if settings.schedule == "constant" or iterations < 4:
        return None
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=settings.learning_rate,
        total_steps=iterations,
        cycle_momentum=False,  # `momentum` of the configuration is what is used
    )


def evaluate_loss(
    model: nn.Module,
    part: Part,
    normalisation: Normalisation,
    precision: str,
    input_size: int | None = None,
    batch_size: int = 128,
) -> tuple[float, float]:
    """Mean cross entropy and accuracy on a part; leaves the model in training mode."""
    model.eval()
    loss = torch.zeros((), dtype=torch.float64, device=part.labels.device)
    correct = torch.zeros((), dtype=torch.int64, device=part.labels.device)
    with torch.inference_mode():
        for start in range(0, len(part), batch_size):
            labels = part.labels[start : start + batch_size]
            pixels = part.pixels[start : start + batch_size]
            with autocast(labels.device, precision):
                logits = model(normalisation.apply(resize_pixels(pixels, input_size)))
            logits = logits.float()
            loss += nn.functional.cross_entropy(logits, labels, reduction="sum").double()
            correct += (logits.argmax(1) == labels).sum()
    model.train()
    return float(loss) / len(part), int(correct) / len(part)


def train(
    model: nn.Module,
    training: Part,
    watched: Mapping[str, Part],
    settings: TrainSettings,
    normalisation: Normalisation,
    precision: str,
    rng: np.random.Generator,
    input_size: int | None = None,
    on_step: Callable[[Progress], None] = lambda _: None,
    on_record: Callable[[Sequence[dict[str, Any]]], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """Train a model in place.

    Parameters
    ----------
    model : nn.Module
        On the device of the parts.
    training : Part
        Images to learn from.
    watched : mapping of str to Part
        Parts whose loss and accuracy are recorded; only ``validation`` can influence the weights,
        by `settings.keep` and `settings.patience`.
    settings : TrainSettings
    normalisation : Normalisation
    precision : {"float32", "bfloat16"}
        Of convolutions; weights and optimiser stay float32.
    rng : np.random.Generator
        Order of the images and flips.
    input_size : int, optional
        Pixels a side at the network's input, where they differ from those of the parts.
    on_step : callable
        Called about twice a second with the state.
    on_record : callable
        Called with the rows of each evaluation.

    Returns
    -------
    list of dict
        The history, columns of `contracts.HISTORY`.

    Raises
    ------
    TrainingError
        If the loss is not finite, or a validation part is needed and not there.
    """
    if "validation" not in watched and (settings.keep != "last" or settings.patience):
        raise TrainingError(
            f"train.keep: {settings.keep} with train.patience: {settings.patience} needs a "
            "validation part, and this division has none: set train.keep: last and patience: 0, "
            "or give the division one."
        )
    device = training.labels.device
    model.to(device).to(memory_format=torch.channels_last).train()
    optimizer = make_optimizer(model, settings)
    bounds = batch_bounds(len(training), settings.batch_size)
    iterations = len(bounds) * settings.epochs
    schedule = make_schedule(optimizer, settings, iterations)
    every = len(bounds) if settings.evaluate_every == "epoch" else int(settings.evaluate_every)

    history: list[dict[str, Any]] = []
    kept: dict[str, torch.Tensor] = {}
    # Sums since the last record stay on the device: reading them would make it wait at each step.
    loss_sum = torch.zeros((), dtype=torch.float64, device=device)
    correct = torch.zeros((), dtype=torch.int64, device=device)
    seen = 0
    began = time.perf_counter()
    evaluation_seconds = 0.0
    shown = began

    for iteration, rows, flips in _batches(len(training), bounds, settings, rng):
        index = torch.from_numpy(rows).to(device, non_blocking=True)
        flip = torch.from_numpy(flips).to(device, non_blocking=True)
        labels = training.labels[index]
        pixels = training.pixels[index]
        pixels = torch.where(flip[:, None, None], pixels.flip(-1), pixels)
        rate = optimizer.param_groups[0]["lr"]
        with autocast(device, precision):
            logits = model(normalisation.apply(resize_pixels(pixels, input_size)))
            loss = nn.functional.cross_entropy(logits, labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if schedule is not None:
            schedule.step()
        loss_sum += loss.detach().double() * len(rows)
        correct += (logits.detach().argmax(1) == labels).sum()
        seen += len(rows)

        now = time.perf_counter()
        if now - shown > 0.5:
            shown = now
            on_step(
                Progress(iteration, iterations, seen, float(loss_sum) / seen, int(correct) / seen)
            )
        if iteration % every == 0 or iteration == iterations:
            mean_loss = float(loss_sum) / seen  # waits for the device: now the clock is right
            if not np.isfinite(mean_loss):
                raise TrainingError(
                    f"The training loss became {mean_loss} within the {every} iterations up to "
                    f"{iteration}: lower train.learning_rate (now {settings.learning_rate}), or "
                    "use compute.precision: float32."
                )
            paused = time.perf_counter()
            values = {"train": (mean_loss, int(correct) / seen)}
            for role, part in watched.items():
                values[role] = evaluate_loss(model, part, normalisation, precision, input_size)
            records = [
                {
                    "iteration": iteration,
                    "epoch": iteration / len(bounds),
                    "seconds": paused - began - evaluation_seconds,
                    "wall_seconds": paused - began,
                    "role": role,
                    "loss": role_loss,
                    "accuracy": role_accuracy,
                    "learning_rate": rate,
                }
                for role, (role_loss, role_accuracy) in values.items()
            ]
            history += records
            on_record(records)
            loss_sum.zero_()
            correct.zero_()
            seen = 0
            if settings.keep == "best_validation" and best_iteration(history) == iteration:
                # Clones: the tensors of a state dict go on changing with the model.
                kept = {name: value.clone() for name, value in model.state_dict().items()}
            evaluation_seconds += time.perf_counter() - paused
            if settings.patience and evaluations_since_best(history) >= settings.patience:
                break
    if kept:
        model.load_state_dict(kept)
    return history


def best_iteration(history: Sequence[Mapping[str, Any]]) -> int:
    """Iteration of the first evaluation with the lowest loss on the validation part."""
    validation = [row for row in history if row["role"] == "validation"]
    return int(min(validation, key=lambda row: row["loss"])["iteration"])


def evaluations_since_best(history: Sequence[Mapping[str, Any]]) -> int:
    """Evaluations after that of `best_iteration`."""
    best = best_iteration(history)
    return sum(row["role"] == "validation" and row["iteration"] > best for row in history)


def _batches(
    n_images: int,
    bounds: Sequence[tuple[int, int]],
    settings: TrainSettings,
    rng: np.random.Generator,
) -> Iterator[tuple[int, npt.NDArray[np.int64], npt.NDArray[np.bool_]]]:
    """Iteration number (from 1), image positions and flips of every batch of the run."""
    iteration = 0
    for _ in range(settings.epochs):
        order = rng.permutation(n_images)
        flips = rng.random(n_images) < settings.horizontal_flip
        for first, last in bounds:
            iteration += 1
            yield iteration, order[first:last], flips[first:last]
