"""Where initial weights come from: read safely, looked for near before far, and recorded."""

import hashlib
import json
import logging
import pickle
import re
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from tests.unit.weights_server import (
    PROXY_VARIABLES,
    WeightsServer,
    published_file,
    weights_server,
)
from workflow_scripts.cxrcam.networks.architectures import ARCHITECTURES
from workflow_scripts.cxrcam.networks.weights import download as weights_download
from workflow_scripts.cxrcam.networks.weights.files import (
    WeightsError,
    file_origin,
    read_state_dict,
)
from workflow_scripts.cxrcam.networks.weights.initial_weights import (
    Start,
    choose_imagenet,
    read_start,
)
from workflow_scripts.cxrcam.networks.weights.recorded_start import recorded_start

pytestmark = pytest.mark.usefixtures("one_torch_thread")

State = dict[str, torch.Tensor]
STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.zeros(2)}
TORCH_SUFFIXES = [".pth", ".pt", ".pth.tar", ".ckpt", ".bin"]


def same(a: State, b: State) -> bool:
    return a.keys() == b.keys() and all(
        torch.equal(a[name], b[name]) and a[name].dtype == b[name].dtype for name in a
    )


# --- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".safetensors", *TORCH_SUFFIXES])
def test_a_state_dict_is_read_from_a_file_of_any_kind(tmp_path, suffix):
    path = tmp_path / f"w{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(STATE, path)
    assert same(read_state_dict(path), STATE)


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict": STATE, "epoch": 3, "optimizer": {"state": {}, "lr": 0.1}},
        {"model": OrderedDict(STATE), "epoch": 3},
        {"model_state_dict": STATE, "loss": 0.1},
        {"net": STATE, "acc": 93.1, "epoch": None},
        {"model": {"state_dict": STATE, "name": "resnet18"}},
        {"arch": "resnet18", "state_dict": {"net": {"model": STATE}}},
    ],
    ids=lambda content: "+".join(content),
)
def test_a_state_dict_is_found_inside_what_a_training_script_saved(tmp_path, content):
    torch.save(content, tmp_path / "w.pth.tar")
    assert same(read_state_dict(tmp_path / "w.pth.tar"), STATE)


def test_a_tensor_called_model_is_a_tensor(tmp_path):
    torch.save({"model": torch.zeros(2)}, tmp_path / "w.pth")
    assert list(read_state_dict(tmp_path / "w.pth")) == ["model"]


@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_other_precisions_are_read_as_single_and_counters_as_they_are(tmp_path, suffix, dtype):
    given = {"a": torch.tensor([0.1, 2.0], dtype=dtype), "steps": torch.tensor(3)}
    (save_file if suffix == ".safetensors" else torch.save)(given, tmp_path / f"w{suffix}")
    read = read_state_dict(tmp_path / f"w{suffix}")
    assert same(read, {"a": given["a"].float(), "steps": torch.tensor(3)})


def test_parameters_are_read_as_plain_tensors(tmp_path):
    torch.save(dict(nn.Linear(2, 2).named_parameters()), tmp_path / "w.pth")
    assert not any(t.requires_grad for t in read_state_dict(tmp_path / "w.pth").values())


def refusal(path: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        read_state_dict(path)
    assert repr(str(path)) in str(caught.value)
    return str(caught.value)


class Harmful:
    """An object that would run code when it is unpickled."""

    def __reduce__(self):
        return (Path.touch, (Path("harmed"),))


@pytest.mark.parametrize("suffix", TORCH_SUFFIXES)
def test_code_in_a_pickle_is_refused_and_does_not_run(tmp_path, monkeypatch, suffix):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": STATE, "epoch": Harmful()}, f"w{suffix}")
    Path(f"plain{suffix}").write_bytes(pickle.dumps(Harmful(), protocol=2))
    for name in ("w", "plain"):
        assert "Python objects, which are refused" in refusal(Path(name + suffix))
    assert not Path("harmed").exists()
    pickle.loads(pickle.dumps(Harmful()))
    assert Path("harmed").exists()  # where it is let


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
@pytest.mark.parametrize("inside", [False, True], ids=["alone", "inside"])
def test_a_whole_pickled_network_is_refused_with_how_to_convert_it(tmp_path, zipped, inside):
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    content = {"model": network, "epoch": 3} if inside else network
    torch.save(content, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    message = refusal(tmp_path / "w.pt")
    assert "holds a whole network" in message
    assert "torch.save(model.state_dict(), 'weights.pth')" in message


@pytest.mark.filterwarnings("ignore")  # of TorchScript's end
def test_a_torchscript_archive_is_refused_with_how_to_convert_it(tmp_path):
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "w.pt")
    message = refusal(tmp_path / "w.pt")
    assert "TorchScript" in message
    assert "torch.jit.load" in message


@pytest.mark.parametrize(
    "content",
    [
        {"epoch": 3},
        [torch.zeros(1)],
        {0: torch.zeros(1)},
        {**STATE, "epoch": 3},
        {"model": {"a": 1}},
    ],
    ids=str,
)
def test_something_else_than_named_tensors_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    assert "holds something else than named tensors" in refusal(tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (torch.ones(3).to(torch.float8_e4m3fn), "a.weight as torch.float8_e4m3fn"),
        (torch.tensor([1.0, 1e300], dtype=torch.float64), "a.weight that are too large"),
    ],
    ids=["float8", "beyond float32"],
)
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_numbers_that_float32_cannot_hold_are_refused(tmp_path, tensor, words, suffix):
    file = tmp_path / f"weights.{suffix}"
    (torch.save if suffix == "pth" else save_file)({"a.weight": tensor}, file)
    with pytest.raises(WeightsError, match=re.escape(words)):
        read_state_dict(file)


def test_double_precision_is_read_with_its_infinities(tmp_path):
    torch.save({"a": torch.tensor([1.5, torch.inf], dtype=torch.float64)}, tmp_path / "w.pth")
    assert read_state_dict(tmp_path / "w.pth")["a"].tolist() == [1.5, torch.inf]


@pytest.mark.filterwarnings("ignore")  # of sparse tensors being checked
@pytest.mark.parametrize(
    "tensor", [torch.zeros(3, device="meta"), torch.zeros(3).to_sparse()], ids=["meta", "sparse"]
)
def test_tensors_without_plain_numbers_are_refused(tmp_path, tensor):
    torch.save({"a.weight": tensor}, tmp_path / "w.pth")
    message = refusal(tmp_path / "w.pth")
    assert "sparse or without numbers, for example a.weight" in message


@pytest.mark.parametrize("suffix", [".safetensors", *TORCH_SUFFIXES])
@pytest.mark.parametrize("kept", [0, 7, -20])
def test_a_damaged_file_is_refused(tmp_path, suffix, kept):
    path = tmp_path / f"w{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(STATE, path)
    path.write_bytes(path.read_bytes()[:kept])
    assert "damaged" in refusal(path)


def test_a_missing_file_and_one_of_another_kind_are_refused(tmp_path):
    assert "does not exist (model.weights)" in refusal(tmp_path / "nowhere.pth")
    for name in ("w.h5", "w.tar", "safetensors", "w.pth.gz"):
        (tmp_path / name).touch()
        assert "is neither .safetensors nor .pth" in refusal(tmp_path / name)


# --- looking for ImageNet weights -----------------------------------------------------------------

PUBLISHED, CONTENT = published_file(STATE)
OTHER = {"b": torch.ones(3)}


@pytest.fixture(autouse=True)
def machine_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy, no pauses, and a cache of torch that is empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(weights_download, "PAUSE", 0)
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[WeightsServer]:
    with weights_server(CONTENT) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("results/weights")
    path.mkdir(parents=True)
    return path


TARGET = Path("results/weights/resnet18-start-auto.safetensors")


def choose(server: WeightsServer | None, insist: bool = False, target: Path = TARGET) -> Start:
    url = f"{server.address if server else 'http://127.0.0.1:1'}/{PUBLISHED}"
    choose_imagenet("resnet18", insist, target, Path("results/weights"), url)
    return read_start(target, "resnet18")


def put_in_cache(content: bytes) -> Path:
    path = Path(torch.hub.get_dir()) / "checkpoints" / PUBLISHED
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def own_weights() -> State:
    """Weights of a resnet18 that a user might have."""
    return ARCHITECTURES["resnet18"].build(weights=None, num_classes=1000).state_dict()


@pytest.mark.parametrize("insist", [True, False])
def test_weights_are_fetched_converted_and_kept_once(server, folder, insist, caplog):
    caplog.set_level(logging.INFO, "cxrcam")
    start = choose(server, insist)
    origin = f"{PUBLISHED} sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    assert (start.kind, start.origin, start.reason, start.normalisation) == (
        *("imagenet", origin, ""),
        None,
    )
    assert same(start.tensors, STATE)
    assert same(load_file(TARGET), STATE)
    found = f"fetched from {server.address}/{PUBLISHED}"
    assert recorded_start(TARGET) == {"kind": "imagenet", "origin": origin, "found": found}
    assert list(folder.iterdir()) == [TARGET]
    assert f"ImageNet weights of resnet18: {origin}, {found}." in caplog.messages


@pytest.mark.parametrize("suffix", [".safetensors", *TORCH_SUFFIXES])
def test_a_file_that_the_user_put_there_is_taken_first(server, folder, own_weights, suffix):
    put_in_cache(CONTENT)
    (folder / PUBLISHED).write_bytes(CONTENT)
    own = folder / f"resnet18-imagenet{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(own_weights, own)
    start = choose(server)
    assert same(start.tensors, own_weights)
    assert start.origin == file_origin(own)
    assert recorded_start(TARGET)["found"] == "in results/weights"
    assert server.asked == []
    assert own.is_file()


def test_torchvision_s_own_file_is_taken_from_the_folder_then_from_torch_s_cache(server, folder):
    cached = put_in_cache(CONTENT)
    (folder / PUBLISHED).write_bytes(CONTENT)
    assert same(choose(server).tensors, STATE)
    assert recorded_start(TARGET)["found"] == "in results/weights"
    assert (folder / PUBLISHED).is_file()  # it is the user's
    (folder / PUBLISHED).unlink()
    assert same(choose(server).tensors, STATE)
    assert recorded_start(TARGET)["found"] == "in torch's cache"
    assert server.asked == []
    assert cached.is_file()


def test_the_file_to_be_written_is_not_taken_for_one_to_read(server, folder, own_weights):
    target = folder / "resnet18-imagenet.safetensors"
    save_file(own_weights, target)
    assert same(choose(server, target=target.absolute()).tensors, STATE)


def test_a_damaged_file_in_torch_s_cache_is_passed_over_and_said(server, folder, caplog):
    cached = put_in_cache(CONTENT[:-1])
    assert same(choose(server).tensors, STATE)
    assert len(server.asked) == 1
    assert f"{cached} has another checksum than the one in its name: it is not used." in caplog.text


@pytest.mark.parametrize("insist", [True, False])
def test_a_file_of_the_user_that_cannot_be_used_is_an_error_not_passed_over(
    server, folder, insist, own_weights
):
    (folder / PUBLISHED).write_bytes(CONTENT[:-1])
    with pytest.raises(WeightsError, match=rf"'results/weights/{PUBLISHED}'.*another checksum"):
        choose(server, insist)
    (folder / PUBLISHED).unlink()
    own = folder / "resnet18-imagenet.safetensors"
    for state in (OTHER, {**own_weights, "conv1.weight": torch.full((64, 3, 7, 7), torch.nan)}):
        save_file(state, own)
        with pytest.raises(WeightsError, match=rf"'{own}'.*(not those of resnet18|NaN).*delete it"):
            choose(server, insist)
    own.write_bytes(b"cut")
    with pytest.raises(WeightsError, match=rf"'{own}'.*damaged"):
        choose(server, insist)
    assert not TARGET.exists()
    assert server.asked == []


def test_without_weights_who_insists_gets_an_error_with_the_ways_out(folder):
    with pytest.raises(WeightsError) as caught:
        choose(None, insist=True)
    for words in (
        "ImageNet weights of resnet18 are neither in results/weights nor in torch's cache",
        f"http://127.0.0.1:1/{PUBLISHED} could not be fetched: no connection",
        f"put {PUBLISHED} into results/weights",
        "set model.weights to a local file, or to random.",
    ):
        assert words in str(caught.value)
    assert list(folder.iterdir()) == []


def test_without_weights_others_start_from_random_ones_and_the_reason_is_recorded(folder, caplog):
    start = choose(None)
    assert (start.kind, start.origin, start.tensors) == ("random", "random", None)
    assert start.normalisation is None
    assert start.reason.startswith(
        "The ImageNet weights of resnet18 are neither in results/weights"
    )
    assert "no connection" in start.reason
    assert start.reason.endswith(".")
    assert recorded_start(TARGET) == {
        **{"kind": "random", "origin": "random"},
        "reason": start.reason,
    }
    assert load_file(TARGET) == {}
    assert list(folder.iterdir()) == [TARGET]
    (message,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    for words in (start.reason, "random weights", f"put {PUBLISHED} into", f"delete {TARGET}"):
        assert words in message


def test_what_came_of_a_cut_off_file_is_there_for_the_next_run(server, folder):
    server.faults = [3, 0, 0]
    with pytest.raises(WeightsError, match=r"What came is kept in .*\.part: run again to go on\."):
        choose(server, insist=True)
    assert same(choose(server, insist=True).tensors, STATE)
    assert server.asked[-1][1] == "bytes=3-"
    assert list(folder.iterdir()) == [TARGET]


def test_a_file_of_the_wrong_checksum_is_never_converted(server, folder):
    server.content = CONTENT + b"tampered"
    with pytest.raises(WeightsError, match="another checksum"):
        choose(server, insist=True)
    assert choose(server).kind == "random"
    assert list(folder.iterdir()) == [TARGET]


def test_two_jobs_that_want_the_same_file_do_not_write_the_same_part_at_once(server, folder):
    server.faults = [("wait", 0.2), ("wait", 0.2)]
    targets = [folder / f"resnet18-start-{n}.safetensors" for n in (1, 2)]
    jobs = [threading.Thread(target=choose, args=(server, True, target)) for target in targets]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert all(same(read_start(target, "resnet18").tensors, STATE) for target in targets)
    assert server.busiest == 1


def test_tensors_that_share_memory_in_a_file_are_written_apart(server, folder):
    whole = torch.arange(12.0).reshape(3, 4)
    state = {"a": whole, "b": whole[1], "c": whole.T}
    name, server.content = published_file(state)
    choose_imagenet("resnet18", True, TARGET, folder, f"{server.address}/{name}")
    assert same(load_file(TARGET), state)


def test_the_same_choice_gives_the_same_bytes(server, folder):
    choose(server)
    before = TARGET.read_bytes()
    TARGET.unlink()
    choose(server)
    assert TARGET.read_bytes() == before
    with safe_open(TARGET, framework="pt") as file:
        assert list(file.metadata()) == ["cxrcam"]


def test_the_user_s_random_state_is_left_alone(folder, own_weights):
    save_file(own_weights, folder / "resnet18-imagenet.safetensors")
    before = torch.random.get_rng_state()
    choose(None)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_without_another_address_it_is_torchvision_s(folder):
    (folder / "resnet18-f37072fd.pth").write_bytes(b"other")
    with pytest.raises(WeightsError, match=r"resnet18-f37072fd\.pth' has another checksum"):
        choose_imagenet("resnet18", False, TARGET, folder)


# --- reading the choice ---------------------------------------------------------------------------


def test_any_other_file_of_weights_is_known_by_its_name_and_checksum(tmp_path):
    torch.save({"state_dict": STATE}, tmp_path / "mine.ckpt")
    start = read_start(tmp_path / "mine.ckpt", "resnet18")
    digest = hashlib.sha256((tmp_path / "mine.ckpt").read_bytes()).hexdigest()
    assert (start.kind, start.origin) == ("file", f"mine.ckpt sha256:{digest}")
    assert same(start.tensors, STATE)
    assert start.normalisation is None
    assert recorded_start(tmp_path / "mine.ckpt") == {}


def test_a_network_of_torchxrayvision_brings_its_normalisation(tmp_path):
    state = {
        "features.conv0.weight": torch.zeros(64, 1, 7, 7),
        "classifier.weight": torch.zeros(18, 1024),
        "op_threshs": torch.zeros(18),
    }
    torch.save(state, tmp_path / "txrv.pth")
    mean, std = read_start(tmp_path / "txrv.pth", "resnet18").normalisation
    assert mean == (0.5, 0.5, 0.5)
    assert std == (1 / 2048, 1 / 2048, 1 / 2048)


@pytest.mark.parametrize(
    "record",
    [
        *("no JSON", "[]", "3", "{}", '{"kind": "imagenet"}', '{"kind": 1, "origin": "x"}'),
        *('{"kind": "file", "origin": "x"}', '{"kind": "imagenet", "origin": 3}'),
        json.dumps({"classes": ["A"], "architecture": "resnet18"}),  # the card of a model
    ],
)
def test_what_is_no_record_of_a_choice_is_not_taken_for_one(tmp_path, record):
    save_file(STATE, tmp_path / "w.safetensors", metadata={"cxrcam": record})
    assert recorded_start(tmp_path / "w.safetensors") == {}
    assert read_start(tmp_path / "w.safetensors", "resnet18").kind == "file"


@pytest.mark.parametrize(
    "content",
    [b"", b"\x05", b"\xff" * 100, b"\x02\0\0\0\0\0\0\0{}", b"\x02\0\0\0\0\0\0\0[]"],
    ids=str,
)
def test_the_record_of_a_missing_or_damaged_file_is_empty(tmp_path, content):
    path = tmp_path / "w.safetensors"
    assert recorded_start(path) == {}
    path.write_bytes(content)
    assert recorded_start(path) == {}


def test_a_record_is_read_without_pytorch(server, folder):
    choose(server)
    code = (
        "import sys; from pathlib import Path\n"
        "from workflow_scripts.cxrcam.networks.weights.recorded_start import recorded_start\n"
        f"print(recorded_start(Path({str(TARGET.absolute())!r}))['kind'], 'torch' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    ran = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True)
    assert ran.stdout.split() == [b"imagenet", b"False"]


def test_a_damaged_choice_is_refused(server, folder):
    choose(server)
    TARGET.write_bytes(TARGET.read_bytes()[:-4])
    with pytest.raises(WeightsError, match=r"resnet18-start-auto\.safetensors.*damaged"):
        read_start(TARGET, "resnet18")
