"""Networks as files and in memory: built with a last layer of their own, saved, and read again."""

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.foreign_checkpoints import Adaptation, fitted_tensors
from workflow_scripts.cxrcam.networks.parts import Normalisation
from workflow_scripts.cxrcam.networks.weights_files import WeightsError

METADATA_KEY = "cxrcam"  # one key: safetensors keeps several in no fixed order


def build_classifier(backbone: Backbone, n_classes: int, seed: int) -> nn.Module:
    """Network with a last layer for `n_classes`, reproducibly initialised.

    Parameters
    ----------
    backbone : Backbone
        The network, and where it ends.
    n_classes : int
    seed : int
        Of the random initialisation.

    Returns
    -------
    nn.Module
        In training mode, on the CPU, float32.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return backbone.build(n_classes)


def load_pretrained(
    model: nn.Module, backbone: Backbone, state: Mapping[str, torch.Tensor]
) -> Adaptation:
    """Give a network the weights of a checkpoint, except for its last layer.

    Parameters
    ----------
    model : nn.Module
        From `build_classifier`.
    backbone : Backbone
        That of the model.
    state : mapping of str to tensor
        A state dict of this network, whole or not, with any last layer.

    Returns
    -------
    Adaptation
        What was renamed, adapted and left out.

    Raises
    ------
    WeightsError
        If the weights do not fit the network.
    """
    known = backbone.known
    full_names: Collection[str] = ()
    if not backbone.is_whole:
        with torch.random.fork_rng(devices=[]):
            full_names = known.build(weights=None, num_classes=1).state_dict().keys()
    body, adaptation = fitted_tensors(
        state,
        model.state_dict(),
        backbone.head,
        architecture=backbone.architecture,
        auxiliary=known.auxiliary,
        modern_name=known.modern_name,
        full_names=full_names,
    )
    model.load_state_dict(body, strict=False)
    return adaptation


@dataclass(frozen=True)
class ModelCard:
    """What a saved model says of itself.

    Attributes
    ----------
    classes : list of str
        In the order of the outputs.
    architecture : str
    image_size : int
        Pixels a side in the cache.
    mean, std : list of float
        Of the three input channels, for pixels in [0, 1].
    weights_origin : str
        ``random``, ``imagenet`` or the file's name and checksum.
    configuration_hash, data_fingerprint : str
        What it was trained with and on.
    training : dict
        Settings, precision and device of the training.
    input_size : int
        Pixels a side at the network's input; None, also in models written before it was kept,
        becomes `image_size`.
    input_part : str
        What it sees of each image, see `input_parts.covered_pixels`.
    last_stage, map_stride : int or None
        Where the network ends, and how fine its maps are, see `architectures.Backbone`.

    Raises
    ------
    ValueError
        A value that no training writes: read back, it would lead to other predictions.
    """

    classes: list[str]
    architecture: str
    image_size: int
    mean: list[float]
    std: list[float]
    weights_origin: str
    configuration_hash: str
    data_fingerprint: str
    training: dict[str, Any]
    input_size: int | None = None
    input_part: str = "whole"
    last_stage: int | None = None
    map_stride: int | None = None

    def __post_init__(self) -> None:
        texts = (self.architecture, self.weights_origin, self.input_part)
        sizes = [self.image_size, *([] if self.input_size is None else [self.input_size])]
        if not (
            isinstance(self.classes, list)
            and all(isinstance(name, str) for name in (*self.classes, *texts))
            and len(set(self.classes)) == len(self.classes)
            and all(type(size) is int and size > 0 for size in sizes)
            and len(self.mean) == len(self.std) == 3
            and all(math.isfinite(value) for value in (*self.mean, *self.std))
            and min(self.std) > 0
            and isinstance(self.training, dict)
        ):
            raise ValueError("the card of the model holds a value that no training writes")
        if self.input_size is None:
            object.__setattr__(self, "input_size", self.image_size)  # the way of a frozen class

    @property
    def normalisation(self) -> Normalisation:
        """Of what the network sees."""
        (red, green, blue), (red_std, green_std, blue_std) = self.mean, self.std
        return Normalisation((red, green, blue), (red_std, green_std, blue_std))

    @property
    def backbone(self) -> Backbone:
        """The network without its last layer."""
        return Backbone(self.architecture, self.last_stage, self.map_stride)


def save_model(path: Path, model: nn.Module, card: ModelCard) -> None:
    """Write weights and card as safetensors, whole or not at all."""
    state = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    text = json.dumps(vars(card), sort_keys=True, ensure_ascii=False)
    with atomic_path(path) as temporary:
        save_file(state, temporary, metadata={METADATA_KEY: text})


def load_model(path: Path) -> tuple[nn.Module, ModelCard]:
    """Read a model saved by `save_model`; in evaluation mode, on the CPU.

    Raises
    ------
    WeightsError
        If the file is damaged or was not written by this workflow.
    """
    try:
        with safe_open(path, framework="pt") as handle:
            metadata = handle.metadata() or {}
        card = ModelCard(**json.loads(metadata[METADATA_KEY]))
        # Random weights are drawn for nothing, in 0.1 s; on the device "meta" nothing would be, but
        # that needs PyTorch's compiler, whose import takes 2 s.
        with torch.random.fork_rng(devices=[]):
            model = card.backbone.build(len(card.classes))
        state = load_file(path)
        for name, own in model.state_dict().items():
            if state[name].dtype != own.dtype or not state[name].isfinite().all():
                raise ValueError(f"{name} is of another type, or not finite")
        model.load_state_dict(state, assign=True)
    except (
        *(SafetensorError, InputError),
        *(KeyError, TypeError, ValueError, RuntimeError, OSError),
    ) as error:
        raise WeightsError(
            f"The model {str(path)!r} is damaged or was not written by this workflow: delete it, "
            "and the next run trains it anew."
        ) from error
    return model.eval(), card
