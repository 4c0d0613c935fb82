"""Where to compute and how precisely, decided when the job starts."""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch

from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.networks.gpu_slots import claim_gpus


class DeviceError(InputError):
    """The device or precision asked for is not there."""


def choose_device(asked: str, gpus_granted: int | None) -> torch.device:
    """Device of a job.

    Of several GPUs that this job can see, one that the fewest other jobs use (`claim_gpus`). As
    `choose_devices` for one process.
    """
    return choose_devices(asked, gpus_granted, 1)[0]


def choose_devices(asked: str, gpus_granted: int | None, processes: int) -> list[torch.device]:
    """Device of each process of a training.

    Parameters
    ----------
    asked : {"auto", "cpu", "cuda"}
        ``compute.device``.
    gpus_granted : int or None
        The job's ``gpu`` resource; 0 means that the user gave Snakemake no GPU to hand out.
    processes : int
        ``train.gpus``. Without any GPU they run on the CPU, all the same.

    Returns
    -------
    list of torch.device, length `processes`
        Each process has a GPU of its own, or all have the CPU.

    Raises
    ------
    DeviceError
        If ``cuda`` was asked for and there is none, or if there are fewer GPUs than processes.
    """
    there = torch.cuda.is_available()
    if asked == "cuda" and not there:
        raise DeviceError(
            "compute.device is cuda, but PyTorch sees no GPU here. Set it to auto or cpu, or check "
            "the driver and CUDA_VISIBLE_DEVICES."
        )
    if asked != "cuda" and not (asked == "auto" and there and gpus_granted != 0):
        return [torch.device("cpu")] * processes
    count = torch.cuda.device_count()
    if processes == 1 and count < 2:
        return [torch.device("cuda")]
    if count < processes:
        raise DeviceError(
            f"train.gpus is {processes}, but PyTorch sees {count} GPU{'s' * (count != 1)} here: "
            f"set it to {count} or less, or check CUDA_VISIBLE_DEVICES."
        )
    if processes > 1 and gpus_granted is not None and gpus_granted < processes:
        raise DeviceError(
            f"train.gpus is {processes}, but Snakemake may hand out {gpus_granted} only: start it "
            f"with --resources gpu={processes} or more, or set train.gpus to {gpus_granted}."
        )
    names = [str(torch.cuda.get_device_properties(k).uuid) for k in range(count)]
    return [torch.device("cuda", position) for position in claim_gpus(names, processes)]


def choose_precision(asked: str, device: torch.device) -> str:
    """``float32`` or ``bfloat16``: the latter by ``auto`` only where hardware multiplies it.

    bfloat16 emulated in software would be slower than float32 and less exact.
    """
    if asked != "auto":
        return asked
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if torch.cpu.get_capabilities().get("avx512_bf16") else "float32"


def autocast(
    device: torch.device, precision: str, keep_casts: bool = True
) -> AbstractContextManager[None]:
    """Context in which convolutions and matrix products run in `precision`.

    Weights are cast once in it, unless `keep_casts` is false.
    """
    context: AbstractContextManager[None] = torch.autocast(
        device.type, torch.bfloat16, enabled=precision == "bfloat16", cache_enabled=keep_casts
    )
    return context


def set_up_device(compute: Mapping[str, Any], gpus_granted: int | None) -> torch.device:
    """`set_up_torch` and `choose_device` as ``compute`` of the configuration says."""
    set_up_torch(compute["threads"], compute["deterministic"])
    return choose_device(compute["device"], gpus_granted)


def set_up_torch(threads: int, deterministic: bool) -> None:
    """Threads and determinism of this process; call once, before the first computation."""
    torch.set_num_threads(max(1, threads))
    if deterministic:
        # cuBLAS reads this when it first starts.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        # As use_deterministic_algorithms(True), which loads the compiler to tell it so.
        torch.set_deterministic_debug_mode("error")
        # Else all memory is written once more when it is taken, for programs that read what nobody
        # wrote: some 5 % of training on a CPU.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = False
    else:
        torch.backends.cudnn.benchmark = True
