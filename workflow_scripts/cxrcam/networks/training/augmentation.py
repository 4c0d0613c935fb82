"""Training images that are changed a little at random: `train.augment`.

How each image of an epoch is changed is drawn on the CPU, from the generator that also draws their
order, and travels to the device as one tensor a batch. So it is the same on every device, in every
number of processes, and after a training was resumed. Noise alone, a number a pixel, is drawn where
it is added, by the generator that also draws dropout.

Rotation, shift and scale are one interpolation of the whole batch by PyTorch's `affine_grid` and
`grid_sample`, with the conventions of ``torchvision.transforms.v2.functional.affine``. That
function takes its parameters as Python numbers, for all images it is given at once: it would need a
call an image, and a recorded step (`cuda_graphs`) would replay the numbers of its recording for
ever. On a CPU either takes less than a hundredth of a training step (at 224 pixels 0.4 of 50 ms an
image).
"""

import math
from dataclasses import astuple, dataclass

import numpy as np
import torch
from torch import nn

from workflow_scripts.cxrcam.arrays import Float32Array, Float64Array

SMALLEST_ERASED, LARGEST_ERASED = 0.02, 0.2
"""Area of an erased rectangle, as a share of the image."""
MOST_STRETCHED = 0.3
"""Least ratio of the sides of an erased rectangle, either way round (Zhong et al. 2020)."""


@dataclass(frozen=True)
class Augmentation:
    """How strongly training images are changed; 0 leaves them alone.

    Attributes
    ----------
    rotation : float
        Largest angle in degrees, either way.
    shift : float
        Largest shift along each axis, as a share of the side. What comes into the image is black.
    scale : float
        The factor of size is drawn from 1 - scale to 1 + scale.
    contrast : float
        The factor by which grey levels move away from the image's mean is drawn from 1 - contrast
        to 1 + contrast. Grey levels stay within [0, 255].
    noise : float
        Largest standard deviation of Gaussian noise, as a share of the 255 grey levels; that of an
        image is drawn from 0 to this, so that a network goes on seeing images as they are. Grey
        levels stay within [0, 255].
    erasing : float
        Probability that a rectangle is set to the mean of the image: random erasing (Zhong et al.
        2020), with areas from `SMALLEST_ERASED` to `LARGEST_ERASED`.
    """

    rotation: float = 0.0
    shift: float = 0.0
    scale: float = 0.0
    contrast: float = 0.0
    noise: float = 0.0
    erasing: float = 0.0

    def __bool__(self) -> bool:
        return any(astuple(self))

    @property
    def moves(self) -> bool:
        """Whether pixels change their places."""
        return bool(self.rotation or self.shift or self.scale)

    def draw(self, rng: np.random.Generator, n_images: int) -> Float32Array:
        """Parameters of each image of an epoch, shape (n, 12).

        Six are the matrix of `affine_grid`, from places in the result to places in the image; one
        is the factor of contrast, one the standard deviation of noise in grey levels; four are top,
        left, bottom and right of what is erased, as shares of the side. As many numbers are drawn
        whatever is on, so that one kind of change does not alter the draws of another.
        """
        drawn = rng.random((11, n_images))
        angle, right, down, size, contrast = 2 * drawn[:5] - 1  # in [-1, 1)
        angle = angle * math.radians(self.rotation)
        size = 1 + self.scale * size
        right, down = 2 * self.shift * right, 2 * self.shift * down  # the side counts 2
        cos, sin = np.cos(angle) / size, np.sin(angle) / size
        matrix = (cos, sin, -cos * right - sin * down, -sin, cos, sin * right - cos * down)
        greys = (1 + self.contrast * contrast, 255 * self.noise * drawn[10])
        rectangle = _rectangles(drawn[5:10], self.erasing)
        return np.stack([*matrix, *greys, *rectangle], 1).astype(np.float32)

    def apply(self, pixels: torch.Tensor, parameters: torch.Tensor) -> torch.Tensor:
        """Change a batch of images; nothing here waits for a GPU.

        Parameters
        ----------
        pixels : uint8 or float32 tensor, shape (b, side, side)
            Grey levels in [0, 255].
        parameters : float32 tensor, shape (b, 12)
            From `draw`, on the same device.

        Returns
        -------
        float32 tensor, shape (b, side, side), in [0, 255]
        """
        pixels = pixels.float()
        if not len(pixels):  # of a last batch that has fewer images than there are processes
            return pixels
        if self.moves:
            whole = pixels.unsqueeze(1)
            matrix = parameters[:, :6].reshape(-1, 2, 3)
            grid = nn.functional.affine_grid(matrix, list(whole.shape), align_corners=False)
            pixels = nn.functional.grid_sample(whole, grid, align_corners=False).squeeze(1)
        if self.contrast:
            mean = pixels.mean((1, 2), keepdim=True)
            pixels = mean + parameters[:, 6, None, None] * (pixels - mean)
        if self.noise:
            pixels = pixels + parameters[:, 7, None, None] * torch.randn_like(pixels)
        if self.contrast or self.noise:
            pixels = pixels.clamp(0, 255)
        if self.erasing:
            pixels = _erased(pixels, parameters[:, 8:])
        return pixels


def _rectangles(drawn: Float64Array, probability: float) -> list[Float64Array]:
    """Top, left, bottom and right (n,) of rectangles in an image of side 1; most may be empty.

    `drawn`, shape (5, n), is uniform in [0, 1).
    """
    chance, area, ratio, down, across = drawn
    area = SMALLEST_ERASED + (LARGEST_ERASED - SMALLEST_ERASED) * area
    area = np.where(chance < probability, area, 0.0)
    ratio = MOST_STRETCHED ** (2 * ratio - 1)
    height, width = np.sqrt(area * ratio), np.sqrt(area / ratio)  # both below 1
    top, left = down * (1 - height), across * (1 - width)
    return [top, left, top + height, left + width]


def _erased(pixels: torch.Tensor, rectangles: torch.Tensor) -> torch.Tensor:
    """Images with what lies within their rectangle, (b, 4), set to their mean."""
    side = pixels.shape[-1]
    centres = (torch.arange(side, device=pixels.device) + 0.5) / side
    top, left, bottom, right = rectangles[:, :, None].unbind(1)
    rows = (centres >= top) & (centres < bottom)
    columns = (centres >= left) & (centres < right)
    inside = rows[:, :, None] & columns[:, None, :]
    return torch.where(inside, pixels.mean((1, 2), keepdim=True), pixels)
