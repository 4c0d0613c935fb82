"""Networks as files and in memory: built with a last layer of their own, saved, and read again."""

import json
import math
from collections.abc import Mapping
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
from workflow_scripts.cxrcam.networks.device_images import Normalisation
from workflow_scripts.cxrcam.networks.libraries import MissingLibraryError
from workflow_scripts.cxrcam.networks.weights.files import WeightsError
from workflow_scripts.cxrcam.networks.weights.foreign_checkpoints import fitted_tensors

METADATA_KEY = "cxrcam"  # one key: safetensors keeps several in no fixed order
# What reading a damaged file raises.
UNREADABLE = (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError)


def build_classifier(backbone: Backbone, n_classes: int, seed: int) -> nn.Module:
    """Network with a last layer for `n_classes`, initialised from `seed`; see `Backbone.build`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return backbone.build(n_classes)


def load_pretrained(
    model: nn.Module, backbone: Backbone, state: Mapping[str, torch.Tensor]
) -> list[str]:
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
    list of str
        What was renamed, changed and left out, as from `fitted_tensors`.

    Raises
    ------
    WeightsError
        If the weights do not fit the network.
    """
    body, notes = fitted_tensors(state, model.state_dict(), backbone)
    model.load_state_dict(body, strict=False)
    return notes


@dataclass(frozen=True)
class ModelCard:
    """What a saved model says of itself.

    Raises
    ------
    ValueError
        A value that no training writes: read back, it would lead to other predictions.
    """

    classes: list[str]  # in the order of the outputs
    architecture: str
    image_size: int  # pixels a side in the cache
    mean: list[float]  # of the three input channels, for pixels in [0, 1]
    std: list[float]
    weights_origin: str  # random, or the file's name and checksum
    configuration_hash: str
    data_fingerprint: str
    training: dict[str, Any]  # settings, precision and device
    # Pixels a side at the network's input; None, as in older models, becomes `image_size`.
    input_size: int | None = None
    input_part: str = "whole"  # what it sees of each image, see `covering.covered_pixels`
    last_stage: int | None = None  # this and the next two as in `architectures.Backbone`
    map_stride: int | None = None
    sub_classes: int = 1
    findings: bool = False  # whether `classes` are findings: a sigmoid each, not one softmax

    def __post_init__(self) -> None:
        texts = (self.architecture, self.weights_origin, self.input_part)
        sizes = [self.image_size, *([] if self.input_size is None else [self.input_size])]
        if not (
            isinstance(self.classes, list)
            and all(isinstance(name, str) for name in (*self.classes, *texts))
            and len(set(self.classes)) == len(self.classes)
            and all(type(size) is int and size > 0 for size in (*sizes, self.sub_classes))
            and len(self.mean) == len(self.std) == 3
            and all(math.isfinite(value) for value in (*self.mean, *self.std))
            and min(self.std) > 0
            and isinstance(self.training, dict)
            and isinstance(self.findings, bool)
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
        return Backbone(self.architecture, self.last_stage, self.map_stride, self.sub_classes)


def save_model(path: Path, model: nn.Module, card: ModelCard) -> None:
    """Write weights and card as safetensors, whole or not at all."""
    state = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    # Said only where there are any: models without sub-classes or findings keep their bytes.
    usual = {"sub_classes": 1, "findings": False}
    told = {k: v for k, v in vars(card).items() if k not in usual or v != usual[k]}
    text = json.dumps(told, sort_keys=True, ensure_ascii=False)
    with atomic_path(path) as temporary:
        save_file(state, temporary, metadata={METADATA_KEY: text})


def load_model(path: Path) -> tuple[nn.Module, ModelCard]:
    """Read a model saved by `save_model`; in evaluation mode, on the CPU.

    Raises
    ------
    WeightsError
        If the file is damaged or was not written by this workflow.
    MissingLibraryError
        The library that has the network is not installed.
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
    except MissingLibraryError:
        raise
    except (InputError, *UNREADABLE) as error:
        raise WeightsError(
            f"The model {str(path)!r} is damaged or was not written by this workflow: delete it, "
            "and the next run trains it anew."
        ) from error
    return model.eval(), card
