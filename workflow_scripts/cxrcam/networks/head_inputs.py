"""What the last layer of a network gets.

In a file of its own: training with sub-classes needs it, and must not be stale when maps change.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def pooled_inputs(model: nn.Module, head: str) -> Iterator[list[torch.Tensor]]:
    """Collect what the last layer of a network gets: the numbers that alone decide its answer.

    Yields a list to which each forward pass adds a float32 tensor (n, k) on the CPU: the input of
    the layer called `head`, of a convolution its mean over places. Capsules are no such numbers:
    theirs is (n, 0). The hook is taken off at the end, whatever happens.
    """
    found: list[torch.Tensor] = []

    def keep(_module: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        given = inputs[0].detach().float()
        if given.ndim == 4:
            given = given.mean((2, 3))
        found.append((given if given.ndim == 2 else given.new_empty(len(given), 0)).cpu())

    handle = model.get_submodule(head).register_forward_pre_hook(keep)
    try:
        yield found
    finally:
        handle.remove()
