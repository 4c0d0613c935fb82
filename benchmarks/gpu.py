"""How fast it trains and predicts on a GPU: `python -m benchmarks.gpu`, wherever one is found.

Needs nothing but torch, torchvision, pyarrow, safetensors, NumPy, SciPy, Pillow, pandas and this
project. Draws its own phantoms, compares the GPU's logits with the CPU's, and prints one table. The
ceiling of a training is measured beside it: bare steps on one batch that lies in the GPU's memory,
recorded as a whole in one CUDA graph. How busy the GPU is, is nvidia-smi's share of the time in
which it computes anything, while training runs.
"""

import argparse
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

import numpy as np
import pandas as pd
import torch
from torch import nn

from workflow_scripts.cxrcam.networks.architectures import Backbone
from workflow_scripts.cxrcam.networks.device_images import Normalisation, Pixels
from workflow_scripts.cxrcam.networks.devices import autocast, choose_precision, set_up_torch
from workflow_scripts.cxrcam.networks.models import build_classifier
from workflow_scripts.cxrcam.networks.prediction import predict
from workflow_scripts.cxrcam.networks.training.cuda_graphs import WARM_UPS, own_stream
from workflow_scripts.cxrcam.networks.training.loop import train
from workflow_scripts.cxrcam.networks.training.recipe import TrainSettings
from workflow_scripts.cxrcam.networks.training.step import Learner
from workflow_scripts.cxrcam.phantom.dataset import draw_phantom, phantom_rng
from workflow_scripts.cxrcam.phantom.traits import PhantomSettings

RESNET18 = Backbone("resnet18")
IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def settings(batch_size: int, epochs: int, every: int) -> TrainSettings:
    """A plain recipe whose history holds the clock."""
    return TrainSettings.from_mapping(
        {
            **{"epochs": epochs, "batch_size": batch_size, "optimizer": "adam"},
            **{"learning_rate": 1e-4, "momentum": 0.9, "weight_decay": 0.0},
            **{"schedule": "constant", "horizontal_flip": 0.5, "watch": []},
            **{"evaluate_every": every, "keep": "last", "patience": 0},
        }
    )


@contextmanager
def watched(busy: list[float]) -> Iterator[None]:
    """Collect the GPU's utilisation in percent, five times a second, where nvidia-smi is there."""
    if shutil.which("nvidia-smi") is None:
        yield
        return
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    with subprocess.Popen([*command, "-lms", "200"], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield
        finally:
            process.terminate()
            said = process.communicate()[0].split()
            busy += [float(line) for line in said if line.isdigit()]


def training_speed(
    part: Pixels, batch_size: int, steps: int, recorded: bool
) -> tuple[float, float, float]:
    """Steps/s without the first tenth of them, the loss at the end, and percent of GPU busy."""
    epochs = max(1, round(steps * batch_size / len(part)))
    model = build_classifier(RESNET18, 2, 0)
    precision = choose_precision("auto", part.labels.device)
    every = max(1, steps // 10)
    rng = np.random.default_rng(0)
    recipe = settings(batch_size, epochs, every)
    busy: list[float] = []
    with watched(busy):
        learner = Learner(model, part, recipe, IMAGENET, precision, cuda_graphs=recorded)
        history = train(learner, {}, rng)
    first, last = history[0], history[-1]
    steps_a_second = (last["iteration"] - first["iteration"]) / (last["seconds"] - first["seconds"])
    # The first half is starting up; a sample looks back over a part of a second.
    return steps_a_second, last["loss"], median(busy[len(busy) // 2 :] or [float("nan")])


def bare_speed(part: Pixels, batch_size: int, steps: int) -> float:
    """Steps/s on one batch: no data, no evaluation, nothing summed up; one CUDA graph."""
    device = part.labels.device
    precision = choose_precision("auto", device)
    model = build_classifier(RESNET18, 2, 0).to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True, capturable=True)
    rows = torch.arange(batch_size, device=device)
    images, labels = part.batch(rows, None, part.side, IMAGENET), part.labels[:batch_size]

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with autocast(device, precision, keep_casts=False):
            loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()

    with own_stream(device):
        for _ in range(WARM_UPS):
            step()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=torch.cuda.current_stream()):
            step()
    return steps / timed(lambda: [graph.replay() for _ in range(steps)])


def timed(action: Callable[[], object]) -> float:
    """Seconds of one call, with the device idle before and after."""
    torch.cuda.synchronize()
    began = time.perf_counter()
    action()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def training_rows(part: Pixels, deterministic: bool) -> list[dict[str, object]]:
    """Ours, with and without CUDA graphs, and the ceiling.

    A fault of one is a line of the table, so that the others are measured all the same.
    """
    rows: list[dict[str, object]] = []
    for batch_size, steps in ((512, 150), (256, 250), (6, 2500)):
        for recorded in (True, False) if deterministic else (True,):
            row: dict[str, object] = {
                "what": f"training, batch {batch_size}{', without CUDA graphs' * (not recorded)}",
                "deterministic": deterministic,
            }
            try:
                few = steps if recorded else steps // 4
                speed, row["last loss"], row["busy %"] = training_speed(
                    part, batch_size, few, recorded
                )
                row |= {"steps/s": speed, "images/s": speed * batch_size}
                if recorded:
                    row["bare images/s"] = bare_speed(part, batch_size, few) * batch_size
            except RuntimeError as error:
                row["fault"] = str(error).splitlines()[0][:80]
            rows.append(row)
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=6144)
    parser.add_argument("--side", type=int, default=224)
    chosen = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("PyTorch sees no GPU here: run this where there is one.")
    device = torch.device("cuda")
    drawn = PhantomSettings(size=chosen.side)
    few = np.stack(
        [
            draw_phantom(finding, phantom_rng(0, finding, k), drawn).image
            for k in range(16)
            for finding in ("Normal", "COVID")
        ]
    )
    pixels = few[np.arange(chosen.images) % len(few)]
    part = Pixels.on(device, pixels, np.arange(chosen.images) % 2)
    rows = []
    for deterministic in (True, False):
        torch.use_deterministic_algorithms(False)
        set_up_torch(4, deterministic)
        rows += training_rows(part, deterministic)
    model = build_classifier(RESNET18, 2, 0)
    predict(model, RESNET18, pixels[:256], IMAGENET, device, batch_size=256)
    spent = timed(lambda: predict(model, RESNET18, pixels, IMAGENET, device, batch_size=256))
    rows.append({"what": "predictions and maps, float32", "images/s": len(pixels) / spent})
    on_gpu = predict(model, RESNET18, few, IMAGENET, device).logits
    on_cpu = predict(model, RESNET18, few, IMAGENET, torch.device("cpu")).logits
    print(pd.DataFrame(rows).round(3).to_string(index=False, na_rep="-"))
    print(f"\n{torch.cuda.get_device_name()}, torch {torch.__version__}")
    print(f"Largest difference of a logit between GPU and CPU: {np.abs(on_gpu - on_cpu).max():.4f}")


if __name__ == "__main__":
    main()
