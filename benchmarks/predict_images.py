"""How fast new images are answered: `python -m benchmarks.predict_images`, with nothing else on.

From files on the disk to logits and maps (reading, decoding, checksums, fingerprints, resizing, the
network), beside the bare forward pass of the same network on the same images, decoded and in
memory. Both take turns in one process, the network with one thread each; decoding may use the other
cores, as in the workflow. Then, apart, what is done once all images were asked about: comparing
them with 10,000 training images, and drawing. All images are phantoms. Medians of the rounds, and
the ratios of each round; written to results/benchmarks/predict_images.csv.
"""

import argparse
import os
import shutil
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import torch

from benchmarks.speed import CPU, IMAGENET, RESNET18
from benchmarks.workflow import clocked
from workflow_scripts.cxrcam.data.decoding import decode_images
from workflow_scripts.cxrcam.duplicates.likeness import likeness
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps
from workflow_scripts.cxrcam.networks.models import ModelCard, build_classifier
from workflow_scripts.cxrcam.new_images.decoding import decoded_batches
from workflow_scripts.cxrcam.new_images.ensemble import ask_networks
from workflow_scripts.cxrcam.new_images.listing import list_new_images
from workflow_scripts.cxrcam.phantom.dataset import write_phantom_dataset
from workflow_scripts.cxrcam.phantom.traits import PhantomSettings
from workflow_scripts.cxrcam.report.answers.pictures import Drawing, write_answer_pictures

DRAWN = 100  # different phantoms; the others are copies, as decoding does not know
BATCH = 64
N_TRAINING = 10_000
N_PICTURES = 100


def make_files(folder: Path, n: int) -> None:
    """Phantoms of 299 × 299 pixels as PNG files, whose copies have other names."""
    write_phantom_dataset(
        folder / "drawn", {"Normal": DRAWN}, 0, PhantomSettings(size=299, difficulty=0.2), 2
    )
    files = sorted((folder / "drawn/Normal/images").glob("*.png"))
    (folder / "new").mkdir()
    for k in range(n):
        shutil.copyfile(files[k % len(files)], folder / "new" / f"{k:05d}.png")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=250)
    parser.add_argument("--sizes", type=int, nargs="+", default=[129, 224])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory(prefix="cxrcam-benchmark-") as place:
        folder = Path(place)
        make_files(folder, arguments.images)
        images = list_new_images(str(folder / "new"))
        for size in arguments.sizes:
            rows.append(forward_row(images, size, arguments.rounds, arguments.cores))
        rows += afterwards_rows(folder, images, arguments.cores)
    table = pd.DataFrame(rows)
    print(table.to_string(index=False))
    target = Path("results/benchmarks/predict_images.csv")
    target.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(target, index=False)


def forward_row(images: list, size: int, rounds: int, cores: int) -> dict[str, object]:
    """Images/s from files to logits and maps, and of the bare forward pass, in turns."""
    model = build_classifier(RESNET18, 2, 0).eval()
    card = ModelCard(
        ["Normal", "COVID"],
        *(
            RESNET18.architecture,
            size,
            list(IMAGENET.mean),
            list(IMAGENET.std),
            "random",
            "",
            "",
            {},
        ),
    )
    files = [(image.image_id, Path(image.path)) for image in images]
    _, _, pixels = decode_images(files, size, "bilinear", 10**8, cores)
    fast = model.to(memory_format=torch.channels_last)

    def forward() -> None:
        with torch.inference_mode():
            for start in range(0, len(pixels), BATCH):
                fast(IMAGENET.apply(torch.from_numpy(pixels[start : start + BATCH])))

    def ours() -> None:
        batches = decoded_batches(images, size, "bilinear", 10**8, cores)
        ask_networks([(model, card)], batches, CPU)

    bare, whole = [], []
    for _ in range(rounds):
        bare.append(len(images) / clocked(forward))
        whole.append(len(images) / clocked(ours))
    ratios = [b / a for a, b in zip(bare, whole, strict=True)]
    return {
        "what": f"{len(images)} files to logits and maps, {RESNET18.architecture} at {size} px",
        "images/s": median(whole),
        "bare forward pass": median(bare),
        "ratio": median(ratios),
        "ratios": " ".join(f"{ratio:.2f}" for ratio in ratios),
    }


def afterwards_rows(folder: Path, images: list, cores: int) -> list[dict[str, object]]:
    """Images/s of what is done once all images were asked about."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (len(images), 32, 32), dtype=np.uint8)
    training = rng.integers(0, 256, (N_TRAINING, 32, 32), dtype=np.uint8)
    compared = len(images) / clocked(lambda: likeness(pictures, training))
    n = min(N_PICTURES, len(images))
    values = rng.normal(size=(n, 1, 7, 7)).astype(np.float32)
    rows = [
        {
            **{"image": image.image_id, "answer": "COVID", "abstained": False, "is_input": True},
            **{
                "is_drawn": True,
                "said": "COVID, 0.9; possible at 90 % coverage: COVID",
                "notes": [],
            },
            "explained": "COVID",
        }
        for image in images[:n]
    ]
    spent = clocked(
        lambda: write_answer_pictures(
            rows,
            [Path(image.path) for image in images[:n]],
            RawMaps(values, 224, RESNET18.stride, RESNET18.offset),
            folder / "page",
            Drawing("whole", 2.0, 2, 0.5, 10**8, ["Research use only."]),
            cores,
        )
    )
    return [
        {"what": f"comparing with {N_TRAINING} training images", "images/s": compared},
        {"what": "drawing (a setting says how many)", "images/s": n / spent},
    ]


if __name__ == "__main__":
    main()
