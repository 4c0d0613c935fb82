"""Files of weights: read without running code that they may hold, named by their checksum."""

import hashlib
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file

from workflow_scripts.cxrcam.errors import InputError


class WeightsError(InputError):
    """A file of weights cannot be had or used; the message names it and says why."""


TORCH_SUFFIXES: Final = (".pth", ".pt", ".pth.tar", ".ckpt", ".bin")
SUFFIXES: Final = (".safetensors", *TORCH_SUFFIXES)
# Under which a training script keeps the state dict beside its epoch and optimiser.
INNER_KEYS: Final = ("state_dict", "model_state_dict", "model", "net")
DEEPEST: Final = 3
# Precisions that hold the numbers themselves; narrower ones belong with scales of their own.
OTHER_PRECISIONS: Final = (torch.float16, torch.bfloat16, torch.float64)


def in_single_precision(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor in float32, if it is of half or double precision; else as it is."""
    return tensor.float() if tensor.dtype in OTHER_PRECISIONS else tensor


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict from a safetensors or PyTorch file, without running code in it.

    In a PyTorch file it may stand under one of `INNER_KEYS`, beside other things.

    Returns
    -------
    dict of str to torch.Tensor
        On the CPU; numbers of half and double precision in float32.

    Raises
    ------
    WeightsError
        If the file is missing, damaged, holds anything but tensors, or has another suffix.
    """
    if not path.is_file():
        raise WeightsError(f"The weights file {str(path)!r} does not exist (model.weights).")
    if not path.name.endswith(SUFFIXES):
        raise WeightsError(
            f"The weights file {str(path)!r} is neither .safetensors nor .pth (or "
            f"{', '.join(TORCH_SUFFIXES[1:])}) (model.weights): save the network's state_dict()."
        )
    try:
        if path.suffix == ".safetensors":
            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and safetensors raise a dozen kinds for a bad file
        raise WeightsError(_unreadable(path, error)) from error
    state = _inner_state(state)
    if not isinstance(state, dict) or not all(
        isinstance(k, str) and torch.is_tensor(v) for k, v in state.items()
    ):
        raise WeightsError(
            f"The weights file {str(path)!r} (model.weights) holds something else than named "
            "tensors: save the network's state_dict()."
        )
    odd = [k for k, v in state.items() if v.layout != torch.strided or v.device.type != "cpu"]
    if odd:
        raise WeightsError(
            f"The weights file {str(path)!r} (model.weights) holds tensors that are sparse or "
            f"without numbers, for example {odd[0]}: save the network's plain state_dict()."
        )
    single = {k: in_single_precision(v.detach()) for k, v in state.items()}
    for name, tensor in single.items():
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            raise WeightsError(
                f"The weights file {str(path)!r} (model.weights) holds {name} as {tensor.dtype}, "
                "which means nothing without the scales of its quantisation: save the network in "
                "float32 or float16."
            )
        if state[name].dtype == torch.float64 and tensor.isinf().any() > state[name].isinf().any():
            raise WeightsError(
                f"The weights file {str(path)!r} (model.weights) holds numbers in {name} that are "
                "too large for float32: look at how they were made."
            )
    return single


def _inner_state(content: Any) -> Any:  # noqa: ANN401 (whatever a file holds)
    """State dict inside of what a training script saved; the content itself if there is none."""
    for _ in range(DEEPEST):
        inner = [
            content[key]
            for key in INNER_KEYS
            if isinstance(content, dict) and isinstance(content.get(key), dict)
        ]
        if not inner:
            break
        content = inner[0]
    return content


def _unreadable(path: Path, error: Exception) -> str:
    """Why a file cannot be read, and what to do."""
    what = f"The weights file {str(path)!r} cannot be read as a state dict of tensors: it"
    if "TorchScript" in str(error):
        return (
            f"{what} is a TorchScript archive (model.weights): read it with torch.jit.load and "
            "save torch.save(model.state_dict(), 'weights.pth')."
        )
    # The classes of its layers, by name, as no code of the file is run to find out more.
    if path.suffix != ".safetensors" and b"torch.nn.modules." in path.read_bytes():
        return (
            f"{what} holds a whole network, and with it Python objects, which are refused "
            "(model.weights): read it where its classes are installed and you trust it, and save "
            "torch.save(model.state_dict(), 'weights.pth')."
        )
    return (
        f"{what} is damaged, or holds Python objects, which are refused ({type(error).__name__})."
    )


def file_checksum(path: Path) -> str:
    """SHA-256 of a file, in 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_origin(path: Path) -> str:
    """Name and checksum of a weights file, for the model's card."""
    return f"{path.name} sha256:{file_checksum(path)}"
