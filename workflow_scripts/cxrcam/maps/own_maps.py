"""Maps of a network by its own forward pass."""

import torch
from torch import nn

from workflow_scripts.cxrcam.arrays import Int64Array, UInt8Array
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps
from workflow_scripts.cxrcam.networks.models import ModelCard
from workflow_scripts.cxrcam.networks.prediction import predict_as_trained


def own_maps(
    network: nn.Module,
    card: ModelCard,
    pixels: UInt8Array,
    classes: Int64Array,
    device: torch.device,
    precision: str = "float32",
) -> RawMaps:
    """A network's own maps, evidence for one class an image, values of shape (n, 1, h, w)."""
    evidence = predict_as_trained(network, card, pixels, device, precision).evidence
    backbone, side = card.backbone, card.input_size or card.image_size
    return RawMaps(evidence, side, backbone.stride, backbone.offset).of_class(classes)
