"""Loss and accuracy of a network while it is trained, and which of its states was the best."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from workflow_scripts.cxrcam.networks.device_images import Normalisation, Part
from workflow_scripts.cxrcam.networks.devices import autocast
from workflow_scripts.cxrcam.networks.training.distributed import rank, total, world_size
from workflow_scripts.cxrcam.networks.training.findings_loss import right_answers

BATCH_SIZE = 128


def evaluate_loss(
    model: nn.Module,
    part: Part,
    normalisation: Normalisation,
    precision: str,
    input_size: int | None = None,
    on_batch: Callable[[], None] = lambda: None,
    losses_of: nn.Module | None = None,
) -> tuple[float, float]:
    """Mean loss and share of right answers on a part; leaves the model in training mode.

    `losses_of` gives the losses (n,) of logits and labels; None is cross entropy. `on_batch` is
    called before each batch; what it raises ends the evaluation. Several processes take a batch
    each in turn.
    """
    losses_of = losses_of or nn.CrossEntropyLoss(reduction="none")
    model.eval()
    loss = torch.zeros((), dtype=torch.float64, device=part.labels.device)
    correct = torch.zeros((), dtype=torch.float64, device=part.labels.device)
    with torch.inference_mode():
        for turn in range(0, len(part), BATCH_SIZE * world_size()):
            on_batch()
            start = turn + rank() * BATCH_SIZE
            if start >= len(part):
                continue
            rows = torch.arange(start, min(start + BATCH_SIZE, len(part)), device=part.home)
            labels = part.labels[start : start + BATCH_SIZE]
            images = part.batch(rows, None, input_size or part.side, normalisation)
            with autocast(labels.device, precision):
                logits = model(images)
            logits = logits.float()
            loss += losses_of(logits, labels).sum().double()
            correct += right_answers(logits, labels)
    model.train()
    return float(total(loss)) / len(part), float(total(correct)) / len(part)


def best_iteration(history: Sequence[Mapping[str, Any]]) -> int:
    """Iteration of the first evaluation with the lowest loss on the validation part."""
    validation = [row for row in history if row["role"] == "validation"]
    return int(min(validation, key=lambda row: row["loss"])["iteration"])


def evaluations_since_best(history: Sequence[Mapping[str, Any]]) -> int:
    """Evaluations after that of `best_iteration`."""
    best = best_iteration(history)
    return sum(row["role"] == "validation" and row["iteration"] > best for row in history)
