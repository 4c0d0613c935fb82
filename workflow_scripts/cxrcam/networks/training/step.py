"""One step of a training: a batch through the network, its gradients, the optimiser.

The data set is a uint8 array on the device; a batch is taken from it by index, flipped and
normalised there. Nothing is decoded, copied or converted image by image.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from workflow_scripts.cxrcam.arrays import Int64Array
from workflow_scripts.cxrcam.networks.decomposition import composed_logits
from workflow_scripts.cxrcam.networks.device_images import Normalisation, Part
from workflow_scripts.cxrcam.networks.devices import autocast
from workflow_scripts.cxrcam.networks.training import distributed
from workflow_scripts.cxrcam.networks.training.cuda_graphs import RecordedStep
from workflow_scripts.cxrcam.networks.training.findings_loss import FindingsLoss, right_answers
from workflow_scripts.cxrcam.networks.training.recipe import TrainSettings, make_optimizer


@dataclass(frozen=True)
class Batch:
    """Images of one step, b of the training part."""

    epoch: int  # from 0
    rows: torch.Tensor  # int64 (b,), their positions
    flips: torch.Tensor  # bool (b,), which of them are mirrored
    labels: torch.Tensor  # int64 (b,), their classes or sub-classes; of findings float32 (b, k)
    changes: torch.Tensor | None = None  # float32 (b, 12), of `Augmentation.draw`; None is none


class Learner:
    """A network that learns from batches, with its optimiser.

    Parameters
    ----------
    model : nn.Module
        Trained in place.
    training : Part
        Images to learn from.
    settings : TrainSettings
    normalisation : Normalisation
    precision : {"float32", "bfloat16"}
        Of convolutions; weights and optimiser stay float32.
    input_size : int, optional
        Pixels a side at the network's input, where they differ from those of the images.
    cuda_graphs : bool
        Whether one process on a GPU records its steps and replays them, as in
        `cuda_graphs.RecordedStep`; does not change the result.
    loss : nn.Module, optional
        Losses (b,) of logits and labels, in training and evaluation. Without it, cross entropy (of
        each finding, where there are some): in training with the label smoothing of `settings`, in
        evaluation without.
    class_weights : float32 tensor, shape (classes,), optional
        Of the images of each class in the loss of the training; evaluations count all alike.
    sub_classes : int
        Of each class, where the labels of `training` are those of `decomposition`. What is counted
        below is of classes all the same.
    sources : int64 array, shape (n,), optional
        Of the images of `training`, where classes are balanced within sources.

    Attributes
    ----------
    network : nn.Module
        The model, wrapped where several processes share the training.
    side : int
        Pixels a side at the network's input.
    training_loss, evaluation_loss : nn.Module
        As `loss`.
    loss_sum, correct : float64 tensors, shape ()
        Sums since the last evaluation over what this process computed. They stay on the device:
        reading them would make it wait at each step.
    records : bool
        Whether steps are recorded and replayed.
    """

    def __init__(
        self,
        model: nn.Module,
        training: Part,
        settings: TrainSettings,
        normalisation: Normalisation,
        precision: str,
        input_size: int | None = None,
        cuda_graphs: bool = True,
        sub_classes: int = 1,
        loss: nn.Module | None = None,
        class_weights: torch.Tensor | None = None,
        sources: Int64Array | None = None,
    ) -> None:
        self.training, self.settings = training, settings
        self.normalisation, self.precision = normalisation, precision
        self.sub_classes, self.class_weights = sub_classes, class_weights
        self.sources = sources
        self.side = input_size or training.side
        self.device = training.labels.device
        self.processes = distributed.world_size()
        self.model = model.to(self.device).to(memory_format=torch.channels_last).train()
        self.network = distributed.wrapped(self.model, settings.sync_batch_norm)
        self.training_loss = loss or _loss(training, settings.label_smoothing)
        self.evaluation_loss = loss or _loss(training)
        self.optimizer = make_optimizer(model, settings)
        # Several processes wait for each other within a step, which is not recorded.
        self.records = cuda_graphs and self.device.type == "cuda" and self.processes == 1
        self.recorded: tuple[int, RecordedStep] | None = None  # with pixels a side of its images
        # A recording reads the learning rate where it lies; the same bits without one.
        self.rate_on_gpu = (
            torch.zeros((), device=self.device) if self.device.type == "cuda" else None
        )
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        self.correct = torch.zeros((), dtype=torch.float64, device=self.device)

    def step(self, batch: Batch, rate: float) -> torch.Tensor:
        """One step of the optimiser; returns the loss, on the device, valid until the next one."""
        given = rate if self.rate_on_gpu is None else self.rate_on_gpu.fill_(rate)
        for group in self.optimizer.param_groups:
            group["lr"] = given
        n_images = len(batch.rows)
        drawn = [batch.flips] if batch.changes is None else [batch.flips, batch.changes]
        rows, labels, *drawn = map(distributed.share, (batch.rows, batch.labels, *drawn))
        side = self.settings.side_in(batch.epoch, self.side)
        # The rest of an epoch has another shape, for which recording would not pay.
        if self.records and n_images == self.settings.batch_size:
            return self._recorded_step(side, rows, labels, *drawn)
        return self._learn(self._images(side, rows, *drawn), labels, n_images)

    def _images(
        self,
        side: int,
        rows: torch.Tensor,
        flips: torch.Tensor,
        changes: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Network input of some training images."""
        change = None
        if changes is not None:
            change = partial(self.settings.augment.apply, parameters=changes)
        return self.training.batch(rows, flips, side, self.normalisation, change)

    def _mean_loss(
        self, logits: torch.Tensor, labels: torch.Tensor, classes: torch.Tensor, n_images: int
    ) -> torch.Tensor:
        """Loss of a batch; see `distributed.mean_loss`. `classes` (b,) choose the weights.

        Weighted losses are divided by the number of images, not by the sum of their weights as
        PyTorch's mean is: images of a frequent class would count fully in a batch without others.
        """
        losses = self.training_loss(logits, labels)
        if self.class_weights is not None:
            losses = losses * self.class_weights[classes]
        return distributed.mean_loss(losses, n_images)

    def _learn(self, images: torch.Tensor, labels: torch.Tensor, n_images: int) -> torch.Tensor:
        """Learn from a batch of `n_images` that are shared by all processes; returns the loss."""
        # Each weight is cast once a step anyway, and a recording must not read another one's.
        with autocast(self.device, self.precision, keep_casts=False):
            logits = self.network(images)
            classes = labels // self.sub_classes if self.sub_classes > 1 else labels
            loss = self._mean_loss(logits, labels, classes, n_images)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        loss, logits = loss.detach(), logits.detach()
        shown = loss
        if self.sub_classes > 1:
            logits = composed_logits(logits, self.sub_classes)
            shown = self._mean_loss(logits, classes, classes, n_images)
        self.loss_sum += shown.double() * (n_images / self.processes)
        self.correct += right_answers(logits, classes)
        return loss

    def _recorded_step(
        self, side: int, rows: torch.Tensor, labels: torch.Tensor, *drawn: torch.Tensor
    ) -> torch.Tensor:
        """As `_learn`, of a full batch, by a recording; only the newest is kept, as it is large."""
        # Pixels that the GPU does not hold cannot be taken within the recording.
        resident = self.training.home == self.device
        if self.recorded is None or self.recorded[0] != side:
            learn = partial(self._learn, n_images=self.settings.batch_size)

            def take_and_learn(*chosen: torch.Tensor) -> torch.Tensor:
                rows, labels, *drawn = chosen
                return learn(self._images(side, rows, *drawn), labels)

            self.recorded = side, RecordedStep(take_and_learn if resident else learn)
        if resident:
            return self.recorded[1](rows, labels, *drawn)
        return self.recorded[1](self._images(side, rows, *drawn), labels)


def _loss(training: Part, smoothing: float = 0.0) -> nn.Module:
    """Losses (b,) of logits and labels, by what the labels of the training images are."""
    if training.labels.ndim == 2:
        return FindingsLoss(smoothing)
    return nn.CrossEntropyLoss(reduction="none", label_smoothing=smoothing)
