"""Images on the device that computes, and the one way to make a network's input from them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of the three input channels, for pixels in [0, 1]."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """Network input from grey pixels.

        Parameters
        ----------
        pixels : uint8 tensor, shape (n, height, width)

        Returns
        -------
        float32 tensor, shape (n, 3, height, width), channels last in memory
        """
        scale = 1.0 / (255.0 * torch.tensor(self.std, device=pixels.device))
        shift = -torch.tensor(self.mean, device=pixels.device) / torch.tensor(
            self.std, device=pixels.device
        )
        # Made with the channel last and then viewed as (n, 3, h, w): the layout that
        # convolutions read fastest, without a copy.
        last = pixels.unsqueeze(-1) * scale + shift
        return last.permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Part:
    """One part of a split.

    Attributes
    ----------
    pixels : uint8 tensor, shape (n, size, size)
        On the device, or in the host's memory where they do not fit.
    labels : int64 tensor, shape (n,)
        Position of the class; on the device.
    """

    pixels: torch.Tensor
    labels: torch.Tensor

    @staticmethod
    def on(
        device: torch.device, pixels: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]
    ) -> "Part":
        """Put arrays on a device."""
        return Part(torch.from_numpy(pixels).to(device), torch.from_numpy(labels).to(device))

    def __len__(self) -> int:
        return len(self.labels)
