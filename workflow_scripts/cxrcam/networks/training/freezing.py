"""Frozen early layers: a network cut in two, whose front runs once an image instead of each epoch.

With its first layers frozen, what a network computes of an image up to there never changes. Those
features are computed once, kept like pixels (`data.feature_cache`), and training sees them in place
of images: an epoch costs only the layers that learn. Batch normalisation in the front uses the
statistics that came with the weights.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from workflow_scripts.cxrcam.arrays import UInt8Array
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.device_images import Normalisation, Pixels
from workflow_scripts.cxrcam.networks.devices import autocast


class FreezeError(InputError):
    """The network cannot be cut where the configuration says; the message names the places."""


class _Reached(Exception):
    """The layer of the cut has computed its output; nothing behind it is needed."""


def _units(model: nn.Module, until: str) -> list[str]:
    """Layers on the way to `until`: its siblings, and those of each layer that holds it."""
    parts = until.split(".")
    units = []
    for depth in range(len(parts)):
        holder = ".".join(parts[:depth])
        inside = parts[depth]
        children = [name for name, _ in model.get_submodule(holder).named_children()]
        if inside not in children:
            raise KeyError(until)
        # What holds `until` is not a unit itself: its children are.
        last = depth == len(parts) - 1
        units += [f"{holder}.{name}".lstrip(".") for name in children if last or name != inside]
    return units


def _front(model: nn.Module, until: str, side: int) -> list[str]:
    """Names of the layers that run up to and including `until`, found by running the network."""
    ran: list[str] = []
    hooks = [
        model.get_submodule(name).register_forward_hook(
            lambda *_, name=name: ran.append(name)  # type: ignore[misc]
        )
        for name in _units(model, until)
    ]
    parameter = next(model.parameters())
    try:
        with torch.inference_mode():
            model(torch.zeros(2, 3, side, side, device=parameter.device))
    finally:
        for hook in hooks:
            hook.remove()
    return ran[: ran.index(until) + 1]


def _places(model: nn.Module) -> str:
    """Names at which a network might be cut, for a message."""
    names = []
    for name, child in model.named_children():
        inner = [f"{name}.{each}" for each, _ in child.named_children()]
        names += inner if isinstance(child, nn.Sequential) and name == "features" else [name]
    return ", ".join(names[:-1])


def check_cut(model: nn.Module, backbone: Backbone, until: str) -> None:
    """Refuse a cut behind which the network would not compute the same.

    Raises
    ------
    FreezeError
        If the network has no such layer, or is no chain there.
    """
    where = f"train.freeze_until is {until!r}, but {backbone.architecture}"
    advice = f"Choose one of its layers: {_places(model)}."
    training = model.training
    model.eval()
    try:
        side = backbone.known.minimum_size
        image = torch.linspace(-2, 2, 2 * 3 * side**2).reshape(2, 3, side, side)
        with torch.inference_mode():
            expected = model(image)
            features = front_features(model, until, image)
            with front_removed(model, until, side):
                cut = model(features.clone())
    except KeyError as error:
        raise FreezeError(f"{where} has no such layer. {advice}") from error
    except (RuntimeError, TypeError, ValueError) as error:
        raise FreezeError(f"{where} cannot be cut there. {advice}") from error
    finally:
        model.train(training)
    if expected.shape != cut.shape or not torch.allclose(expected, cut, atol=1e-5):
        raise FreezeError(f"{where} cannot be cut there. {advice}")


def front_features(model: nn.Module, until: str, images: torch.Tensor) -> torch.Tensor:
    """Output of the layer `until`; the layers behind it do not run.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode.
    until : str
        Dotted name of a layer; a `KeyError` where the network has no such layer.
    images : float tensor, shape (n, 3, height, width)
        Normalised.
    """
    found: list[torch.Tensor] = []

    def reached(_module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        found.append(output)
        raise _Reached

    try:
        layer = model.get_submodule(until)
    except AttributeError as error:
        raise KeyError(until) from error
    handle = layer.register_forward_hook(reached)
    try:
        model(images)
    except _Reached:
        pass
    finally:
        handle.remove()
    return found[0]


def front_features_of_both_views(
    model: nn.Module,
    until: str,
    pixels: UInt8Array,
    side: int,
    normalisation: Normalisation,
    device: torch.device,
    precision: str,
    batch_size: int = 64,
) -> list[torch.Tensor]:
    """`front_features` of many images and of their mirror images, batch by batch.

    Images are uint8, shape (n, size, size), and become `side` pixels a side; the model is moved to
    `device`. Two tensors of shape (n, ...) and type `precision`, plain and mirrored, on the CPU.
    """
    model.to(device).to(memory_format=torch.channels_last)
    part = Pixels.on(device, pixels, np.zeros(len(pixels), dtype=np.int64))
    kept = torch.bfloat16 if precision == "bfloat16" else torch.float32
    views = []
    with torch.inference_mode(), autocast(device, precision):
        for mirrored in (False, True):
            batches = []
            for start in range(0, len(pixels), batch_size):
                rows = torch.arange(start, min(start + batch_size, len(pixels)))
                flips = torch.full(rows.shape, mirrored)
                images = part.batch(rows, flips, side, normalisation)
                batches.append(front_features(model, until, images))
            views.append(torch.cat(batches).to(kept).cpu())
    return views


@contextmanager
def front_removed(model: nn.Module, until: str, side: int) -> Iterator[nn.Module]:
    """The network without its layers up to and including `until`: it takes their output as input.

    Its other layers are the same objects, so that what is learnt here stays when the front comes
    back at the end. `side` are pixels with which to find out what runs before what.
    """
    training = model.training
    names = _front(model.eval(), until, side)
    model.train(training)
    removed = {name: model.get_submodule(name) for name in names}
    # Inception changes the range of its input by itself, which features have behind them.
    transform = getattr(model, "transform_input", None)
    try:
        for name in removed:
            model.set_submodule(name, nn.Identity())
        if transform is not None:
            model.transform_input = False  # type: ignore[assignment]
        yield model
    finally:
        for name, module in removed.items():
            model.set_submodule(name, module)
        if transform is not None:
            model.transform_input = transform
