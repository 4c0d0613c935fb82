"""Weights: those of the network asked for, or refused; code inside is never run."""

import json
import logging
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.fuzz import corpus
from workflow_scripts.cxrcam.networks.architectures import ARCHITECTURES, Backbone
from workflow_scripts.cxrcam.networks.models import (
    METADATA_KEY,
    ModelCard,
    WeightsError,
    build_classifier,
    load_model,
    load_pretrained,
    save_model,
)
from workflow_scripts.cxrcam.networks.training.checkpoints import Checkpoints, State
from workflow_scripts.cxrcam.networks.weights.files import read_state_dict
from workflow_scripts.cxrcam.networks.weights.initial_weights import read_start

pytestmark = [
    pytest.mark.usefixtures("one_torch_thread"),
    pytest.mark.filterwarnings("ignore:Detected pickle protocol"),
]
# The smallest network: what is refused does not depend on its size.
NETWORK = "squeezenet1_1"
HEAD = ARCHITECTURES[NETWORK].head
CARD = ModelCard(
    classes=["Normal", "COVID"],
    architecture=NETWORK,
    image_size=32,
    mean=[0.5] * 3,
    std=[0.25] * 3,
    weights_origin="random",
    configuration_hash="c0ffee",
    data_fingerprint="f00d",
    training={"epochs": 1},
)


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    return build_classifier(Backbone(NETWORK), 2, seed=1)


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    """Weights for 1,000 classes, as they are published."""
    return build_classifier(Backbone(NETWORK), 1000, seed=77).state_dict()


def refusal(path: Path) -> str | None:
    """Why a file of weights is refused; None where a network is built of it."""
    try:
        network = build_classifier(Backbone(NETWORK), 2, seed=0)
        load_pretrained(network, Backbone(NETWORK), read_start(path, NETWORK).tensors)
    except WeightsError as error:
        assert "Traceback" not in str(error)
        assert str(error).endswith("."), error
        return str(error)
    return None


# --- weights that a user names --------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_only_tensors_of_this_architecture_are_taken(published, tmp_path, tried, suffix) -> None:
    path = tmp_path / f"w.{suffix}"
    write = save_file if suffix == "safetensors" else torch.save
    for name, state in corpus.odd_tensors(published, HEAD):
        write(state, path)
        assert refusal(path), f"{name} was accepted"
        tried("weights: other tensors")
    write(published, path)
    assert refusal(path) is None
    # Half precision is how large files are published; a head of other classes is left out.
    write({k: v.half() for k, v in published.items()}, path)
    assert refusal(path) is None
    write({k: v for k, v in published.items() if not k.startswith(HEAD)}, path)
    assert refusal(path) is None
    tried("weights: as published", 3)


def test_weights_of_every_other_architecture_are_refused(tmp_path, tried) -> None:
    for other in ("resnet18", "mobilenet_v2"):
        save_file(
            build_classifier(Backbone(other), 2, seed=0).state_dict(), tmp_path / "w.safetensors"
        )
        assert f"not those of {NETWORK}" in str(refusal(tmp_path / "w.safetensors"))
        tried("weights: other tensors")


def test_damaged_safetensors_are_refused(tmp_path, tried) -> None:
    state = {"a.weight": torch.arange(60.0).reshape(6, 10), "a.bias": torch.zeros(6)}
    save_file(state, tmp_path / "whole.safetensors", metadata={"a": "b"})
    content = (tmp_path / "whole.safetensors").read_bytes()
    for name, broken in corpus.damaged_safetensors(content, 1):
        (tmp_path / "w.safetensors").write_bytes(broken)
        tried("weights: damaged files")
        if name != "an empty header":
            with pytest.raises(WeightsError):
                read_state_dict(tmp_path / "w.safetensors")


def pickles(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Files that would touch a file when a careless program reads them."""
    harmful = corpus.Harmful(folder / "harmed")
    for name, content in {
        "alone": harmful,
        "for a tensor": {"a.weight": harmful},
        "for a name": {harmful: torch.zeros(1)},
        "beside tensors": {"a.weight": torch.zeros(1), "epoch": harmful},
        "in a state dict": {"state_dict": {"a.weight": harmful}},
        "in a list": [harmful],
    }.items():
        for protocol in range(2, 6):
            yield f"{name}, protocol {protocol}", pickle.dumps(content, protocol)
        for zipped in (True, False):
            torch.save(content, folder / "p", _use_new_zipfile_serialization=zipped)
            yield f"{name}, zipped {zipped}", (folder / "p").read_bytes()
    module = torch.nn.Linear(2, 2)
    torch.save(module, folder / "p")
    yield "a module", (folder / "p").read_bytes()
    yield "an instruction", b"cos\nsystem\n(S'touch harmed'\ntR."
    yield "an instruction, zipped", zipped_pickle(b"cos\nsystem\n(S'touch harmed'\ntR.", folder)
    yield "builtins.eval", b'c__builtin__\neval\n(S\'open("harmed","w")\'\ntR.'


def zipped_pickle(instructions: bytes, folder: Path) -> bytes:
    with zipfile.ZipFile(folder / "z", "w") as file:
        file.writestr("archive/data.pkl", instructions)
        file.writestr("archive/version", "3\n")
        file.writestr("archive/byteorder", "little")
    return (folder / "z").read_bytes()


def test_code_in_a_pickle_is_refused_and_never_run(tmp_path, monkeypatch, tried) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for name, content in pickles(tmp_path):
        for suffix in (".pth", ".pt", ".safetensors"):
            path = tmp_path / f"w{suffix}"
            path.write_bytes(content)
            with pytest.raises(WeightsError):
                read_state_dict(path)
            tried("weights: pickles with code")
        assert not (tmp_path / "harmed").exists(), name
        assert not Path("harmed").exists(), name
    # The corpus does harm where it is let: the test would be worth nothing otherwise.
    pickle.loads(pickle.dumps(corpus.Harmful(tmp_path / "harmed")))
    assert (tmp_path / "harmed").exists()


def test_cut_off_pickles_are_refused(tmp_path, tried) -> None:
    torch.save({"a.weight": torch.zeros(100)}, tmp_path / "whole.pth")
    content = (tmp_path / "whole.pth").read_bytes()
    for length in range(0, len(content), 10):
        (tmp_path / "w.pth").write_bytes(content[:length])
        tried("weights: damaged files")
        with pytest.raises(WeightsError):
            read_state_dict(tmp_path / "w.pth")


# --- models that the workflow saved ---------------------------------------------------------------


def cards() -> Iterator[tuple[str, object]]:
    """What may stand in place of a model's card."""
    card = vars(CARD)
    yield "nothing", None
    yield "no mapping", [1, 2]
    for key in card:
        if key not in {
            "input_size",
            "input_part",
            "last_stage",
            "map_stride",
            "sub_classes",
            "findings",
        }:  # newer
            yield f"without {key}", {k: v for k, v in card.items() if k != key}
    yield "an unknown key", card | {"unknown": 1}
    for key, values in {
        "classes": (None, 2, "AB", [], ["A"], ["A", "B", "C"], [1, 2], ["A", "A"]),
        "architecture": (None, 1, "vgg16", [], "resnet18", "__class__"),
        "image_size": (None, "32", 0, -1, 1.5, True),
        "input_size": ("32", 0, -1),
        "mean": (None, 0.5, [0.5], "abc", [None] * 3, [float("nan")] * 3),
        "std": (None, [0.0] * 3, [-1.0] * 3, [0.1] * 2),
        "input_part": (None, 3),
        "last_stage": (0, 2, 9, "layer3", 1.5),
        "map_stride": (0, 3, 32, "8"),
        "sub_classes": (None, 0, -1, 2, "2", 1.5, True),
        "findings": (None, 1, "yes", []),
        "training": (None, [], "x"),
    }.items():
        for value in values:
            yield f"{key} {value!r}", card | {key: value}


def test_a_model_with_a_card_that_says_something_else_is_refused(network, tmp_path, tried) -> None:
    path = tmp_path / "model.safetensors"
    for name, card in cards():
        metadata = None if card is None else {METADATA_KEY: json.dumps(card)}
        save_file(network.state_dict(), path, metadata=metadata)
        tried("models: cards")
        with pytest.raises(WeightsError, match="delete it"):
            load_model(path)
            pytest.fail(f"{name} was accepted")
    save_model(path, network, CARD)
    assert load_model(path)[1] == CARD


def test_a_model_with_other_tensors_is_refused(network, tmp_path, tried) -> None:
    path = tmp_path / "model.safetensors"
    metadata = {METADATA_KEY: json.dumps(vars(CARD))}
    for name, state in corpus.odd_tensors(network.state_dict(), HEAD):
        save_file(state, path, metadata=metadata)
        tried("models: other tensors")
        with pytest.raises(WeightsError, match="delete it"):
            load_model(path)
            pytest.fail(f"{name} was accepted")


# --- checkpoints ----------------------------------------------------------------------------------


def test_damaged_checkpoints_are_never_used(tmp_path, tried) -> None:
    log = logging.getLogger("silent")
    log.disabled = True
    checkpoints = Checkpoints(tmp_path / "c.safetensors", "f", 1.0, log)
    state = State({"w": torch.arange(20.0)}, {"epoch": 3, "best": None})
    checkpoints.save(state)
    content = checkpoints.path.read_bytes()
    broken = [content[:n] for n in range(0, len(content), 5)]
    broken += [c for _, c in corpus.damaged_safetensors(content, 10**9)]
    rng = np.random.default_rng(4)
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(rng.integers(8))
        broken.append(bytes(flipped))
    for changed in broken:
        checkpoints.path.write_bytes(changed)
        tried("checkpoints: damaged")
        found = checkpoints.load()
        if found is not None:  # a bit where nothing is kept
            assert found.digest() == state.digest()
