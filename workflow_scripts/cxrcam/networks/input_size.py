"""Pixels at a network's input, where they are more or fewer than those in the cache."""

import torch
from torch import nn

from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.networks.architectures import Backbone


def network_input_size(architecture: str, image_size: int, input_size: int | None) -> int:
    """Pixels a side at a network's input.

    `image_size` are those in the cache; `input_size` is ``model.input_size``, where None means
    `image_size`, raised to what the network needs at least. Less is an `InputError`.
    """
    minimum = Backbone(architecture).known.minimum_size
    if input_size is None:
        return max(image_size, minimum)
    if input_size < minimum:
        raise InputError(
            f"model.input_size is {input_size}, but {architecture} needs at least {minimum} pixels "
            f"a side: set it to {minimum} or more, or to null."
        )
    return input_size


def resize_pixels(pixels: torch.Tensor, size: int | None) -> torch.Tensor:
    """Resize grey images, uint8 (n, height, width), on their device, bilinearly without aliasing.

    Returns
    -------
    uint8 or float32 tensor, shape (n, size, size)
        In [0, 255]: `pixels` itself where nothing has to change (also if `size` is None), else
        float32, not rounded.
    """
    if size is None or tuple(pixels.shape[-2:]) == (size, size):
        return pixels
    return nn.functional.interpolate(
        pixels.unsqueeze(1).float(), (size, size), mode="bilinear", antialias=True
    ).squeeze(1)
