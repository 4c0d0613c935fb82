"""Networks that nobody described: what is to be known of them is found by looking at them.

A network has exact maps (`cam`) where its logits are the last linear layer applied to the mean of
a feature map. That is not read from its code but tried: for each layer that gives a feature map,
the last layer is applied to the mean of what it gives, for images of noise of two sizes. Where the
result is the network's logits both times, that layer's output is what maps are made of. Where no
layer's is (a normalisation behind the mean, as in ConvNeXt; two linear layers, as in MobileNetV3),
maps are those of Grad-CAM at the last feature map.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from workflow_scripts.cxrcam.configuration.stages import Stage
from workflow_scripts.cxrcam.networks.geometry import cells_of
from workflow_scripts.cxrcam.networks.libraries import (
    NetworkError,
    Normalisation,
    build_network,
    normalisation_in_timm,
    published_weights,
)

SIZES: Final = (224, 160)  # pixels a side of the images of noise
SMALLEST: Final = 32  # the least that `image.size` allows
N_CLASSES: Final = 3  # and as many images
TOLERANCE: Final = 1e-3  # of the largest logit; a mean and another pooling differ by far more


@dataclass(frozen=True)
class Found:
    """What was found of a network."""

    head: str  # dotted name of the last layer with weights
    stage: Stage  # where its maps are read
    exact: bool  # whether maps decompose the logit
    rectified_later: bool  # it rectifies that feature map by a function, not by a layer
    minimum_size: int  # fewest pixels a side that it takes
    published: Any  # ImageNet weights, as from `published_weights`
    normalisation: Normalisation | None  # that these need, if it is known
    notes: tuple[str, ...]  # what a person should know of its maps, in sentences


class _Ran(NamedTuple):
    """A layer that ran."""

    name: str
    module: nn.Module
    takes_vectors: bool  # one vector an image: no places, no sequence
    shape: tuple[int, ...]  # of its output; () where that is no tensor
    means: tuple[torch.Tensor, ...]  # over places, of its output and of what is above 0 of it

    @property
    def is_map(self) -> bool:
        """Whether its output is a feature map, shape (n, k, side, side)."""
        return len(self.shape) == 4 and self.shape[2] == self.shape[3] > 1


class _Seen(NamedTuple):
    """A forward pass: its layers in the order in which they were done, and its logits."""

    ran: list[_Ran]
    logits: torch.Tensor


@lru_cache(maxsize=32)
def look(name: str) -> Found:
    """Look at a network of `libraries`.

    Raises
    ------
    NetworkError
        No library has it, it cannot be built, or there is no feature map to make maps of.
    """
    with _on_its_own():
        model = _built(name)
        large, small = (_seen(name, model, side) for side in SIZES)
        head = _head(name, large)
        layer, rectified_later, exact = _map_layer(name, head, large, small)
        stage, notes = _stage(name, model, layer, large, small)
        if isinstance(head.module, nn.Conv2d):  # the map is its output, the features its input
            stage = replace(stage, channels=head.module.in_channels)
        if not exact:
            notes = (_why_not_exact(name, layer, large), *notes)
        return Found(
            *(head.name, stage, exact, rectified_later, _minimum_size(model)),
            *(published_weights(name, model), normalisation_in_timm(name, model), notes),
        )


def refuse_unusable(names: Iterable[str]) -> None:
    """Look at networks before any job runs; `NetworkError` where one cannot be used."""
    for name in names:
        look(name)


@contextmanager
def _on_its_own() -> Iterator[None]:
    """Wherever it is looked from: no draw from its generator, its device, its precision."""
    off = torch.autocast("cpu", enabled=False)
    with torch.random.fork_rng(devices=[]), torch.device("cpu"), off, torch.no_grad():
        torch.manual_seed(0)
        yield


def _built(name: str) -> nn.Module:
    """The network in evaluation mode."""
    try:
        return build_network(name, num_classes=N_CLASSES).eval()
    except NetworkError:
        raise
    except Exception as error:  # of the code of other people
        raise NetworkError(
            f"The network {name} cannot be built for {N_CLASSES} classes ({error}): choose another "
            "as model.architecture."
        ) from error


def _noise(side: int) -> torch.Tensor:
    """Images of noise, normalised."""
    return torch.randn(N_CLASSES, 3, side, side)


def _seen(name: str, model: nn.Module, side: int) -> _Seen:
    """Run images of `side` pixels through a network and note what its layers give."""
    ran: list[_Ran] = []

    def note(layer: str, module: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        given = inputs[0] if inputs else None
        sides = given.shape[1:] if isinstance(given, torch.Tensor) else ()
        vector = len(sides) > 0 and math.prod(sides) == max(sides)
        shape: tuple[int, ...] = ()
        means: tuple[torch.Tensor, ...] = ()
        if isinstance(output, torch.Tensor):
            shape = tuple(output.shape)
            if len(shape) == 4:  # at once: what comes later may work in place
                means = (output.mean((2, 3)), output.relu().mean((2, 3)))
        ran.append(_Ran(layer, module, vector, shape, means))

    hooks = [
        module.register_forward_hook(lambda *about, layer=layer: note(layer, *about))  # type: ignore[misc]
        for layer, module in model.named_modules()
        if layer
    ]
    try:
        logits = model(_noise(side))
    except Exception as error:  # of the code of other people
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise NetworkError(
            f"The network {name} does not take images of {side} × {side} pixels ({why}): choose a "
            "network that takes any size as model.architecture."
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
    if not isinstance(logits, torch.Tensor) or logits.shape != (N_CLASSES, N_CLASSES):
        raise NetworkError(
            f"The network {name} does not give one logit a class: choose another as "
            "model.architecture."
        )
    return _Seen(ran, logits)


def _head(name: str, seen: _Seen) -> _Ran:
    """The last layer with weights, which must be that of the classes."""
    of_weights = [r for r in seen.ran if [*r.module.parameters(recurse=False)]]
    last = of_weights[-1]
    if isinstance(last.module, nn.Linear | nn.Conv2d) and last.shape[1:2] == (N_CLASSES,):
        return last
    raise NetworkError(
        f"The last layer with weights of {name} ({last.name}) is not a linear layer with one "
        "output a class: choose another network as model.architecture."
    )


def _map_layer(name: str, head: _Ran, large: _Seen, small: _Seen) -> tuple[str, bool, bool]:
    """Layer that maps are made of, whether it is rectified later, and whether they are exact."""
    # What is pooled to a fixed number of cells is no map of places any more. Of a layer that runs
    # several times, Grad-CAM's library would take the first output.
    times = Counter(each.name for each in large.ran)
    pairs = [
        (a, b)
        for a, b in zip(large.ran, small.ran, strict=False)
        if (a.name, a.shape[1:2]) == (b.name, b.shape[1:2])
        and (times[a.name] == 1 and a.is_map and b.is_map and a.shape[2] > b.shape[2])
    ]
    for a, b in reversed(pairs):
        for k in range(len(a.means)):
            if _decomposes(head.module, a.means[k], large) and _decomposes(
                head.module, b.means[k], small
            ):
                return a.name, k == 1, True
    last = pairs[-1][0].name if pairs else head.name
    weighing = [r for r in _behind(large, last) if [*r.module.parameters()]]
    if pairs and all(each.takes_vectors for each in weighing):
        return last, False, False
    raise NetworkError(
        f"The network {name} does not compute its classes from a feature map (it may work on a "
        "sequence of patches), so that no maps can be made: choose a convolutional network as "
        "model.architecture."
    )


def _decomposes(head: nn.Module, mean: torch.Tensor, seen: _Seen) -> bool:
    """Whether the mean of a feature map is all that the logits are made of."""
    if isinstance(head, nn.Conv2d):
        found = mean  # of the output of the last convolution: it is the map itself
    elif isinstance(head, nn.Linear) and head.in_features == mean.shape[1]:
        found = functional.linear(mean, head.weight, head.bias)
    else:
        return False
    scale = float(seen.logits.abs().max())
    return found.shape == seen.logits.shape and torch.allclose(
        found, seen.logits, rtol=0.0, atol=TOLERANCE * scale
    )


def _stage(
    name: str, model: nn.Module, layer: str, large: _Seen, small: _Seen
) -> tuple[Stage, tuple[str, ...]]:
    """Geometry of the feature map of a layer; and what is to be said of it."""
    shape, n_small = _last(large, layer).shape, _last(small, layer).shape[2]
    cells = cells_of(model, layer, _noise(SIZES[1]))
    if cells is not None:
        return Stage(layer, shape[1], cells.stride, cells.offset, cells.receptive_field), ()
    stride = round((SIZES[0] - SIZES[1]) / (shape[2] - n_small))
    offset = (SIZES[0] - 1 - (shape[2] - 1) * stride) / 2
    note = (
        f"Where the cells of the maps of {name} lie does not follow from its layers: they are "
        f"placed in the middle of the image, {stride} pixels apart."
    )
    return Stage(layer, shape[1], stride, offset, None), (note,)


def _last(seen: _Seen, layer: str) -> _Ran:
    """A layer, as it ran last."""
    return next(each for each in reversed(seen.ran) if each.name == layer)


def _behind(seen: _Seen, layer: str) -> list[_Ran]:
    """Layers without others inside of them, that ran when a layer was done."""
    names = [each.name for each in seen.ran]
    behind = seen.ran[len(names) - names[::-1].index(layer) :]
    return [each for each in behind if not [*each.module.children()]]


def _why_not_exact(name: str, layer: str, seen: _Seen) -> str:
    """Say why maps are Grad-CAM's."""
    kinds = dict.fromkeys(type(each.module).__name__ for each in _behind(seen, layer))
    return (
        f"Maps of {name} are Grad-CAM's, which decompose no logit: between its last feature map "
        f"({layer}) and the logits stands more than a mean and one nn.Linear "
        f"({', '.join(kinds)})."
    )


def _minimum_size(model: nn.Module) -> int:
    """Fewest pixels a side of an image that a network takes."""

    def runs(side: int) -> bool:
        try:
            return bool(model(_noise(side)).shape)
        except Exception:  # of the code of other people
            return False

    if runs(SMALLEST):
        return SMALLEST
    refused, taken = SMALLEST, SIZES[-1]
    while taken - refused > 1:
        middle = (refused + taken) // 2
        refused, taken = (refused, middle) if runs(middle) else (middle, taken)
    return taken
