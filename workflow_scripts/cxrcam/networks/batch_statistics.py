"""Batch normalisation over the images of all processes, on CPUs as on GPUs.

PyTorch's own `torch.nn.SyncBatchNorm` computes on GPUs only.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm


def _summed(values: torch.Tensor) -> torch.Tensor:
    """Each channel's sum; shape (n, channels, ...) to (channels,)."""
    return values.sum([0, *range(2, values.dim())])


class _Normalise(torch.autograd.Function):
    """Normalisation with the mean and variance of all processes' images.

    Statistics are joined as in Chan, Golub and LeVeque (1983): sums of squares about each
    process's own mean, so that nothing large is subtracted from something large. A process may
    have no image.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 (PyTorch has no type for it)
        images: torch.Tensor,
        weight: torch.Tensor | None,
        bias: torch.Tensor | None,
        eps: float,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        values = images.float()
        channels = images.shape[1]
        own = values.new_zeros(2 * channels + 1)
        if images.numel():
            dimensions = [0, *range(2, images.dim())]
            variance, mean = torch.var_mean(values, dimensions, correction=0)
            count = images.numel() // channels
            own = torch.cat([mean, variance * count, mean.new_tensor([count])])
        everyone = [torch.empty_like(own) for _ in range(dist.get_world_size())]
        dist.all_gather(everyone, own)
        joint = torch.stack(everyone)
        means, squares, counts = joint[:, :channels], joint[:, channels:-1], joint[:, -1:]
        total = counts.sum()
        mean = (means * counts).sum(0) / total
        variance = (squares + counts * (means - mean) ** 2).sum(0) / total
        ctx.save_for_backward(images, weight, mean, torch.rsqrt(variance + eps), total)
        normalised = nn.functional.batch_norm(
            images, mean, variance, weight, bias, training=False, eps=eps
        )
        ctx.mark_non_differentiable(mean, variance, total)
        return normalised, mean, variance, total

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(
        ctx: Any,  # noqa: ANN401
        gradient: torch.Tensor,
        *_: torch.Tensor,
    ) -> tuple[torch.Tensor | None, ...]:
        images, weight, mean, inverse, count = ctx.saved_tensors
        shape = [1, -1, *[1] * (images.dim() - 2)]
        above = gradient.float()
        normalised = (images.float() - mean.view(shape)) * inverse.view(shape)
        # What mean and variance pass on depends on the images of all; weight and bias have their
        # own share here, which is averaged with all other gradients.
        own = torch.stack([_summed(above), _summed(above * normalised)])
        joint = own.clone()
        dist.all_reduce(joint)
        along_mean, along_variance = (joint / count).unbind()
        below = above - along_mean.view(shape) - normalised * along_variance.view(shape)
        scale = inverse if weight is None else inverse * weight
        below = (below * scale.view(shape)).to(images.dtype)
        affine = (None, None) if weight is None else (own[1], own[0])
        return below, *affine, None


class SynchronisedBatchNorm(_BatchNorm):
    """Batch normalisation whose statistics in training are those of the whole batch.

    In evaluation, and in what it keeps, it is PyTorch's. Each process must have the same layers and
    call them in the same order.
    """

    @staticmethod
    def of(layer: _BatchNorm) -> "SynchronisedBatchNorm":
        """A layer with the very parameters and running statistics of another one."""
        result = SynchronisedBatchNorm(layer.num_features, layer.eps, layer.momentum, device="meta")
        result.affine, result.track_running_stats = layer.affine, layer.track_running_stats
        result.weight, result.bias = layer.weight, layer.bias
        for name, buffer in layer.named_buffers():
            result.register_buffer(name, buffer)
        return result.train(layer.training)

    def _check_input_dim(self, _input: torch.Tensor) -> None:
        """Images, features and series alike."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Normalised values, shape (n, channels, ...) as given."""
        if not self.training:
            return super().forward(input)
        normalised, mean, variance, count = _Normalise.apply(  # type: ignore[no-untyped-call]
            input, self.weight, self.bias, self.eps
        )
        if self.track_running_stats:
            self._keep(mean, variance * count / (count - 1).clamp(min=1))
        result: torch.Tensor = normalised
        return result

    @torch.no_grad()
    def _keep(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        """Let the running statistics follow those of a batch, variance without bias."""
        if self.running_mean is None or self.running_var is None:
            return
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        share = self.momentum
        if share is None:  # the mean of all batches
            share = 1.0 / float(self.num_batches_tracked or 1)
        self.running_mean.mul_(1 - share).add_(mean, alpha=share)
        self.running_var.mul_(1 - share).add_(variance, alpha=share)


def synchronise_batch_statistics(model: nn.Module) -> None:
    """Put a `SynchronisedBatchNorm` in the place of every batch normalisation, in place.

    Names, parameters and running statistics stay what they are.
    """
    for name, layer in model.named_children():
        if isinstance(layer, _BatchNorm):
            setattr(model, name, SynchronisedBatchNorm.of(layer))
        else:
            synchronise_batch_statistics(layer)
