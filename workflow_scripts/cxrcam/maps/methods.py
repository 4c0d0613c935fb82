"""Other ways to make a map, by the library pytorch-grad-cam, to be tested beside our own.

All of them weigh the channels of the same layer as our map, so that their cells lie in the same
places. As everywhere here they are raw: what the library computes before it cuts off negative
values and rescales each map by its own extremes.

Importing this module imports OpenCV: do so only where other methods are asked for.
"""

import io
from collections.abc import Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pytorch_grad_cam  # type: ignore[import-untyped]
import torch
from pytorch_grad_cam.utils.model_targets import (  # type: ignore[import-untyped]
    ClassifierOutputTarget,
)
from torch import nn

from workflow_scripts.cxrcam.arrays import Float32Array, Int64Array, UInt8Array
from workflow_scripts.cxrcam.configuration import map_methods
from workflow_scripts.cxrcam.maps.own_maps import own_maps
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps
from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.device_images import Normalisation
from workflow_scripts.cxrcam.networks.grad_cam import watched
from workflow_scripts.cxrcam.networks.input_parts import read_network_input
from workflow_scripts.cxrcam.networks.input_size import resize_pixels
from workflow_scripts.cxrcam.networks.models import ModelCard
from workflow_scripts.cxrcam.networks.questions import load_question

METHODS: Final[dict[str, Any]] = {
    name: getattr(pytorch_grad_cam, method.class_name)
    for name, method in map_methods.METHODS.items()
}
"""Classes of the library by their names in ``audit.map_methods``."""

# Masked copies that Score-CAM sends through the network at once; changes no result.
_SCORE_BATCH: Final = 64


def method_maps(
    method: str,
    model: nn.Module,
    backbone: Backbone,
    pixels: UInt8Array,
    classes: Int64Array,
    normalisation: Normalisation,
    device: torch.device,
    input_size: int,
    batch_size: int = 16,
) -> RawMaps:
    """Raw maps of one class an image, in float32, of images at the size that the network takes.

    Parameters
    ----------
    method : str
        Key of `METHODS`.
    model : nn.Module
        Moved to `device`, set to evaluation mode, and left so.
    backbone : Backbone
        That of the model; names the layer, and where its cells look.
    pixels : uint8 array, shape (n, size, size), n ≥ 1
    classes : int array, shape (n,)
        Class that is explained, for each image. Eigen-CAM knows no class: its map is the same for
        all of them, and its sign is arbitrary.
    normalisation : Normalisation
    device : torch.device
    input_size : int
        Pixels a side that the network was trained with.
    batch_size : int
        Changes no result.

    Returns
    -------
    RawMaps
        Values of shape (n, 1, h, w). Their unit depends on the method: values of two methods
        cannot be compared.
    """
    model = model.to(device).to(memory_format=torch.channels_last).eval()
    # Score-CAM multiplies each image by each channel: one image at a time, to bound the memory.
    step = 1 if method == "score_cam" else batch_size
    values = []
    for start in range(0, len(pixels), step):
        batch = torch.from_numpy(pixels[start : start + step]).to(device)
        images = normalisation.apply(resize_pixels(batch, input_size))
        values.append(
            _maps_of_batch(method, model, backbone, images, classes[start : start + step])
        )
    return RawMaps(np.concatenate(values)[:, None], input_size, backbone.stride, backbone.offset)


def maps_by(
    method: str,
    network: nn.Module,
    card: ModelCard,
    pixels: UInt8Array,
    classes: Int64Array,
    device: torch.device,
) -> RawMaps:
    """Raw maps by any method, the network's own kind of map included; else as `method_maps`."""
    if method == card.backbone.map_kind:
        return own_maps(network, card, pixels, classes, device)
    return _maps_as_trained(method, network, card, pixels, classes, device)


def maps_of_predicted(
    method: str,
    model_file: str,
    finding: str | None,
    shards: Sequence[Path],
    masks: str,
    images: pd.DataFrame,
) -> RawMaps:
    """Raw maps by the library of the ``predicted`` classes of some images, made on the CPU.

    Files of the network, the cache and the masks; `finding` is the one that is asked for, of a
    network with several. The result is as that of `method_maps`.
    """
    network, card = load_question(Path(model_file), finding)
    pixels = read_network_input(
        shards, images["image_id"].tolist(), card.image_size, card.input_part, masks
    )
    classes = images["predicted"].map(card.classes.index).to_numpy(dtype=np.int64)
    return _maps_as_trained(method, network, card, pixels, classes, torch.device("cpu"))


def _maps_as_trained(
    method: str,
    network: nn.Module,
    card: ModelCard,
    pixels: UInt8Array,
    classes: Int64Array,
    device: torch.device,
) -> RawMaps:
    """`method_maps` with what the card of the network tells."""
    return method_maps(
        *(method, network, card.backbone, pixels, classes),
        *(card.normalisation, device, card.input_size or card.image_size),
    )


def _maps_of_batch(
    method: str,
    model: nn.Module,
    backbone: Backbone,
    images: torch.Tensor,
    classes: Int64Array,
) -> Float32Array:
    """Raw maps, shape (n, h, w), of normalised images, shape (n, 3, height, width)."""
    targets = [ClassifierOutputTarget(int(k)) for k in classes]
    layer, rectified_later = backbone.feature_layer, backbone.known.rectified_later
    with watched(METHODS[method], model, layer, rectified_later) as library:
        seen = library.activations_and_grads
        with torch.set_grad_enabled(library.uses_gradients):
            logits = seen(images)
        gradients = None
        if library.uses_gradients:
            # Images do not mix: each gets the gradient of its own logit.
            sum(target(row) for target, row in zip(targets, logits, strict=True)).backward()
            gradients = seen.gradients[0].numpy()
        activations = seen.activations[0].numpy()
        # Before the library's own passes of masked images: its hooks would keep all their features.
        seen.release()
        library.batch_size = _SCORE_BATCH
        with redirect_stderr(io.StringIO()):  # Score-CAM draws a progress bar for each image
            maps = library.get_cam_image(images, None, targets, activations, gradients, False)
    return np.asarray(maps, dtype=np.float32)
