"""One training shared by several processes, each of which computes a part of every batch.

What is here asks PyTorch's process group, and does nothing where there is none.
"""

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel


def world_size() -> int:
    """Number of processes that share the training."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this process, from 0; that one writes files."""
    return dist.get_rank() if world_size() > 1 else 0


def wrapped(model: nn.Module, sync_batch_norm: bool) -> nn.Module:
    """What to call in a training step, so that gradients are averaged over all processes.

    With `sync_batch_norm`, batch statistics are those of the whole batch; on GPUs only.
    """
    if world_size() == 1:
        return model
    if sync_batch_norm:
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    # Running statistics play no part in training: `share_buffers` does it where they are read.
    return DistributedDataParallel(model, forward_sync_buffers=False)


def share(values: torch.Tensor) -> torch.Tensor:
    """Block of a batch, one value an image, that this process computes; all are nearly equal."""
    first, last = (len(values) * k // world_size() for k in (rank(), rank() + 1))
    return values[first:last]


def mean_loss(losses: torch.Tensor, n_images: int) -> torch.Tensor:
    """Loss whose mean over the processes is that of a batch of `n_images`.

    `losses`, shape (b,), are those of the images of this process's block; b may be 0.
    """
    several = world_size() > 1
    return losses.sum() * (world_size() / n_images) if several else losses.mean()


def total(value: torch.Tensor) -> torch.Tensor:
    """Sum over all processes; each must call it at the same place, and what follows too."""
    summed = value.clone()
    if world_size() > 1:
        dist.all_reduce(summed)
    return summed


def in_any(flag: bool) -> bool:
    """Whether it is so in one of the processes; over the CPU, so that no GPU has to wait."""
    return bool(total(torch.tensor(int(flag))))


def gathered(value: torch.Tensor) -> list[torch.Tensor]:
    """The value of each process, on the CPU."""
    everyone = [value.cpu().clone() for _ in range(world_size())]
    if world_size() > 1:
        dist.all_gather(everyone, value.cpu())
    return everyone


def from_first(value: torch.Tensor) -> torch.Tensor:
    """The value of the first process, in each of them."""
    if world_size() > 1:
        dist.broadcast(value, src=0)
    return value


def share_buffers(model: nn.Module) -> None:
    """Give the first process's running statistics to all."""
    for buffer in model.buffers() if world_size() > 1 else ():
        dist.broadcast(buffer, src=0)
