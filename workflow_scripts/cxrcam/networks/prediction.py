"""Predictions and class activation maps of many images, batch by batch."""

from dataclasses import dataclass

import torch
from torch import nn

from workflow_scripts.cxrcam.arrays import Float32Array, UInt8Array
from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.cam import (
    captured_features,
    logits_and_class_maps,
)
from workflow_scripts.cxrcam.networks.device_images import Normalisation
from workflow_scripts.cxrcam.networks.devices import autocast
from workflow_scripts.cxrcam.networks.evidence import evidence_maps
from workflow_scripts.cxrcam.networks.head_inputs import pooled_inputs
from workflow_scripts.cxrcam.networks.input_size import resize_pixels
from workflow_scripts.cxrcam.networks.models import ModelCard


@dataclass(frozen=True)
class Predictions:
    """Outputs for n images and c classes; k numbers an image decide them."""

    logits: Float32Array  # (n, c)
    probabilities: Float32Array  # (n, c), softmax of the logits; of findings, their sigmoid
    class_maps: Float32Array  # (n, c, h, w), see `cam.logits_and_class_maps`
    features: Float32Array  # (n, k), what the last layer gets, see `head_inputs.pooled_inputs`

    @property
    def evidence(self) -> Float32Array:
        """Class activation maps centred over the classes, shape (n, c, h, w)."""
        return evidence_maps(self.class_maps)


def predict(
    model: nn.Module,
    backbone: Backbone,
    pixels: UInt8Array,
    normalisation: Normalisation,
    device: torch.device,
    batch_size: int = 64,
    input_size: int | None = None,
    precision: str = "float32",
    findings: bool = False,
) -> Predictions:
    """Run a trained model over images; it is left in evaluation mode.

    Parameters
    ----------
    pixels : uint8 array, shape (n, size, size), n ≥ 1
    input_size : int, optional
        Pixels a side that the network was trained with, where that is not `size`.
    precision : {"float32", "bfloat16"}
        Of convolutions. Results that are kept are computed in float32, whatever the model was
        trained in; comparisons over many changed images can do with less.
    findings : bool
        Whether each output stands for itself, so that its probability is its sigmoid.
    """
    model = model.to(device).to(memory_format=torch.channels_last).eval()
    logits, maps = [], []
    with pooled_inputs(model, backbone.head) as features:
        for start in range(0, len(pixels), batch_size):
            batch = torch.from_numpy(pixels[start : start + batch_size]).to(device)
            images = normalisation.apply(resize_pixels(batch, input_size))
            with autocast(device, precision):
                of_batch = logits_and_class_maps(model, backbone, images)
            logits.append(of_batch[0])
            maps.append(of_batch[1].float())
    all_logits = torch.cat(logits).float().cpu()
    return Predictions(
        logits=all_logits.numpy(),
        probabilities=(all_logits.sigmoid() if findings else all_logits.softmax(1)).numpy(),
        class_maps=torch.cat(maps).contiguous().cpu().numpy(),
        features=torch.cat(features).numpy(),
    )


def predict_as_trained(
    model: nn.Module,
    card: ModelCard,
    pixels: UInt8Array,
    device: torch.device,
    precision: str = "float32",
) -> Predictions:
    """`predict` in the size and normalisation that a card tells, of any model of its form."""
    return predict(
        *(model, card.backbone, pixels, card.normalisation, device),
        input_size=card.input_size,
        precision=precision,
        findings=card.findings,
    )


def last_features(
    model: nn.Module, card: ModelCard, pixels: UInt8Array, device: torch.device
) -> torch.Tensor:
    """Last feature maps of n images, as they are pooled: float32 (n, k, h, w), on the CPU."""
    model = model.to(device).to(memory_format=torch.channels_last).eval()
    found = []
    with torch.inference_mode(), captured_features(model, card.backbone) as newest:
        for start in range(0, len(pixels), 64):
            batch = torch.from_numpy(pixels[start : start + 64]).to(device)
            model(card.normalisation.apply(resize_pixels(batch, card.input_size)))
            found.append(newest[0].float().cpu())
    return torch.cat(found)
