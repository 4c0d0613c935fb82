"""Images on the device that computes, and the one way to make a network's input from them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from workflow_scripts.cxrcam.arrays import Float32Array, Int64Array, UInt8Array
from workflow_scripts.cxrcam.networks.input_size import resize_pixels

Change = Callable[[torch.Tensor], torch.Tensor]
"""Grey images (b, side, side) in [0, 255] to others of the same shape, float32."""


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of the three input channels, for pixels in [0, 1]."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def apply(self, pixels: torch.Tensor) -> torch.Tensor:
        """Float32 input (n, 3, h, w), channels last in memory, of uint8 pixels (n, h, w)."""
        scale, shift = _scale_and_shift(self, pixels.device)
        # Made with the channel last and then viewed as (n, 3, h, w): the layout that
        # convolutions read fastest, without a copy.
        last = pixels.unsqueeze(-1) * scale + shift
        return last.permute(0, 3, 1, 2)


@lru_cache(maxsize=8)
def _scale_and_shift(
    normalisation: Normalisation, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """What grey pixels are multiplied by, and what is added, a value a channel.

    Kept, as a copy of so few numbers to a GPU makes Python wait for all that the GPU has to do.
    """
    # Made for predictions alone, they would refuse a gradient by the pixels afterwards.
    with torch.inference_mode(False):
        mean = torch.tensor(normalisation.mean, device=device)
        std = torch.tensor(normalisation.std, device=device)
        return 1.0 / (255.0 * std), -mean / std


@dataclass(frozen=True)
class Pixels:
    """A part of a split as grey images."""

    pixels: torch.Tensor  # uint8 (n, size, size); on the device, or in the host's memory if large
    # int64 (n,), position of the class; of findings float32 (n, k); on the device that computes
    labels: torch.Tensor

    @staticmethod
    def on(device: torch.device, pixels: UInt8Array, labels: Int64Array | Float32Array) -> "Pixels":
        """Put arrays on a device; pixels that are mapped from a file stay in the host's memory."""
        given = torch.from_numpy(pixels)
        mapped = isinstance(pixels.base, np.memmap)
        placed = given if mapped else given.to(device)
        return Pixels(placed, torch.from_numpy(labels).to(device))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def home(self) -> torch.device:
        """Where the images lie."""
        return self.pixels.device

    @property
    def side(self) -> int:
        """Pixels a side of the images."""
        return self.pixels.shape[-1]

    def batch(
        self,
        rows: torch.Tensor,
        flips: torch.Tensor | None,
        side: int,
        normalisation: Normalisation,
        change: Change | None = None,
    ) -> torch.Tensor:
        """Network input of some images.

        Parameters
        ----------
        rows : int64 tensor, shape (b,)
            Positions of the images; a GPU waits for them where they are not at `home`.
        flips : bool tensor, shape (b,), optional
            Which of them to mirror; likewise on the device that computes.
        side : int
            Pixels a side at the network's input.
        normalisation : Normalisation
        change : callable, optional
            What is done to the grey images at the input's size, before they are normalised.

        Returns
        -------
        float32 tensor, shape (b, 3, side, side), on the device
        """
        device = self.labels.device
        pixels = self.pixels[rows.to(self.home, non_blocking=True)]
        if self.home != device:
            # From pinned memory they travel while the GPU still computes the batch before.
            pixels = pixels.pin_memory().to(device, non_blocking=True)
        if flips is not None:
            flipped = flips.to(device, non_blocking=True)[:, None, None]
            pixels = torch.where(flipped, pixels.flip(-1), pixels)
        pixels = resize_pixels(pixels, side)
        return normalisation.apply(pixels if change is None else change(pixels))


@dataclass(frozen=True)
class Features:
    """A part of a split as features: what a network's frozen layers computed of the images."""

    views: torch.Tensor  # (2, n, ...): of the images as they are, and mirrored; on the device
    labels: torch.Tensor  # as of `Pixels`
    side: int  # pixels a side of the images that they were computed from

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def home(self) -> torch.device:
        """Where the features lie."""
        return self.views.device

    def batch(
        self,
        rows: torch.Tensor,
        flips: torch.Tensor | None,
        side: int,
        normalisation: Normalisation,
        change: Change | None = None,
    ) -> torch.Tensor:
        """Features of the images or of their mirror images; see `Pixels.batch`.

        There are none of changed images: the configuration refuses such a training.
        """
        view = torch.zeros_like(rows) if flips is None else flips.long()
        return self.views[view.to(self.views.device), rows.to(self.views.device)]


Part = Pixels | Features
