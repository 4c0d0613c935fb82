"""Train one classifier on pixels that lie in memory.

The data set is a uint8 array on the device; a batch is taken from it by index, flipped and
normalised there. Nothing is decoded, copied or converted image by image.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.networks import distributed
from workflow_scripts.cxrcam.networks.checkpoints import Checkpoints, State, TrainingStopped
from workflow_scripts.cxrcam.networks.cuda_graphs import RecordedStep, own_stream
from workflow_scripts.cxrcam.networks.devices import autocast
from workflow_scripts.cxrcam.networks.evaluation import (
    best_iteration,
    evaluate_loss,
    evaluations_since_best,
)
from workflow_scripts.cxrcam.networks.parts import Normalisation, Part
from workflow_scripts.cxrcam.networks.recipe import (
    TrainSettings,
    batch_bounds,
    learning_rate,
    make_optimizer,
)

# What PyTorch says when the host has no memory left; it has no exception of its own for that.
NO_MEMORY = "can't allocate memory"


class TrainingError(InputError):
    """Training cannot go on; the message says where it stood and what to change."""


@dataclass(frozen=True)
class Progress:
    """State of a training run at a moment, for a progress bar and the log."""

    iteration: int
    iterations: int
    images: int
    loss: float
    accuracy: float


@dataclass
class _Position:
    """Where a run stands, apart from its tensors."""

    iteration: int = 0
    seen: int = 0  # images since the last evaluation
    rate: float = 0.0  # learning rate of the newest iteration
    seconds: float = 0.0  # of training alone
    wall_seconds: float = 0.0  # with evaluations
    history: list[dict[str, Any]] = field(default_factory=list)
    # State of the generator before it drew the current epoch: from it the rest can be drawn again.
    epoch_rng: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Batch:
    """Images of one step: which of the training part, which of them mirrored, their classes."""

    epoch: int  # from 0
    rows: torch.Tensor
    flips: torch.Tensor
    labels: torch.Tensor


class _Clock:
    """A stopwatch that is read lap by lap."""

    def __init__(self) -> None:
        self.began = time.perf_counter()

    def lap(self) -> float:
        """Seconds since the last lap."""
        now = time.perf_counter()
        passed, self.began = now - self.began, now
        return passed


class _Run:
    """One training run, which can be stopped and taken up again after any iteration."""

    def __init__(
        self,
        model: nn.Module,
        training: Part,
        watched: Mapping[str, Part],
        settings: TrainSettings,
        normalisation: Normalisation,
        precision: str,
        rng: np.random.Generator,
        input_size: int | None,
        checkpoints: Checkpoints | None,
        image_ids: Sequence[str],
        cuda_graphs: bool = True,
    ) -> None:
        self.image_ids, self.processes = image_ids, distributed.world_size()
        self.training, self.watched = training, watched
        self.settings, self.normalisation = settings, normalisation
        self.precision, self.rng = precision, rng
        self.side = input_size or training.side
        self.checkpoints = checkpoints
        self.device = training.labels.device
        self.model = model.to(self.device).to(memory_format=torch.channels_last).train()
        self.network = distributed.wrapped(self.model, settings.sync_batch_norm)
        # Several processes wait for each other within a step, which is not recorded.
        self.records = cuda_graphs and self.device.type == "cuda" and self.processes == 1
        self.recorded: tuple[int, RecordedStep] | None = None  # with pixels a side of its images
        self.optimizer = make_optimizer(model, settings)
        # A recording reads the learning rate where it lies; the same bits without one.
        self.rate_on_gpu = (
            torch.zeros((), device=self.device) if self.device.type == "cuda" else None
        )
        # Batch statistics of a share alone need two images of it.
        alone = 1 if settings.sync_batch_norm else self.processes
        self.bounds = batch_bounds(len(training), settings.batch_size, least=2 * alone)
        self.iterations = len(self.bounds) * settings.epochs
        each_epoch = settings.evaluate_every == "epoch"
        self.every = len(self.bounds) if each_epoch else int(settings.evaluate_every)
        self.at = _Position()
        self.kept: dict[str, torch.Tensor] = {}
        # Sums since the last evaluation, over what this process computed, stay on the device:
        # reading them would make it wait at each step.
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        self.correct = torch.zeros((), dtype=torch.int64, device=self.device)

    # --- going on ---------------------------------------------------------------------------------

    def draw_epoch(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Order and flips of the images of one epoch."""
        self.at.epoch_rng = dict(self.rng.bit_generator.state)
        n_images = len(self.training)
        order = self.rng.permutation(n_images)
        return order, self.rng.random(n_images) < self.settings.horizontal_flip

    def batches(self) -> Iterator[_Batch]:
        """Every batch that is still to come."""
        first_epoch, done = divmod(self.at.iteration, len(self.bounds))
        if self.at.iteration:
            self.rng.bit_generator.state = self.at.epoch_rng
            if not done:
                self.draw_epoch()  # that epoch is over; the next draws come after its own
        for epoch in range(first_epoch, self.settings.epochs):
            order, flips = self.draw_epoch()
            # To their devices once an epoch: each copy makes Python wait for the GPU.
            rows = torch.from_numpy(order).to(self.training.home)
            labels = self.training.labels[rows.to(self.device)]
            flipped = torch.from_numpy(flips).to(self.device)
            for first, last in self.bounds[done:]:
                yield _Batch(epoch, rows[first:last], flipped[first:last], labels[first:last])
            done = 0

    def step(self, batch: _Batch) -> torch.Tensor:
        """One step of the optimiser; returns the loss, on the device, valid until the next one."""
        self.set_rate()
        n_images = len(batch.rows)
        rows, flips, labels = map(distributed.share, (batch.rows, batch.flips, batch.labels))
        side = self.settings.side_in(batch.epoch, self.side)
        # The rest of an epoch has another shape, for which recording would not pay.
        if self.records and n_images == self.settings.batch_size:
            loss = self.recorded_step(side, rows, flips, labels)
        else:
            loss = self.learn(self.images(rows, flips, side), labels, n_images)
        self.at.seen += n_images
        self.at.iteration += 1
        return loss

    def set_rate(self) -> None:
        """Give the optimiser the learning rate of the iteration that comes."""
        self.at.rate = learning_rate(self.settings, self.at.iteration, self.iterations)
        given: float | torch.Tensor = self.at.rate
        if self.rate_on_gpu is not None:
            given = self.rate_on_gpu.fill_(self.at.rate)
        for group in self.optimizer.param_groups:
            group["lr"] = given

    def images(self, rows: torch.Tensor, flips: torch.Tensor, side: int) -> torch.Tensor:
        """Network input of some training images."""
        return self.training.batch(rows, flips, side, self.normalisation)

    def learn(self, images: torch.Tensor, labels: torch.Tensor, n_images: int) -> torch.Tensor:
        """Learn from a batch of `n_images` that are shared by all processes; returns the loss."""
        # Each weight is cast once a step anyway, and a recording must not read another one's.
        with autocast(self.device, self.precision, keep_casts=False):
            logits = self.network(images)
            loss = distributed.mean_loss(logits, labels, self.settings.label_smoothing, n_images)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        loss = loss.detach()
        self.loss_sum += loss.double() * (n_images / self.processes)
        self.correct += (logits.detach().argmax(1) == labels).sum()
        return loss

    def recorded_step(
        self, side: int, rows: torch.Tensor, flips: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """As `learn`, of a full batch, by a recording; only the newest is kept, as it is large."""
        # Pixels that the GPU does not hold cannot be taken within the recording.
        resident = self.training.home == self.device
        if self.recorded is None or self.recorded[0] != side:
            learn = partial(self.learn, n_images=self.settings.batch_size)

            def take_and_learn(*chosen: torch.Tensor) -> torch.Tensor:
                rows, flips, labels = chosen
                return learn(self.images(rows, flips, side), labels)

            self.recorded = side, RecordedStep(take_and_learn if resident else learn)
        inputs = (rows, flips, labels) if resident else (self.images(rows, flips, side), labels)
        return self.recorded[1](*inputs)

    def evaluation_due(self) -> bool:
        """Whether the state after the newest iteration still has to be evaluated."""
        iteration = self.at.iteration
        recorded = self.at.history[-1]["iteration"] if self.at.history else 0
        return iteration > recorded and (
            iteration % self.every == 0 or iteration == self.iterations
        )

    def evaluate(self) -> list[dict[str, Any]]:
        """Rows of the history for the newest iteration."""
        loss_sum, correct = distributed.total(self.loss_sum), distributed.total(self.correct)
        values = {"train": (float(loss_sum) / self.at.seen, int(correct) / self.at.seen)}
        distributed.share_buffers(self.model)
        for role, part in self.watched.items():
            values[role] = evaluate_loss(
                *(self.model, part, self.normalisation, self.precision, self.side),
                on_batch=self.stop_if_asked,
            )
        records = [
            {
                "iteration": self.at.iteration,
                "epoch": self.at.iteration / len(self.bounds),
                "seconds": self.at.seconds,
                "wall_seconds": self.at.wall_seconds,
                "role": role,
                "loss": loss,
                "accuracy": accuracy,
                "learning_rate": self.at.rate,
            }
            for role, (loss, accuracy) in values.items()
        ]
        self.at.history += records
        self.loss_sum.zero_()
        self.correct.zero_()
        self.at.seen = 0
        best = self.settings.keep == "best_validation"
        if best and best_iteration(self.at.history) == self.at.iteration:
            # Clones: the tensors of a state dict go on changing with the model.
            self.kept = {name: value.clone() for name, value in self.model.state_dict().items()}
        return records

    def out_of_patience(self) -> bool:
        """Whether validation has not got better for too long."""
        patience = self.settings.patience
        return bool(patience and self.at.history) and (
            evaluations_since_best(self.at.history) >= patience
        )

    def check_loss(self, value: float, rows: torch.Tensor | None = None) -> None:
        """Stop where the loss is no number any more; `rows` are the images of a single batch.

        The newest checkpoint is from before that, and stays.
        """
        if np.isfinite(value):
            return
        where, images = f"up to iteration {self.at.iteration}", ""
        if rows is not None:
            where = f"in iteration {self.at.iteration}"
            named = [self.image_ids[row] for row in rows.tolist()] if self.image_ids else []
            images = f" (images {', '.join(named[:6])}{', …' * (len(named) > 6)})" if named else ""
        raise TrainingError(
            f"The training loss became {value} {where} of {self.iterations}{images}: lower "
            f"train.learning_rate (now {self.settings.learning_rate}), or use "
            "compute.precision: float32."
        )

    def go_on(
        self,
        on_step: Callable[[Progress], None],
        on_record: Callable[[Sequence[dict[str, Any]]], None],
    ) -> None:
        """Train from where the run stands to its end."""
        at, clock = self.at, _Clock()
        shown = 0.0

        def evaluate() -> None:
            on_record(self.evaluate())
            at.wall_seconds += clock.lap()

        if self.evaluation_due():  # stopped while it was being evaluated
            evaluate()
        for batch in self.batches():
            if self.out_of_patience():
                break
            loss = self.step(batch)
            if self.device.type == "cpu":  # on a GPU this would make it wait
                self.check_loss(float(loss), batch.rows)
            passed = clock.lap()
            shown += passed
            if shown > 0.5 or self.evaluation_due():
                # Waits for the device: now the clock is right.
                mean = self.processes * float(self.loss_sum) / at.seen
                self.check_loss(mean)
                passed += clock.lap()
            at.seconds += passed
            at.wall_seconds += passed
            if shown > 0.5:
                shown = 0.0
                correct = self.processes * int(self.correct) / at.seen
                on_step(Progress(at.iteration, self.iterations, at.seen, mean, correct))
            if self.evaluation_due():
                evaluate()
            if self.checkpoints is not None and distributed.in_any(self.checkpoints.due()):
                self.stop_if_asked()
                self.save()
                at.wall_seconds += clock.lap()

    # --- stopping and starting again --------------------------------------------------------------

    def stop_if_asked(self) -> None:
        """Write the state and leave, where that was asked for."""
        if self.checkpoints is not None and distributed.in_any(self.checkpoints.stop_requested):
            self.save()
            distributed.in_any(False)  # the others leave when the state is on disk, not before
            raise TrainingStopped

    def save(self) -> None:
        """Write a checkpoint; one that is good is never replaced by one whose loss is no number.

        The first process writes, of all of them: what each has for itself is numbered by `rank`.
        """
        if self.checkpoints is None:
            return
        if self.at.seen:
            self.check_loss(float(self.loss_sum) / self.at.seen)
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"kept.{k}": v for k, v in self.kept.items()}
        own = {"sums.loss": self.loss_sum, "sums.correct": self.correct}
        own["rng.torch"] = torch.get_rng_state()
        if self.device.type == "cuda":
            own["rng.cuda"] = torch.cuda.get_rng_state(self.device)
        for name, value in own.items():
            everyone = enumerate(distributed.gathered(value))
            tensors |= {f"{name}.{rank}": of_rank for rank, of_rank in everyone}
        optimizer = self.optimizer.state_dict()
        for number, of_parameter in optimizer["state"].items():
            tensors |= {f"optimizer.{number}.{k}": v for k, v in of_parameter.items()}
        groups = [{**group, "lr": self.at.rate} for group in optimizer["param_groups"]]
        values = {"position": vars(self.at), "groups": groups}
        self.checkpoints.save(State(tensors, values))

    def restore(self, state: State) -> None:
        """Take up a state that `save` wrote."""
        self.at = _Position(**state.values["position"])
        named: dict[str, dict[str, torch.Tensor]] = {}
        for name, tensor in state.tensors.items():
            group, _, rest = name.partition(".")
            named.setdefault(group, {})[rest] = tensor
        self.model.load_state_dict(named["model"])
        self.kept = {k: v.to(self.device) for k, v in named.get("kept", {}).items()}
        rank = distributed.rank()
        self.loss_sum.copy_(named["sums"][f"loss.{rank}"])
        self.correct.copy_(named["sums"][f"correct.{rank}"])
        torch.set_rng_state(named["rng"][f"torch.{rank}"])
        if f"cuda.{rank}" in named["rng"]:
            torch.cuda.set_rng_state(named["rng"][f"cuda.{rank}"], self.device)
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        restored: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in named.get("optimizer", {}).items():
            number, key = name.split(".")
            like = parameters[int(number)]
            # In the parameter's memory layout: sums over another one may differ in the last bit.
            if tensor.shape == like.shape:
                tensor = torch.empty_like(like).copy_(tensor)
            restored.setdefault(int(number), {})[key] = tensor
        self.optimizer.load_state_dict({"state": restored, "param_groups": state.values["groups"]})


def train(
    model: nn.Module,
    training: Part,
    watched: Mapping[str, Part],
    settings: TrainSettings,
    normalisation: Normalisation,
    precision: str,
    rng: np.random.Generator,
    input_size: int | None = None,
    checkpoints: Checkpoints | None = None,
    image_ids: Sequence[str] = (),
    cuda_graphs: bool = True,
    on_step: Callable[[Progress], None] = lambda _: None,
    on_record: Callable[[Sequence[dict[str, Any]]], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """Train a model in place.

    Of several processes that share the training (see `distributed`) each calls this with all images
    and the same arguments: a batch has `settings.batch_size` images whatever their number.

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
    checkpoints : Checkpoints, optional
        Where the state is kept; a state found there is taken up. A run that was interrupted on the
        CPU in float32 ends with the bits of one that was not.
    image_ids : sequence of str
        Of the training images, for messages.
    cuda_graphs : bool
        Whether one process on a GPU records its steps and replays them, as in
        `cuda_graphs.RecordedStep`; does not change the result.
    on_step : callable
        Called about twice a second with the state.
    on_record : callable
        Called with the rows of each evaluation.

    Returns
    -------
    list of dict
        One row an evaluation and part: columns of `contracts.HISTORY` and of `contracts.TIMINGS`.

    Raises
    ------
    TrainingError
        If the loss is not finite, memory runs out, or a validation part is needed and not there.
    TrainingStopped
        After `checkpoints.request_stop`: the state is on disk.
    """
    if "validation" not in watched and (settings.keep != "last" or settings.patience):
        raise TrainingError(
            f"train.keep: {settings.keep} with train.patience: {settings.patience} needs a "
            "validation part, and this division has none: set train.keep: last and patience: 0, "
            "or give the division one."
        )
    run = _Run(
        *(model, training, watched, settings, normalisation, precision, rng, input_size),
        *(checkpoints, image_ids, cuda_graphs),
    )
    found = checkpoints.load() if checkpoints else None
    if checkpoints and found:
        run.restore(found)
        checkpoints.log.info("Going on after iteration %d.", run.at.iteration)
    try:
        with own_stream(run.device) if run.records else nullcontext():
            run.go_on(on_step, on_record)
    except (RuntimeError, MemoryError) as error:  # OutOfMemoryError of a GPU is a RuntimeError
        of_a_gpu = isinstance(error, torch.OutOfMemoryError)
        if isinstance(error, RuntimeError) and not of_a_gpu and NO_MEMORY not in str(error):
            raise
        recorded = ", or set compute.cuda_graphs: false" if run.records else ""
        raise TrainingError(
            f"Memory ran out with train.batch_size {settings.batch_size} at "
            f"{run.side} pixels a side: halve the batch size, or "
            f"use a smaller image.size or model.input_size{recorded}."
        ) from error
    finally:
        run.recorded = None  # it holds the run, and much of the GPU's memory
    if run.kept:
        model.load_state_dict(run.kept)
    return run.at.history
