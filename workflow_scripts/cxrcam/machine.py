"""What this machine has, found out without importing PyTorch: for use while Snakemake parses."""

from pathlib import Path

# Device files of NVIDIA's driver, of GPUs under Windows' Linux subsystem, and of AMD's driver.
GPU_DEVICE_FILES = ("nvidia[0-9]*", "dxg", "kfd")


def has_gpu(devices: Path = Path("/dev")) -> bool:
    """Whether a driver shows a GPU on this machine."""
    return any(next(devices.glob(name), None) for name in GPU_DEVICE_FILES)
