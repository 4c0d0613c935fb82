"""What a training needs to know of the processes that share it; here, that there is one.

`distributed.DistributedRanks` is the other one. It is not imported by a training in one process,
which is the usual one, and starts faster without.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import nn


class Ranks(Protocol):
    """The processes of one training, seen from one of them.

    Whatever all of them take part in is marked as collective: each must call it, at the same place.

    Attributes
    ----------
    rank : int
        Number of this process, from 0; that one writes files.
    size : int
        Number of processes.
    """

    rank: int
    size: int

    def wrapped(self, model: nn.Module, sync_batch_norm: bool) -> nn.Module:
        """What to call in a training step; its parameters are those of `model`. Collective."""
        ...

    def share(self, values: torch.Tensor) -> torch.Tensor:
        """Part of a batch that this process computes, of one value an image."""
        ...

    def mean_loss(
        self, logits: torch.Tensor, labels: torch.Tensor, label_smoothing: float, n_images: int
    ) -> torch.Tensor:
        """Cross entropy whose mean over the processes is that of the batch.

        Parameters
        ----------
        logits : float tensor, shape (b, classes)
            Of this process's share.
        labels : int64 tensor, shape (b,)
        label_smoothing : float
        n_images : int
            In the whole batch.
        """
        ...

    def total(self, value: torch.Tensor) -> torch.Tensor:
        """Sum over all processes. Collective."""
        ...

    def any(self, flag: bool) -> bool:
        """Whether it is so in one of the processes at least. Collective."""
        ...

    def gathered(self, value: torch.Tensor) -> Sequence[torch.Tensor]:
        """The value of each process, on the CPU. Collective."""
        ...

    def settle(self, model: nn.Module) -> None:
        """Give the running statistics of the first process to all. Collective."""
        ...


class SingleProcess:
    """A training that nobody shares."""

    rank = 0
    size = 1

    def wrapped(self, model: nn.Module, sync_batch_norm: bool) -> nn.Module:
        """The model itself; its batch statistics are those of the batch anyway."""
        return model

    def share(self, values: torch.Tensor) -> torch.Tensor:
        """All of it."""
        return values

    def mean_loss(
        self, logits: torch.Tensor, labels: torch.Tensor, label_smoothing: float, n_images: int
    ) -> torch.Tensor:
        """Mean cross entropy of the batch."""
        return nn.functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)

    def total(self, value: torch.Tensor) -> torch.Tensor:
        """The value itself."""
        return value

    def any(self, flag: bool) -> bool:
        """The flag itself."""
        return flag

    def gathered(self, value: torch.Tensor) -> Sequence[torch.Tensor]:
        """The value alone."""
        return [value]

    def settle(self, model: nn.Module) -> None:
        """Nothing to do."""


SINGLE_PROCESS = SingleProcess()
