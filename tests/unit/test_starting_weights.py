"""What networks start from is said: which weights, where they were found, why there were none."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from workflow_scripts.cxrcam.networks.weights.starting_weights import (
    planned_starts,
    start_of_model,
    start_sentence,
    starts_in_words,
)

RANDOM = {"kind": "random", "origin": "random"}
IMAGENET = {
    **{"kind": "imagenet", "origin": "resnet18-imagenet.safetensors sha256:ab"},
    "found": "in results/weights",
}
NONE_FOUND = {**RANDOM, "reason": "The ImageNet weights of resnet18 are nowhere."}


def written(path: Path, content: dict[str, str]) -> Path:
    save_file({"a": np.zeros(1)}, path, metadata={"cxrcam": json.dumps(content)})
    return path


@pytest.mark.parametrize(
    ("start", "sentence"),
    [
        (
            IMAGENET,
            "Networks start from ImageNet weights "
            "(resnet18-imagenet.safetensors, found in results/weights).",
        ),
        (
            {**IMAGENET, "found": "fetched from https://x.org/r.pth"},
            "Networks start from ImageNet weights "
            "(resnet18-imagenet.safetensors, fetched from https://x.org/r.pth).",
        ),
        (RANDOM, "Networks start from random weights."),
        (
            {"kind": "file", "origin": "mine.pth sha256:ab"},
            "Networks start from the weights of mine.pth.",
        ),
    ],
)
def test_one_sentence_says_what_networks_start_from(start: dict[str, str], sentence: str) -> None:
    assert start_sentence(start) == sentence


def test_random_weights_that_nobody_asked_for_stand_out_with_the_reason_and_the_way_out() -> None:
    sentence = start_sentence(NONE_FOUND)
    assert "start from RANDOM weights. The ImageNet weights of resnet18 are nowhere. " in sentence
    assert "results/weights" in sentence
    assert "--forcerun weights" in sentence


def test_schemes_that_start_alike_are_told_once_and_others_by_name() -> None:
    assert starts_in_words({"a": RANDOM, "b": dict(RANDOM)}) == [start_sentence(RANDOM)]
    told = starts_in_words({"a": RANDOM, "b": IMAGENET, "c": RANDOM})
    assert told == [start_sentence(RANDOM, "a, c"), start_sentence(IMAGENET, "b")]
    assert told[0] == "Networks of a, c start from random weights."


def test_each_scheme_gets_the_record_of_its_own_file(tmp_path: Path) -> None:
    chosen = written(tmp_path / "resnet18-start-auto.safetensors", IMAGENET)
    mine = tmp_path / "mine.pth"
    mine.write_bytes(b"anything")
    weights = {"a": "random", "b": str(mine), "c": "auto"}
    assert planned_starts(weights, [str(mine), str(chosen)]) == {
        **{"a": RANDOM, "b": {"kind": "file", "origin": "mine.pth"}},
        "c": IMAGENET,
    }


def test_a_trained_network_s_own_card_has_the_last_word(tmp_path: Path) -> None:
    model = written(tmp_path / "a.safetensors", {"weights_origin": IMAGENET["origin"]})
    assert start_of_model(model, IMAGENET) == IMAGENET
    assert start_of_model(model, NONE_FOUND)["origin"] == IMAGENET["origin"]
    model = written(tmp_path / "b.safetensors", {"weights_origin": "random"})
    assert start_of_model(model, NONE_FOUND) == NONE_FOUND
    assert start_of_model(model, IMAGENET) == RANDOM


def test_what_only_shows_results_does_not_wait_for_pytorch() -> None:
    code = (
        "import sys, workflow_scripts.cxrcam.networks.weights.starting_weights; "
        "print('torch' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
