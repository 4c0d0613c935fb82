"""Predictions and class activation maps of many images from one forward pass."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from workflow_scripts.cxrcam.cam import captured_features, class_activation_maps, classifier_head
from workflow_scripts.cxrcam.training import Normalisation


@dataclass(frozen=True)
class Predictions:
    """Outputs for n images and c classes.

    Attributes
    ----------
    logits : float32 array, shape (n, c)
    probabilities : float32 array, shape (n, c)
        Softmax of the logits.
    maps : float32 array, shape (n, c, h, w)
        Raw class activation maps, see `cam.class_activation_maps`.
    """

    logits: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32]
    maps: npt.NDArray[np.float32]


def predict(
    model: nn.Module,
    architecture: str,
    pixels: npt.NDArray[np.uint8],
    normalisation: Normalisation,
    device: torch.device,
    batch_size: int = 64,
) -> Predictions:
    """Run a trained model over images, in float32 whatever it was trained in.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode.
    architecture : str
        Key of `models.ARCHITECTURES`.
    pixels : uint8 array, shape (n, size, size), n ≥ 1
    normalisation : Normalisation
    device : torch.device
    batch_size : int
    """
    model = model.to(device).to(memory_format=torch.channels_last).eval()
    head = classifier_head(model, architecture)
    logits, maps = [], []
    with torch.inference_mode(), captured_features(model, architecture) as features:
        for start in range(0, len(pixels), batch_size):
            batch = torch.from_numpy(pixels[start : start + batch_size]).to(device)
            logits.append(model(normalisation.apply(batch)))
            maps.append(class_activation_maps(features[0], head))
    all_logits = torch.cat(logits).float().cpu()
    return Predictions(
        logits=all_logits.numpy(),
        probabilities=all_logits.softmax(1).numpy(),
        maps=torch.cat(maps).contiguous().cpu().numpy(),
    )
