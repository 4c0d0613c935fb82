"""Where a network's initial weights come from: a file, ImageNet, or chance; and a record of it."""

import fcntl
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import save_file
from torch import nn

from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.libraries import TIMM, fetched_from_timm
from workflow_scripts.cxrcam.networks.models import build_classifier, load_pretrained
from workflow_scripts.cxrcam.networks.weights.download import (
    DownloadError,
    fetch_verified,
    is_published,
    published_name,
)
from workflow_scripts.cxrcam.networks.weights.files import (
    SUFFIXES,
    WeightsError,
    file_origin,
    read_state_dict,
)
from workflow_scripts.cxrcam.networks.weights.foreign_checkpoints import (
    Normalisation,
    radiology_normalisation,
)
from workflow_scripts.cxrcam.networks.weights.recorded_start import METADATA_KEY, recorded_start
from workflow_scripts.cxrcam.seeds import integer_seed


@dataclass(frozen=True)
class Start:
    """What a network starts from."""

    kind: str  # random, imagenet or file
    origin: str  # random, or name and checksum of the file that the weights were first read from
    reason: str = ""  # one sentence: why random weights, where ImageNet's were looked for
    tensors: dict[str, torch.Tensor] | None = None  # state dict; None for random weights
    # Mean and standard deviation of the input channels that the weights need, for pixels in [0, 1];
    # None where they are the configuration's.
    normalisation: Normalisation | None = None


RANDOM_START: Final = Start("random", "random")


def read_start(path: Path, architecture: str) -> Start:
    """Read what a network starts from: a choice of `choose_imagenet`, or any file of weights.

    Parameters
    ----------
    path : Path
    architecture : str
        Of the network; weights of some (in timm) need a normalisation of their own.

    Raises
    ------
    WeightsError
        If the file cannot be read.
    """
    recorded, own = recorded_start(path), Backbone(architecture).known.normalisation
    if not recorded:
        tensors = read_state_dict(path)
        normalisation = radiology_normalisation(tensors) or own
        return Start("file", file_origin(path), tensors=tensors, normalisation=normalisation)
    if recorded["kind"] == "random":
        return Start("random", "random", recorded.get("reason", ""))
    return Start("imagenet", recorded["origin"], tensors=read_state_dict(path), normalisation=own)


def network_at_start(
    backbone: Backbone, n_classes: int, start: Start, seed: int, run: tuple[str, str, int]
) -> tuple[nn.Module, list[str]]:
    """Network with the weights that the training of a run (task, scheme, fold) starts from.

    Also returns what was adapted, in sentences.
    """
    model = build_classifier(backbone, n_classes, integer_seed(seed, "initialise", *run))
    if start.tensors is None:
        return model, []
    return model, load_pretrained(model, backbone, start.tensors)


def choose_imagenet(
    architecture: str,
    insist: bool,
    target: Path,
    folder: Path,
    url: str | None = None,
    log: logging.Logger | None = None,
) -> None:
    """Look for ImageNet weights, near before far, and write them, or that there are none.

    They are looked for in `folder`, where the user may have put a file, in torch's cache, and where
    torchvision publishes them; those of a network of timm in `folder`, and where timm has them.
    Which were found is recorded in the file, so that the choice is made once. Of a network of which
    none are published, that is recorded.

    Parameters
    ----------
    insist : bool
        Fail where there are none, rather than start from random weights.
    target : Path
        File to write, .safetensors.
    folder : Path
        Of ``<architecture>-imagenet.safetensors`` (or .pth and so on), of torchvision's own file,
        and of what is fetched while it is not converted yet.
    url : str, optional
        Other place of torchvision's file; its name must end in its checksum, see `fetch_verified`.

    Raises
    ------
    WeightsError
        If a file that the user put there cannot be used; or, where `insist`, if there is none.
    """
    log = log or logging.getLogger("cxrcam")
    imagenet = Backbone(architecture).known.imagenet
    if imagenet is None:
        _write_unpublished(architecture, insist, target, log)
        return
    in_timm = architecture.startswith(TIMM)
    url = url or ("" if in_timm else imagenet.url)
    file = f"{architecture}-imagenet.safetensors" if in_timm else published_name(url)
    folder.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(folder):
        fetched = None
        try:
            path, found = _at_hand(architecture, file, target, folder, log)
            if path is None and in_timm:
                path = fetched = _fetch_from_timm(architecture, folder / file)
                found = "fetched by timm"
            elif path is None:
                path = fetched = fetch_verified(url, folder)
                found = f"fetched from {url}"
        except DownloadError as error:
            _write_none(architecture, insist, target, folder, file, error, log)
            return
        tensors, origin = read_state_dict(path), file_origin(path)
        _write(target, tensors, {"kind": "imagenet", "origin": origin, "found": found})
        if fetched is not None:
            fetched.unlink()  # nothing is kept twice
    log.info("ImageNet weights of %s: %s, %s.", architecture, origin, found)


def _fetch_from_timm(architecture: str, target: Path) -> Path:
    """File of the weights that timm has or fetches; a `DownloadError` if it cannot."""
    try:
        tensors = fetched_from_timm(architecture)
    except Exception as error:  # a dozen kinds, of several libraries
        why = str(error).strip().splitlines() or [type(error).__name__]
        raise DownloadError(f"timm's weights of {architecture}", why[0].rstrip(".")) from error
    _write(target, tensors)
    return target


def _write_unpublished(architecture: str, insist: bool, target: Path, log: logging.Logger) -> None:
    """Write that nobody has published ImageNet weights, or fail where `insist`."""
    note = f"No ImageNet weights of {architecture} are published."
    if insist:
        raise WeightsError(
            f"{note} Set model.weights to random, to auto, or to a local file of a trained "
            f"{architecture}."
        )
    _write(target, {}, {"kind": "random", "origin": "random", "note": note})
    log.info("Training starts from random weights. %s", note)


def _at_hand(
    architecture: str, published: str, target: Path, folder: Path, log: logging.Logger
) -> tuple[Path | None, str]:
    """File of ImageNet weights on this machine and where it lies; None if there is none."""
    found = f"in {folder.as_posix()}"
    for suffix in SUFFIXES:
        path = folder / f"{architecture}-imagenet{suffix}"
        if path.is_file() and path.absolute() != target.absolute():
            _check(path, architecture)
            return path, found
    if architecture.startswith(TIMM):
        return None, ""
    path = folder / published
    if path.is_file():
        if not is_published(path, published):
            raise WeightsError(
                f"The weights file {str(path)!r} has another checksum than the one in its name: "
                "copy it there once more, or delete it."
            )
        return path, found
    path = Path(torch.hub.get_dir()) / "checkpoints" / published
    if path.is_file():
        if is_published(path, published):
            return path, "in torch's cache"
        log.warning("%s has another checksum than the one in its name: it is not used.", path)
    return None, ""


def _check(path: Path, architecture: str) -> None:
    """Refuse a file of another network now, rather than in each training."""
    backbone = Backbone(architecture)
    try:
        load_pretrained(build_classifier(backbone, 1, seed=0), backbone, read_state_dict(path))
    except WeightsError as error:
        raise WeightsError(
            f"The weights file {str(path)!r}, which was to be ImageNet's: {error} Or delete it."
        ) from error


def _write_none(
    architecture: str,
    insist: bool,
    target: Path,
    folder: Path,
    file: str,
    error: DownloadError,
    log: logging.Logger,
) -> None:
    """Write that there are no ImageNet weights, or fail where `insist`."""
    cache, name = "torch's", architecture
    if architecture.startswith(TIMM):  # no address tells the file's name
        cache, name = "timm's", f"{architecture} ({file})"
    reason = (
        f"The ImageNet weights of {name} are neither in {folder.as_posix()} nor in {cache} "
        f"cache, and {error.reason}."
    )
    put = f"put {file} into {folder.as_posix()}"
    if insist:
        kept = str(error).removeprefix(f"{error.reason}.")
        raise WeightsError(
            f"{reason}{kept} On a machine without a network {put}, or set model.weights to a local "
            "file, or to random."
        ) from error
    _write(target, {}, {"kind": "random", "origin": "random", "reason": reason})
    log.warning(
        "Training starts from random weights. %s To start from ImageNet's, %s, delete %s and run "
        "again.",
        reason,
        put,
        target,
    )


def _write(
    target: Path, tensors: Mapping[str, torch.Tensor], record: Mapping[str, str] | None = None
) -> None:
    """Write weights and the record of their choice, if there was any, whole or not at all."""
    text = json.dumps(record, sort_keys=True, ensure_ascii=False)
    # Copies: tensors of a .pth may share memory, which safetensors refuses.
    plain = {
        name: tensor.clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    with atomic_path(target) as temporary:
        save_file(plain, temporary, metadata={METADATA_KEY: text} if record else None)


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Let other jobs of this machine wait that would write the same part of a file."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:
            pass  # some network file systems know no locks; two such jobs at once are rare
        yield
    finally:
        os.close(handle)
