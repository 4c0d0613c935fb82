"""A network's forward and backward pass recorded once as CUDA graphs, and replayed.

A ResNet18 starts some thousand kernels a step. With a batch of six images a large GPU is done with
each of them before Python has started the next; a replay starts all of them at once. The kernels
are the same, so the numbers are.
"""

from collections.abc import Callable
from typing import cast

import torch
from torch import nn

from workflow_scripts.cxrcam.networks.devices import autocast

Forward = Callable[[torch.Tensor], torch.Tensor]


class _Recordable(nn.Module):
    """Recording replaces a module's forward pass; that of the network itself stays."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.train(network.training)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(images)
        return logits


class RecordedNetwork:
    """Call a network in training by replaying what was recorded of it.

    Recorded when it is first called, and again when the shape of the batches changes (only the
    newest recording is kept: it holds all activations).

    Parameters
    ----------
    network : nn.Module
        On a GPU, in training mode, without hooks.
    precision : {"float32", "bfloat16"}
        Of convolutions, as for `devices.autocast`.
    """

    def __init__(self, network: nn.Module, precision: str) -> None:
        self.network, self.precision = network, precision
        self._shape: torch.Size | None = None
        self._replay: Forward = network

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Logits; valid until the next call, which takes their place in memory.

        Parameters
        ----------
        images : float tensor, shape (b, 3, height, width)
        """
        if images.shape != self._shape:
            self._replay = self.network  # frees what was recorded before
            self._replay, self._shape = self._record(images), images.shape
        return self._replay(images)

    def _record(self, images: torch.Tensor) -> Forward:
        """Record both passes on a batch, of which the network keeps nothing.

        Recording runs them some times for warming up: batch statistics that it updated, and random
        numbers that it drew, are put back.
        """
        before = [buffer.clone() for buffer in self.network.buffers()]
        with (
            torch.random.fork_rng([images.device] if images.is_cuda else []),
            # Weights that were cast in another context must not become part of the recording.
            autocast(images.device, self.precision, keep_casts=False),
        ):
            recorded = torch.cuda.make_graphed_callables(
                _Recordable(self.network), (images.clone(),)
            )
        with torch.no_grad():
            for buffer, value in zip(self.network.buffers(), before, strict=True):
                buffer.copy_(value)
        return cast(Forward, recorded)
