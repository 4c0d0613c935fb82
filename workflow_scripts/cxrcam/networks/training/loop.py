"""Train one classifier: the loop over batches, its evaluations and checkpoints."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from workflow_scripts.cxrcam.arrays import BoolArray, Float32Array, Int64Array
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.networks.device_images import Part
from workflow_scripts.cxrcam.networks.training import distributed
from workflow_scripts.cxrcam.networks.training.checkpoints import Checkpoints, TrainingStopped
from workflow_scripts.cxrcam.networks.training.class_balance import (
    BALANCED,
    WITHIN_SOURCES,
    balanced_order,
    order_within_sources,
)
from workflow_scripts.cxrcam.networks.training.cuda_graphs import own_stream
from workflow_scripts.cxrcam.networks.training.evaluation import (
    best_iteration,
    evaluate_loss,
    evaluations_since_best,
)
from workflow_scripts.cxrcam.networks.training.recipe import batch_bounds, learning_rate
from workflow_scripts.cxrcam.networks.training.state import Position, Weights, restored, state_of
from workflow_scripts.cxrcam.networks.training.step import Batch, Learner

# What PyTorch says when the host has no memory left; it has no exception of its own for that.
NO_MEMORY = "can't allocate memory"


class TrainingError(InputError):
    """Training cannot go on; the message says where it stood and what to change."""


class _Clock:
    """A stopwatch that is read lap by lap."""

    def __init__(self) -> None:
        self.began = time.perf_counter()

    def lap(self) -> float:
        """Seconds since the last lap."""
        now = time.perf_counter()
        passed, self.began = now - self.began, now
        return passed


@dataclass
class _Loop:
    """The steps and evaluations of a training, which can stop and go on after any iteration."""

    learner: Learner
    watched: Mapping[str, Part]
    rng: np.random.Generator
    checkpoints: Checkpoints | None = None
    image_ids: Sequence[str] = ()
    at: Position = field(default_factory=Position)
    kept: Weights = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.settings, self.training = self.learner.settings, self.learner.training
        keep, patience = self.settings.keep, self.settings.patience
        if "validation" not in self.watched and (keep != "last" or patience):
            raise TrainingError(
                f"train.keep: {keep} with train.patience: {patience} needs a validation part, and "
                "this division has none: set train.keep: last and patience: 0, or give the "
                "division one."
            )
        # Batch statistics of a share alone need two images of it.
        alone = 1 if self.settings.sync_batch_norm else self.learner.processes
        size = self.settings.batch_size
        self.bounds = batch_bounds(len(self.training), size, least=2 * alone)
        self.iterations = len(self.bounds) * self.settings.epochs
        each_epoch = self.settings.evaluate_every == "epoch"
        self.every = len(self.bounds) if each_epoch else int(self.settings.evaluate_every)
        if self.settings.sampling in (BALANCED, WITHIN_SOURCES):
            classes = self.training.labels // self.learner.sub_classes
            self.classes: Int64Array = classes.cpu().numpy()

    def resume(self) -> None:
        """Take up the state that an interrupted run left, if there is one."""
        if self.checkpoints is not None and (found := self.checkpoints.load()):
            self.at, self.kept = restored(self.learner, found)
            self.checkpoints.log.info("Going on after iteration %d.", self.at.iteration)

    def draw_epoch(self) -> tuple[Int64Array, BoolArray, Float32Array | None]:
        """Images of one epoch in their order, their flips, and their changes if there are any."""
        self.at.epoch_rng = dict(self.rng.bit_generator.state)
        n_images = len(self.training)
        if self.settings.sampling == BALANCED:
            order = balanced_order(self.classes, self.rng)
        elif (sources := self.learner.sources) is not None:
            order = order_within_sources(self.classes, sources, self.rng)
        else:
            order = self.rng.permutation(n_images)
        flips = self.rng.random(n_images) < self.settings.horizontal_flip
        augment = self.settings.augment
        return order, flips, augment.draw(self.rng, n_images) if augment else None

    def batches(self) -> Iterator[Batch]:
        """Every batch that is still to come."""
        device = self.learner.device
        first_epoch, done = divmod(self.at.iteration, len(self.bounds))
        if self.at.iteration:
            self.rng.bit_generator.state = self.at.epoch_rng
            if not done:
                self.draw_epoch()  # that epoch is over; the next draws come after its own
        for epoch in range(first_epoch, self.settings.epochs):
            order, flips, drawn = self.draw_epoch()
            # To their devices once an epoch: each copy makes Python wait for the GPU.
            rows = torch.from_numpy(order).to(self.training.home)
            labels = self.training.labels[rows.to(device)]
            flipped = torch.from_numpy(flips).to(device)
            changes = None if drawn is None else torch.from_numpy(drawn).to(device)
            for first, last in self.bounds[done:]:
                of_batch = None if changes is None else changes[first:last]
                chosen = (rows[first:last], flipped[first:last], labels[first:last])
                yield Batch(epoch, *chosen, of_batch)
            done = 0

    def step(self, batch: Batch) -> torch.Tensor:
        """One step of the optimiser; returns the loss."""
        self.at.rate = learning_rate(self.settings, self.at.iteration, self.iterations)
        loss = self.learner.step(batch, self.at.rate)
        self.at.seen += len(batch.rows)
        self.at.iteration += 1
        return loss

    def evaluation_due(self) -> bool:
        """Whether the state after the newest iteration still has to be evaluated."""
        iteration = self.at.iteration
        recorded = self.at.history[-1]["iteration"] if self.at.history else 0
        return iteration > recorded and (
            iteration % self.every == 0 or iteration == self.iterations
        )

    def evaluate(self) -> list[dict[str, Any]]:
        """Rows of the history for the newest iteration."""
        learner = self.learner
        loss_sum, correct = map(distributed.total, (learner.loss_sum, learner.correct))
        values = {"train": (float(loss_sum) / self.at.seen, float(correct) / self.at.seen)}
        distributed.share_buffers(learner.model)
        for role, part in self.watched.items():
            values[role] = evaluate_loss(
                learner.model,
                part,
                learner.normalisation,
                learner.precision,
                learner.side,
                on_batch=self.stop_if_asked,
                losses_of=learner.evaluation_loss,
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
        learner.loss_sum.zero_()
        learner.correct.zero_()
        self.at.seen = 0
        best = self.settings.keep == "best_validation"
        if best and best_iteration(self.at.history) == self.at.iteration:
            # Clones: the tensors of a state dict go on changing with the model.
            self.kept = {name: value.clone() for name, value in learner.model.state_dict().items()}
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

    def run(self, on_record: Callable[[Sequence[dict[str, Any]]], None]) -> None:
        """Train from where the training stands to its end."""
        at, learner, clock = self.at, self.learner, _Clock()
        unchecked = 0.0  # seconds

        def evaluate() -> None:
            on_record(self.evaluate())
            at.wall_seconds += clock.lap()

        if self.evaluation_due():  # stopped while it was being evaluated
            evaluate()
        for batch in self.batches():
            if self.out_of_patience():
                break
            loss = self.step(batch)
            if learner.device.type == "cpu":  # on a GPU this would make it wait
                self.check_loss(float(loss), batch.rows)
            passed = clock.lap()
            unchecked += passed
            if unchecked > 0.5 or self.evaluation_due():
                # Waits for the device: now the clock is right.
                self.check_loss(float(learner.loss_sum) / at.seen)
                unchecked = 0.0
                passed += clock.lap()
            at.seconds += passed
            at.wall_seconds += passed
            if self.evaluation_due():
                evaluate()
            if self.checkpoints is not None and distributed.in_any(self.checkpoints.due()):
                self.stop_if_asked()
                self.save()
                at.wall_seconds += clock.lap()

    def stop_if_asked(self) -> None:
        """Write the state and leave, where that was asked for."""
        if self.checkpoints is not None and distributed.in_any(self.checkpoints.stop_requested):
            self.save()
            distributed.in_any(False)  # the others leave when the state is on disk, not before
            raise TrainingStopped

    def save(self) -> None:
        """Write a checkpoint; one that is good is never replaced by one whose loss is no number."""
        if self.checkpoints is None:
            return
        if self.at.seen:
            self.check_loss(float(self.learner.loss_sum) / self.at.seen)
        self.checkpoints.save(state_of(self.learner, self.at, self.kept))


def train(
    learner: Learner,
    watched: Mapping[str, Part],
    rng: np.random.Generator,
    checkpoints: Checkpoints | None = None,
    image_ids: Sequence[str] = (),
    on_record: Callable[[Sequence[dict[str, Any]]], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """Train a model in place.

    Of several processes that share the training (see `distributed`) each calls this with all images
    and the same arguments: a batch has `settings.batch_size` images whatever their number.

    Parameters
    ----------
    learner : Learner
    watched : mapping of str to Part
        Parts whose loss and accuracy are recorded; only ``validation`` can influence the weights,
        by `settings.keep` and `settings.patience`.
    rng : np.random.Generator
        Order of the images, flips and other changes.
    checkpoints : Checkpoints, optional
        Where the state is kept; a state found there is taken up. A run that was interrupted on the
        CPU in float32 ends with the bits of one that was not.
    image_ids : sequence of str
        Of the training images, for messages.
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
    loop = _Loop(learner, watched, rng, checkpoints, image_ids)
    loop.resume()
    try:
        with own_stream(learner.device) if learner.records else nullcontext():
            loop.run(on_record)
        loop.save()  # until Snakemake has recorded the result, so that nothing is trained twice
    except (RuntimeError, MemoryError) as error:
        if not _out_of_memory(error):
            raise
        raise _no_memory(learner) from error
    finally:
        learner.recorded = None  # it holds the learner, and much of the GPU's memory
    if loop.kept:
        learner.model.load_state_dict(loop.kept)
    return loop.at.history


def _no_memory(learner: Learner) -> TrainingError:
    """What to change where memory ran out."""
    recorded = ", or set compute.cuda_graphs: false" if learner.records else ""
    return TrainingError(
        f"Memory ran out with train.batch_size {learner.settings.batch_size} at "
        f"{learner.side} pixels a side: halve the batch size, or "
        f"use a smaller image.size or model.input_size{recorded}."
    )


def _out_of_memory(error: RuntimeError | MemoryError) -> bool:
    """Whether PyTorch or Python had no memory left, on the GPU or the host."""
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or NO_MEMORY in str(error)
