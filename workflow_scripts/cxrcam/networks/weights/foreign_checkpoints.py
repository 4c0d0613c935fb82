"""Checkpoints of other projects: what of their tensors fits a network, and what was done for it."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Final

import torch

from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.weights.files import WeightsError, in_single_precision

# Last layers as other projects call them, with all that is inside.
OTHER_HEAD: Final = re.compile(r"(fc|_fc|classifier|heads?|last_linear|linear|logits|output)\..+")
# Numbers that play no part in what a network computes: thresholds of TorchXRayVision's outputs,
# counters of steps and of averaged weights.
COUNTER: Final = "num_batches_tracked"
EXTRAS: Final = ("op_threshs", "n_averaged", COUNTER)
SHOWN: Final = 3  # names in a sentence

Normalisation = tuple[tuple[float, float, float], tuple[float, float, float]]


def fitted_tensors(
    state: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], backbone: Backbone
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Tensors that a network takes over from a checkpoint, under their names in the network.

    Parameters
    ----------
    state, expected : mapping of str to torch.Tensor
        State dict of the checkpoint, and that of the network.
    backbone : Backbone
        The network: its last layer keeps its own numbers.

    Returns
    -------
    tensors : dict of str to torch.Tensor
        All of `expected` but the last layer (and perhaps counters of batch normalisation).
    notes : list of str
        What was renamed, changed or left out, and what a person should look at, in sentences. None
        where the checkpoint was taken as published ones are: of their last layer, an auxiliary
        classifier and stages behind the one where the network ends, nothing is said.

    Raises
    ------
    WeightsError
        If the checkpoint is of another network, of another type of number, or not finite.
    """
    known, head = backbone.known, f"{backbone.head}."
    own = {name: tensor for name, tensor in expected.items() if not name.startswith(head)}
    modern = {name: known.modern_name(name) for name in state}
    prefix = _common_prefix(modern.values(), own.keys())
    not_taken = tuple(each for each in (head, known.auxiliary) if each)
    cut_off = _published_names(backbone) - own.keys()
    taken: dict[str, str] = {}  # names in the file, by names in the network
    left_out, unknown = [], []
    for name, tensor in state.items():
        inside = modern[name].startswith(prefix)
        short = modern[name].removeprefix(prefix)
        # Some converters make the counters floats; without one, the network keeps its own.
        fits = short in own and (not short.endswith(COUNTER) or _alike(tensor, own[short]))
        if inside and fits and short not in taken:
            taken[short] = name
        elif short.startswith(not_taken) or (inside and short in cut_off):
            continue
        elif short.endswith(EXTRAS) or OTHER_HEAD.fullmatch(short):
            left_out.append(name)
        else:
            unknown.append(name)
    body = {short: in_single_precision(state[name]) for short, name in taken.items()}
    notes = [*_renaming(taken, prefix), *_fit_first_convolution(body, own)]
    _refuse_misfits(body, own, unknown, backbone)
    if left_out:
        names = ", ".join(left_out[:SHOWN]) + (", ..." if len(left_out) > SHOWN else "")
        notes.append(f"{len(left_out)} tensors of the weights were left out ({names}).")
    return body, [*notes, *_folded_statistics(body)]


def _published_names(backbone: Backbone) -> set[str]:
    """Names of the tensors of the whole published network, where this one was cut; else none."""
    if backbone.is_whole:
        return set()
    with torch.random.fork_rng(devices=[]):
        return set(backbone.known.build(weights=None, num_classes=1).state_dict())


def _renaming(taken: Mapping[str, str], prefix: str) -> list[str]:
    """Say how names were changed, if they were."""
    renamed = sum(short != name for short, name in taken.items())
    how = f" by taking off {prefix!r}" if prefix else ", from their older names"
    return [f"{renamed} tensors of the weights were renamed{how}."] if renamed else []


def _alike(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors have the same shape and type of number."""
    return a.shape == b.shape and a.dtype == b.dtype


def _common_prefix(names: Iterable[str], own: Collection[str]) -> str:
    """What stands before the network's own names in a file (``module.model.``), or nothing.

    It is the one that makes the most names fit; of several, the shortest.
    """
    fitting: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        for k in range(len(parts)):
            if ".".join(parts[k:]) in own:
                fitting["".join(f"{part}." for part in parts[:k])] += 1
    return max(sorted(fitting, key=len), key=lambda prefix: fitting[prefix], default="")


def _fit_first_convolution(
    body: dict[str, torch.Tensor], own: Mapping[str, torch.Tensor]
) -> list[str]:
    """Make a first convolution of one channel one of three, or the reverse; say so.

    Of a grey image, whose channels are equal, it computes the same as before.
    """
    name = next((k for k, v in own.items() if v.ndim == 4), None)
    if name is None or name not in body or not body[name].is_floating_point():
        return []
    given, wanted = body[name], own[name].shape
    if given.ndim != 4 or given.shape[:1] + given.shape[2:] != wanted[:1] + wanted[2:]:
        return []
    if (given.shape[1], wanted[1]) == (1, 3):
        body[name] = given.repeat(1, 3, 1, 1) / 3
        return [
            f"{name} of the weights has one channel: a third of it was taken for each of three."
        ]
    if (given.shape[1], wanted[1]) == (3, 1):
        body[name] = given.sum(dim=1, keepdim=True)
        return [f"{name} of the weights has three channels: their sum was taken for the one."]
    return []


def _refuse_misfits(
    body: Mapping[str, torch.Tensor],
    own: Mapping[str, torch.Tensor],
    unknown: list[str],
    backbone: Backbone,
) -> None:
    """Refuse tensors that would leave the network half random, or with other numbers."""
    # Files older than BatchNorm's step counter lack it; it plays no part in the result.
    missing = [name for name in own.keys() - body.keys() if not name.endswith(COUNTER)]
    misshapen = [k for k, v in body.items() if own[k].shape != v.shape]
    # Quantised weights, for example: copied into the network they would be other numbers.
    other_type = [k for k, v in body.items() if own[k].dtype != v.dtype]
    problems = [
        f"{len(names)} {what} (for example {min(names)})"
        for names, what in (
            (missing, "tensors missing"),
            (unknown, "unknown tensors"),
            (misshapen, "tensors of another shape"),
            (other_type, "tensors of another type of number"),
        )
        if names
    ]
    if problems:
        name = backbone.architecture
        published = "torchvision's " if backbone.known.imagenet else ""
        raise WeightsError(
            f"The weights (model.weights) are not those of {name}: "
            f"{', '.join(problems)}. Name a state dict of {published}{name}."
        )
    bad = [k for k, v in body.items() if v.is_floating_point() and not v.isfinite().all()]
    if bad:
        raise WeightsError(
            f"The weights (model.weights) hold NaN or infinite values, for example in "
            f"{bad[0]}: take a file from before the training diverged."
        )


def _folded_statistics(body: Mapping[str, torch.Tensor]) -> list[str]:
    """Warn of batch normalisation whose statistics were folded into the weights around it.

    Of a network that was never trained, means and variances are the same; but then all scales are
    1 and all shifts 0 as well.
    """
    layers = [k.removesuffix("running_mean") for k in body if k.endswith(".running_mean")]

    def everywhere(what: str, value: float) -> bool:
        tensors = (body[f"{layer}{what}"] for layer in layers if f"{layer}{what}" in body)
        return all(bool((tensor == value).all()) for tensor in tensors)

    if not everywhere("running_mean", 0) or not everywhere("running_var", 1):
        return []
    if everywhere("weight", 1) and everywhere("bias", 0):
        return []
    return [
        "Batch normalisation of the weights has no statistics (all means 0, all variances 1): they "
        "were folded away, which is fine in evaluation and ruinous in training. Name a file in "
        "which they are kept (model.weights)."
    ]


def radiology_normalisation(state: Mapping[str, torch.Tensor]) -> Normalisation | None:
    """Normalisation that a DenseNet121 of TorchXRayVision needs; None for any other checkpoint.

    Its images range from -1024 to 1024 (Cohen et al., "TorchXRayVision", MIDL 2022): with mean 0.5
    and standard deviation 1/2048, a grey level g in [0, 1] becomes (g - 0.5) * 2048, and padding is
    0 there as well. It is known by a first convolution of one channel and 18 findings.

    Returns
    -------
    tuple of tuple of float, or None
        Mean and standard deviation of the three input channels, for pixels in [0, 1].
    """

    def shape(ending: str) -> tuple[int, ...] | None:
        return next((tuple(v.shape) for k, v in state.items() if f".{k}".endswith(ending)), None)

    first, last = shape(".features.conv0.weight"), shape(".classifier.weight")
    if first == (64, 1, 7, 7) and last == (18, 1024):
        return (0.5, 0.5, 0.5), (1 / 2048, 1 / 2048, 1 / 2048)
    return None
