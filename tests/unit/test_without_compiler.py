"""PyTorch without its compiler, in processes of their own: modules cannot be unloaded."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]

TRAINING = """
import sys, numpy as np, torch
from workflow_scripts.cxrcam.networks.architectures import Backbone, torchvision
from workflow_scripts.cxrcam.networks.devices import set_up_torch
from workflow_scripts.cxrcam.networks.models import build_classifier
from workflow_scripts.cxrcam.networks.device_images import Normalisation, Pixels
from workflow_scripts.cxrcam.networks.training.recipe import TrainSettings
from workflow_scripts.cxrcam.networks.training.loop import train
from workflow_scripts.cxrcam.networks.training.step import Learner
from workflow_scripts.cxrcam.networks.without_compiler import compiler_left_out

recipe = TrainSettings(
    epochs=2, batch_size=6, optimizer="{optimizer}", learning_rate=0.01, momentum=0.9,
    weight_decay=0.01, schedule="constant", horizontal_flip=0.5, watch=(), evaluate_every="epoch",
    keep="last", patience=0,
)
pixels = np.random.default_rng(0).integers(0, 256, (12, 32, 32), np.uint8)
part = Pixels.on(torch.device("cpu"), pixels, np.arange(12) % 2)

def weights():
    set_up_torch(1, deterministic=True)
    model = build_classifier(Backbone("resnet18"), 2, 0)
    normalisation = Normalisation((0.5,) * 3, (0.2,) * 3)
    learner = Learner(model, part, recipe, normalisation, "float32")
    train(learner, {{}}, np.random.default_rng(0))
    return model.state_dict()

with compiler_left_out():
    without = weights()
print("sympy" in sys.modules, "triton" in sys.modules, "torch._dynamo" in sys.modules)

from torch._dynamo.utils import counters  # the real one
import torch._dynamo
real = torch._dynamo
with compiler_left_out():
    assert sys.modules["torch._dynamo"] is real
    with_it = weights()
print(all(torch.equal(without[name], with_it[name]) for name in without))
"""


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_training_needs_no_compiler_and_ends_with_the_same_bits_with_it(optimizer: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TRAINING.format(optimizer=optimizer)],
        **{"cwd": PROJECT, "capture_output": True, "text": True, "check": False},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["False"] * 3 + ["True"]
