"""Networks as files and in memory: built with a last layer of their own, saved, and read again."""

import hashlib
import json
import math
import re
import tempfile
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
from workflow_scripts.cxrcam.networks.architectures import ARCHITECTURES, Architecture


class WeightsError(InputError):
    """A file of weights cannot be used; the message names it and says why."""


METADATA_KEY = "cxrcam"  # one key: safetensors keeps several in no fixed order


def body_tensors(
    architecture: Architecture, state: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Tensors of a published state dict that the network takes over, under their names in it."""
    left_out = tuple(p for p in (architecture.head + ".", architecture.auxiliary) if p)
    return {
        architecture.modern_name(name): tensor
        for name, tensor in state.items()
        if not name.startswith(left_out)
    }


def build_classifier(
    architecture: str,
    n_classes: int,
    seed: int,
    pretrained: Mapping[str, torch.Tensor] | None = None,
) -> nn.Module:
    """Network with a new last layer for `n_classes`, reproducibly initialised.

    Parameters
    ----------
    architecture : str
        Key of `ARCHITECTURES`.
    n_classes : int
        Outputs of the new last layer.
    seed : int
        Of the random initialisation (all layers, or the last one when `pretrained` is given).
    pretrained : mapping of str to tensor, optional
        torchvision's state dict of this network; its own last layer, if any, is left out.

    Returns
    -------
    nn.Module
        In training mode, on the CPU, float32.

    Raises
    ------
    WeightsError
        If `pretrained` does not fit the architecture.
    """
    known = ARCHITECTURES[architecture]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = known.build(weights=None, num_classes=n_classes)
    if pretrained is not None:
        body = body_tensors(known, pretrained)
        own = {k: v for k, v in model.state_dict().items() if not k.startswith(known.head + ".")}
        missing = sorted(own.keys() - body.keys())
        # Files older than BatchNorm's step counter lack it; it plays no part in the result.
        missing = [name for name in missing if not name.endswith("num_batches_tracked")]
        unknown = sorted(body.keys() - own.keys())
        both = sorted(own.keys() & body.keys())
        misshapen = [k for k in both if own[k].shape != body[k].shape]
        # Quantised weights, for example: copied into the network they would be other numbers.
        other_type = [k for k in both if own[k].is_floating_point() != body[k].is_floating_point()]
        if missing or unknown or misshapen or other_type:
            problems = [
                f"{len(names)} {what} (for example {names[0]})"
                for names, what in (
                    (missing, "tensors missing"),
                    (unknown, "unknown tensors"),
                    (misshapen, "tensors of another shape"),
                    (other_type, "tensors of another type of number"),
                )
                if names
            ]
            raise WeightsError(
                f"The weights (model.weights) are not those of {architecture}: "
                f"{', '.join(problems)}. Name a state dict of torchvision's {architecture}."
            )
        bad = [k for k, v in body.items() if v.is_floating_point() and not v.isfinite().all()]
        if bad:
            raise WeightsError(
                f"The weights (model.weights) hold NaN or infinite values, for example in "
                f"{bad[0]}: take a file from before the training diverged."
            )
        model.load_state_dict(body, strict=False)
    return model


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict from .safetensors, or from .pth without running code that it may hold.

    Raises
    ------
    WeightsError
        If the file is missing, damaged, holds anything but tensors, or has another suffix.
    """
    if not path.is_file():
        raise WeightsError(f"The weights file {str(path)!r} does not exist (model.weights).")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if path.suffix in {".pth", ".pt"}:
            state = torch.load(path, map_location="cpu", weights_only=True)
        else:
            raise WeightsError(
                f"The weights file {str(path)!r} is neither .safetensors nor .pth (model.weights)."
            )
    except WeightsError:
        raise
    except Exception as error:  # torch and safetensors raise a dozen kinds for a bad file
        raise WeightsError(
            f"The weights file {str(path)!r} cannot be read as a state dict of tensors: it is "
            f"damaged, or holds Python objects, which are refused ({type(error).__name__})."
        ) from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(
        isinstance(k, str) and torch.is_tensor(v) for k, v in state.items()
    ):
        raise WeightsError(
            f"The weights file {str(path)!r} (model.weights) holds something else than named "
            "tensors: save the network's state_dict()."
        )
    return state


def download_imagenet(architecture: str, target: Path, url: str | None = None) -> None:
    """Fetch published ImageNet weights once, verify their checksum, keep them as safetensors.

    Parameters
    ----------
    architecture : str
        Key of `ARCHITECTURES`.
    target : Path
        File to write.
    url : str, optional
        Other place of the same file; its name must end in ``-<first digits of the SHA-256>.pth``.

    Raises
    ------
    WeightsError
        If it cannot be fetched or its checksum is wrong.
    """
    address = url or ARCHITECTURES[architecture].imagenet.url
    if not re.search(r"-[0-9a-f]{8,64}\.pth$", address):
        # torch.hub would then check nothing, and say nothing.
        raise WeightsError(f"The name of {address} holds no checksum to verify it by.")
    try:
        # A folder of its own, gone afterwards: what is kept is the safetensors file.
        with tempfile.TemporaryDirectory(prefix="cxrcam-weights-") as folder:
            state = torch.hub.load_state_dict_from_url(
                address,
                model_dir=folder,
                map_location="cpu",
                progress=False,
                check_hash=True,
                weights_only=True,
            )
    except Exception as error:  # URLError, HTTPError, RuntimeError (checksum), OSError
        raise WeightsError(
            f"The ImageNet weights of {architecture} could not be fetched from {address}: {error}. "
            "On a machine without a network set model.weights to a local file, or to random."
        ) from error
    with atomic_path(target) as temporary:
        save_file({k: v.contiguous() for k, v in state.items()}, temporary)


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
            model = ARCHITECTURES[card.architecture].build(
                weights=None, num_classes=len(card.classes)
            )
        state = load_file(path)
        for name, own in model.state_dict().items():
            if state[name].dtype != own.dtype or not state[name].isfinite().all():
                raise ValueError(f"{name} is of another type, or not finite")
        model.load_state_dict(state, assign=True)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
        raise WeightsError(
            f"The model {str(path)!r} is damaged or was not written by this workflow: delete it, "
            "and the next run trains it anew."
        ) from error
    return model.eval(), card


def file_origin(path: Path) -> str:
    """Name and checksum of a weights file, for the model's card."""
    return f"{path.name} sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
