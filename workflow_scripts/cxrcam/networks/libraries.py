"""Networks of torchvision and, as an optional extra, of timm, by their names there.

A name is one of torchvision's classification networks (``resnet34``), or one of timm's behind
``timm:`` (``timm:inception_resnet_v2``). Nothing is fetched here.
"""

import warnings
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final

from torch import nn

from workflow_scripts.cxrcam.configuration.problems import closest
from workflow_scripts.cxrcam.configuration.stages import STAGES
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.networks.pooling import with_deterministic_pooling
from workflow_scripts.cxrcam.networks.without_compiler import compiler_left_out

with compiler_left_out():
    import torchvision

TIMM: Final = "timm:"

Normalisation = tuple[tuple[float, float, float], tuple[float, float, float]]


class NetworkError(InputError):
    """A network cannot be had or used; the message names it, says why, and the way out."""


class MissingLibraryError(NetworkError):
    """The library that has the network is not installed."""


def timm_library(name: str) -> ModuleType:
    """The library timm; a `MissingLibraryError` without it, for the network `name`."""
    try:
        import timm  # type: ignore[import-not-found]
    except ImportError as error:
        raise MissingLibraryError(
            f"model.architecture is {name!r}, but timm is not installed in this environment: "
            "pip install timm, or choose a network of torchvision."
        ) from error
    return timm  # type: ignore[no-any-return]


def refuse_unknown(name: str) -> None:
    """Raise a `NetworkError` where no library has a network of that name."""
    prefix, short = (TIMM, name.removeprefix(TIMM)) if name.startswith(TIMM) else ("", name)
    if prefix:
        timm = timm_library(name)
        if timm.is_model(short):
            return
        known, library, lists = timm.list_models(), "timm", "timm.list_models()"
    else:
        models = torchvision.models
        if short in (known := models.list_models(module=models)):
            return
        known, library = [*known, *STAGES], "torchvision"
        lists = "torchvision.models.list_models(torchvision.models)"
    near = closest(short, known)
    raise NetworkError(
        f"model.architecture is {name!r}, but {library} has no classification network of that "
        f"name.{f' Did you mean {prefix + near!r}?' if near else ''} {lists} lists them; networks "
        f"of timm are called {TIMM}NAME here."
    )


def build_network(name: str, *, num_classes: int, weights: None = None) -> nn.Module:
    """Network of a library, its last layer for `num_classes`, from PyTorch's generator.

    `weights` is there as torchvision's constructors have it. Auxiliary classifiers of training
    (GoogLeNet) are taken off: they learn by a loss of their own.
    """
    refuse_unknown(name)
    model: Any
    if name.startswith(TIMM):
        short = name.removeprefix(TIMM)
        timm = timm_library(name)
        model = timm.create_model(short, pretrained=False, num_classes=num_classes)
        return with_deterministic_pooling(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of how weights are drawn some day
        model = torchvision.models.get_model(name, weights=weights, num_classes=num_classes)
    if getattr(model, "aux_logits", False):
        model.aux_logits, model.aux1, model.aux2 = False, None, None
        # As for Inception v3, see `architectures`: the published weights expect it.
        model.transform_input = True
    return with_deterministic_pooling(model)


def published_weights(name: str, model: nn.Module) -> Any:  # noqa: ANN401
    """Published ImageNet weights: a member of torchvision's enum, of timm the name; else None."""
    if name.startswith(TIMM):
        settings = _settings_in_timm(model)
        return name if settings.get("url") or settings.get("hf_hub_id") else None
    weights = torchvision.models.get_model_weights(name)
    return getattr(weights, "IMAGENET1K_V1", weights.DEFAULT)


def normalisation_in_timm(name: str, model: nn.Module) -> Normalisation | None:
    """Mean and standard deviation with which timm's weights were trained; None of torchvision."""
    settings = _settings_in_timm(model) if name.startswith(TIMM) else {}
    mean, std = tuple(settings.get("mean", ())), tuple(settings.get("std", ()))
    return (mean, std) if len(mean) == len(std) == 3 else None


def _settings_in_timm(model: nn.Module) -> Mapping[str, Any]:
    """What timm tells of its weights of a network: where they are, and what they expect."""
    settings = getattr(model, "pretrained_cfg", None)
    return settings if isinstance(settings, Mapping) else {}


def fetched_from_timm(name: str) -> Mapping[str, Any]:
    """State dict of timm's own weights of a network, from its cache, else over the network.

    Raises
    ------
    Exception
        Whatever timm and the library of its hub raise where they cannot be had.
    """
    timm = timm_library(name)
    return timm.create_model(name.removeprefix(TIMM), pretrained=True).state_dict()  # type: ignore[no-any-return]
