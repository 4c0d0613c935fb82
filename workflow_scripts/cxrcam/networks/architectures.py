"""The networks that the workflow knows: torchvision's, and where their maps come from.

One entry of `ARCHITECTURES` is all that a network needs. Where the cells of its last feature map
look is receptive field arithmetic: with j the input pixels between neighbouring cells before a
layer of kernel k, stride s and padding p, the layer multiplies j by s and moves the centre of its
first cell by j · ((k - 1) / 2 - p) pixels (Araujo et al., "Computing Receptive Fields of
Convolutional Neural Networks", Distill 2019). A layer padded by half its kernel moves nothing.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import nn

from workflow_scripts.cxrcam.networks.torchvision_models import torchvision

# Before module names might hold no dots, DenseNet's layers were called norm.1; the published files
# still say so, and torchvision renames them just like this when it loads them itself.
OLD_DENSENET_NAME = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)")


def modern_densenet_name(name: str) -> str:
    """Name of a DenseNet tensor today: ``denselayer1.norm.1.weight`` is ``denselayer1.norm1.…``."""
    return OLD_DENSENET_NAME.sub(r"\1\2", name)


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


def _vgg19(**settings: Any) -> nn.Module:  # noqa: ANN401 (torchvision's own keywords)
    """VGG19 whose pooling has a deterministic gradient; the same tensors, the same outputs."""
    model: nn.Module = torchvision.models.vgg19(**settings)
    model.avgpool = GridAveragePool(7)
    return model


# The auxiliary classifier of Inception only serves training from random weights, with a loss of
# its own; without it the network returns logits like all others. `transform_input` stays on, for
# random weights too: it turns the ImageNet normalisation that all networks here get (image.mean,
# image.std) into the range -1 to 1 that the published weights, which come from TensorFlow, expect.
# Tied to `weights`, as in torchvision, it would be lost where a saved model is built again.
_inception_v3 = partial(
    torchvision.models.inception_v3, aux_logits=False, transform_input=True, init_weights=True
)


@dataclass(frozen=True)
class Architecture:
    """One network that the workflow knows.

    Attributes
    ----------
    build : callable
        torchvision's constructor.
    imagenet : torchvision.models.WeightsEnum
        Published ImageNet weights.
    head : str
        Dotted name of the last layer with weights: an `nn.Linear`, or an `nn.Conv2d` of 1 x 1 whose
        output is pooled to the logits.
    feature_layer : str
        Dotted name of the layer whose output the maps are made of: the last feature map or, where
        the head is a convolution, what is pooled to the logits.
    feature_stride : int
        Input pixels between the receptive field centres of neighbouring cells of that output.
    feature_offset : float
        Input pixels from the centre of the first pixel to the receptive field centre of the first
        cell.
    minimum_size : int
        Fewest pixels a side that the network takes; 32 is also the least that `image.size` allows.
    native_size : int
        Pixels a side that the published weights were trained with.
    map_kind : {"exact", "grad_cam"}
        Whether maps decompose the logit exactly, or weigh the features by gradients because several
        layers lie between them and the logit.
    rectified_later : bool
        The network rectifies the output of `feature_layer` by a function, not by a layer.
    auxiliary : str or None
        Prefix of tensors that published files hold and this network has no use for.
    modern_name : callable
        Name of a tensor in the network, from that in a published file.
    """

    build: Callable[..., nn.Module]
    imagenet: Any
    head: str
    feature_layer: str
    feature_stride: int
    feature_offset: float
    minimum_size: int = 32
    native_size: int = 224
    map_kind: Literal["exact", "grad_cam"] = "exact"
    rectified_later: bool = False
    auxiliary: str | None = None
    modern_name: Callable[[str], str] = str


# From the fewest to the most multiplications at the native size, the order of cost that counts.
ARCHITECTURES: dict[str, Architecture] = {
    "mobilenet_v2": Architecture(
        build=torchvision.models.mobilenet_v2,
        imagenet=torchvision.models.MobileNet_V2_Weights.IMAGENET1K_V1,
        head="classifier.1",
        feature_layer="features",
        feature_stride=32,
        feature_offset=0.0,
    ),
    "squeezenet1_1": Architecture(
        build=torchvision.models.squeezenet1_1,
        imagenet=torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1,
        head="classifier.1",
        feature_layer="classifier.2",  # the ReLU after the head: its output is pooled, the map
        feature_stride=16,
        feature_offset=15.0,  # no padding: 1 + 2 + 4 + 8, convolution and three pools of 3
    ),
    "resnet18": Architecture(
        build=torchvision.models.resnet18,
        imagenet=torchvision.models.ResNet18_Weights.IMAGENET1K_V1,
        head="fc",
        feature_layer="layer4",
        feature_stride=32,
        feature_offset=0.0,
    ),
    "densenet121": Architecture(
        build=torchvision.models.densenet121,
        imagenet=torchvision.models.DenseNet121_Weights.IMAGENET1K_V1,
        head="classifier",
        feature_layer="features.norm5",
        feature_stride=32,
        feature_offset=14.0,  # 2 + 4 + 8, three pools of 2 without padding
        rectified_later=True,
        modern_name=modern_densenet_name,
    ),
    "densenet201": Architecture(
        build=torchvision.models.densenet201,
        imagenet=torchvision.models.DenseNet201_Weights.IMAGENET1K_V1,
        head="classifier",
        feature_layer="features.norm5",
        feature_stride=32,
        feature_offset=14.0,  # as densenet121
        rectified_later=True,
        modern_name=modern_densenet_name,
    ),
    "inception_v3": Architecture(
        build=_inception_v3,
        imagenet=torchvision.models.Inception_V3_Weights.IMAGENET1K_V1,
        head="fc",
        feature_layer="Mixed_7c",
        feature_stride=32,
        # Seven layers of 3 without padding: 1 + 2 (convolutions) + 2 (pool) + 4 (convolution)
        # + 4 (pool) + 8 + 16 (strided blocks).
        feature_offset=37.0,
        minimum_size=75,
        native_size=299,
        auxiliary="AuxLogits.",
    ),
    "resnet101": Architecture(
        build=torchvision.models.resnet101,
        imagenet=torchvision.models.ResNet101_Weights.IMAGENET1K_V1,
        head="fc",
        feature_layer="layer4",
        feature_stride=32,
        feature_offset=0.0,
    ),
    "vgg19": Architecture(
        build=_vgg19,
        imagenet=torchvision.models.VGG19_Weights.IMAGENET1K_V1,
        head="classifier.6",
        feature_layer="features.36",  # the last pool; three fully connected layers follow
        feature_stride=32,
        feature_offset=15.5,  # 0.5 + 1 + 2 + 4 + 8, five pools of 2 without padding
        map_kind="grad_cam",
    ),
}
