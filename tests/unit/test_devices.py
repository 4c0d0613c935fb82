"""Devices: the GPU where there is one and it was granted, and never silently something else."""

import os
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch

from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.networks import devices
from workflow_scripts.cxrcam.networks.devices import (
    DeviceError,
    autocast,
    choose_device,
    choose_devices,
    choose_precision,
    set_up_device,
    set_up_torch,
)


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


@pytest.mark.parametrize("gpu", [True], indirect=True)
def test_of_several_gpus_a_job_claims_one(gpu, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda k: SimpleNamespace(uuid=f"GPU-{k}")
    )
    asked = []

    def claim(names, count):
        asked.append((names, count))
        return [1, 2][-count:]

    monkeypatch.setattr(devices, "claim_gpus", claim)
    assert choose_device("auto", 1) == torch.device("cuda", 2)
    assert choose_devices("auto", 2, 2) == [torch.device("cuda", 1), torch.device("cuda", 2)]
    assert asked == [(["GPU-0", "GPU-1", "GPU-2"], 1), (["GPU-0", "GPU-1", "GPU-2"], 2)]


@pytest.mark.parametrize("gpu", [True], indirect=True)
def test_more_processes_than_gpus_are_refused_and_never_share_one(gpu, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(DeviceError, match=r"train\.gpus is 2, but PyTorch sees 1 GPU here"):
        choose_devices("auto", 2, 2)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    with pytest.raises(DeviceError, match="--resources gpu=2"):
        choose_devices("auto", 1, 2)


@pytest.mark.parametrize("gpu", [False], indirect=True)
def test_without_a_gpu_several_processes_share_the_cpu(gpu):
    assert choose_devices("auto", 0, 2) == [torch.device("cpu")] * 2


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
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": in_hardware})
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


@pytest.fixture
def torch_settings(monkeypatch) -> Iterator[None]:
    """What a test sets for the whole process is set back."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", torch.backends.cudnn.benchmark)
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(strict)


@pytest.mark.usefixtures("torch_settings")
def test_a_deterministic_process_refuses_operations_that_are_not():
    set_up_torch(1, deterministic=True)
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.utils.deterministic.fill_uninitialized_memory, "memory is written twice"
    assert torch.backends.cudnn.benchmark is False
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


@pytest.mark.usefixtures("torch_settings")
def test_a_fast_process_may_choose_its_algorithms():
    torch.use_deterministic_algorithms(False)
    set_up_torch(1, deterministic=False)
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.benchmark is True
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ


@pytest.mark.usefixtures("torch_settings")
@pytest.mark.parametrize(("asked", "set_to"), [(2, 2), (1, 1), (0, 1)])
def test_as_many_threads_as_the_job_has_and_never_none(asked, set_to):
    set_up_torch(asked, deterministic=False)
    assert torch.get_num_threads() == set_to


@pytest.mark.usefixtures("torch_settings")
@pytest.mark.parametrize("gpu", [True], indirect=True)
def test_a_job_is_set_up_as_its_configuration_says(gpu):
    compute = {"threads": 2, "deterministic": True, "device": "auto"}
    assert set_up_device(compute, 1).type == "cuda"
    assert torch.get_num_threads() == 2 and torch.are_deterministic_algorithms_enabled()
    assert set_up_device({**compute, "device": "cpu"}, 1).type == "cpu"
    assert set_up_device(compute, 0).type == "cpu"
