"""One training shared by several processes: each computes a part of every batch.

The batch, the order of the images and their flips are those of a training in one process. Gradients
are averaged by PyTorch's DistributedDataParallel, batch statistics are joined where that is asked
for, so that the mathematics is the same; only the order in which numbers are added differs.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from workflow_scripts.cxrcam.networks.batch_statistics import synchronise_batch_statistics


class DistributedRanks:
    """The processes of a training that `joined` brought together; see `ranks.Ranks`."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size

    def wrapped(self, model: nn.Module, sync_batch_norm: bool) -> nn.Module:
        """The model, with gradients averaged over all processes."""
        if sync_batch_norm:
            synchronise_batch_statistics(model)
        # Running statistics play no part in training: `settle` shares them where they are read.
        return DistributedDataParallel(model, forward_sync_buffers=False)

    def share(self, values: torch.Tensor) -> torch.Tensor:
        """A block of the batch; those of two processes differ by one image at most."""
        first, last = (len(values) * k // self.size for k in (self.rank, self.rank + 1))
        return values[first:last]

    def mean_loss(
        self, logits: torch.Tensor, labels: torch.Tensor, label_smoothing: float, n_images: int
    ) -> torch.Tensor:
        """Sum over the share, scaled: shares of unequal size count by their images."""
        total = nn.functional.cross_entropy(
            logits, labels, reduction="sum", label_smoothing=label_smoothing
        )
        return total * (self.size / n_images)

    def total(self, value: torch.Tensor) -> torch.Tensor:
        """Sum over all processes."""
        summed = value.clone()
        dist.all_reduce(summed)
        return summed

    def any(self, flag: bool) -> bool:
        """Whether it is so in one of the processes; over the CPU, so that no GPU has to wait."""
        flags = torch.tensor([flag], dtype=torch.uint8)
        dist.all_reduce(flags, op=dist.ReduceOp.MAX)
        return bool(flags)

    def gathered(self, value: torch.Tensor) -> Sequence[torch.Tensor]:
        """The value of each process, on the CPU."""
        own = value.cpu()
        everyone = [torch.empty_like(own) for _ in range(self.size)]
        dist.all_gather(everyone, own)
        return everyone

    def settle(self, model: nn.Module) -> None:
        """Take over the running statistics of the first process."""
        for buffer in model.buffers():
            dist.broadcast(buffer, src=0)


@contextmanager
def joined(rank: int, size: int, meeting: Path, device: torch.device) -> Iterator[DistributedRanks]:
    """Bring the processes of a training together; all of them on this machine.

    Parameters
    ----------
    rank : int
        Number of this process, from 0.
    size : int
    meeting : Path
        A file that none of them has made yet, through which they find each other. With a file
        nothing listens on the network, other than with PyTorch's usual address and port.
    device : torch.device
        That this process computes on; GPUs talk by NCCL, CPUs by Gloo.
    """
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.set_device(device)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if cuda else "gloo",
        store=dist.FileStore(str(meeting), size),  # type: ignore[attr-defined]
        rank=rank,
        world_size=size,
    )
    yield DistributedRanks(rank, size)
    # Not after an error: that might wait for processes that are gone.
    dist.destroy_process_group()
