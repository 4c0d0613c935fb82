"""Average pooling to a grid whose gradient is deterministic on a GPU, too."""

import torch
from torch import nn


class GridAveragePool(nn.Module):
    """Adaptive average pooling to a square grid, as two matrix products.

    Equal to ``nn.AdaptiveAvgPool2d((cells, cells))``, whose gradient PyTorch cannot compute
    deterministically on a GPU: with ``compute.deterministic`` training would stop there.
    """

    def __init__(self, cells: int) -> None:
        super().__init__()
        self.cells = cells

    def _weights(self, length: int, like: torch.Tensor) -> torch.Tensor:
        """Share of each of `length` places in each cell, shape (cells, length)."""
        cell = torch.arange(self.cells, device=like.device)[:, None]
        place = torch.arange(length, device=like.device)[None, :]
        first = cell * length // self.cells
        last = -(-(cell + 1) * length // self.cells)
        inside = ((place >= first) & (place < last)).to(like.dtype)
        return inside / inside.sum(1, keepdim=True)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Pool features of shape (n, k, h, w) to (n, k, cells, cells)."""
        height, width = features.shape[-2:]
        if height == width == self.cells:
            return features
        rows, columns = self._weights(height, features), self._weights(width, features)
        return rows @ features @ columns.T


def with_deterministic_pooling(model: nn.Module) -> nn.Module:
    """The network, `GridAveragePool` in the place of average pooling to several cells a side."""
    for name, layer in [*model.named_modules()]:
        if isinstance(layer, nn.AdaptiveAvgPool2d):
            size = layer.output_size
            rows, columns = size if isinstance(size, tuple) else (size, size)
            if rows == columns and rows is not None and rows > 1:
                model.set_submodule(name, GridAveragePool(rows))
    return model
