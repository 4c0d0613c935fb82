"""Devices: the GPU where there is one and it was granted, and never silently something else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from workflow_scripts.cxrcam.devices import (
    DeviceError,
    autocast,
    choose_device,
    choose_precision,
)
from workflow_scripts.cxrcam.errors import InputError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def gpu(monkeypatch, request) -> None:
    """A machine with or without a GPU, whatever this one has."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param)


@pytest.mark.parametrize(
    ("gpu", "asked", "granted", "device"),
    [
        (False, "auto", None, "cpu"),
        (False, "auto", 1, "cpu"),
        (False, "cpu", 1, "cpu"),
        (True, "auto", None, "cuda"),
        (True, "auto", 1, "cuda"),
        (True, "auto", 0, "cpu"),
        (True, "cpu", 1, "cpu"),
        (True, "cuda", 1, "cuda"),
    ],
    indirect=["gpu"],
)
def test_auto_takes_the_gpu_that_is_there_and_granted(gpu, asked, granted, device):
    assert choose_device(asked, granted).type == device


@pytest.mark.parametrize("gpu", [False], indirect=True)
@pytest.mark.parametrize("granted", [None, 0, 1])
def test_a_gpu_that_was_asked_for_and_is_missing_is_an_error_and_no_silent_cpu(gpu, granted):
    with pytest.raises(DeviceError) as caught:
        choose_device("cuda", granted)
    for words in ("compute.device is cuda", "no GPU", "auto or cpu", "CUDA_VISIBLE_DEVICES"):
        assert words in str(caught.value)
    assert isinstance(caught.value, InputError)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_precision_that_was_asked_for_is_used(precision):
    assert choose_precision(precision, torch.device("cpu")) == precision


@pytest.mark.parametrize(("in_hardware", "precision"), [(True, "bfloat16"), (False, "float32")])
def test_bfloat16_is_chosen_only_where_hardware_multiplies_it(monkeypatch, in_hardware, precision):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: in_hardware)
    assert choose_precision("auto", torch.device("cpu")) == precision
    asked = []

    def supported(including_emulation=True):
        asked.append(including_emulation)
        return in_hardware

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert choose_precision("auto", torch.device("cuda")) == precision
    assert asked == [False]


def test_autocast_computes_in_the_precision_asked():
    a = torch.ones(2, 2)
    for precision, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        with autocast(torch.device("cpu"), precision):
            assert (a @ a).dtype == dtype


@pytest.mark.parametrize(
    ("threads", "deterministic", "said"),
    [(2, True, "2 True False :4096:8"), (0, False, "1 False True None")],
)
def test_threads_and_determinism_are_set_as_asked(threads, deterministic, said):
    # In a process of its own: these settings hold for all that follows.
    code = (
        "import os, torch; from workflow_scripts.cxrcam.devices import set_up_torch\n"
        f"set_up_torch({threads}, {deterministic})\n"
        "print(torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(),"
        " torch.backends.cudnn.benchmark, os.environ.get('CUBLAS_WORKSPACE_CONFIG'))"
    )
    environment = {k: v for k, v in os.environ.items() if k != "CUBLAS_WORKSPACE_CONFIG"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == said, done.stderr
