"""What ten and a hundred times the images cost, in time and memory: `make benchmark-scale`.

Draws the largest data set once; smaller ones are hard links to a part of it. Training is left out:
its time follows from images an epoch (see `benchmarks.speed`). Writes a table and a picture on log
scales to results/benchmarks/scale.csv and .png, and prints what a million images would take if the
lines went on straight as they end; with sizes that are small, that says little. The search for
near-duplicates does not: its time grows a little faster than the images.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from benchmarks.workflow import PROJECT, copy_project, snakemake
from workflow_scripts.cxrcam.drawing.style import MARKERS, PAGE_WIDTH, save_figure
from workflow_scripts.cxrcam.phantom.dataset import write_phantom_dataset
from workflow_scripts.cxrcam.phantom.traits import PhantomSettings

CLASSES = ("Normal", "COVID", "Viral Pneumonia")
FULL = 1_000_000
INDEX = "results/bench/index/images.parquet"
# Targets of each stage; a stage starts where the one before it ended.
STAGES = {
    "plan (dry run)": ["-n", "--quiet", "all"],
    "list, decode, cache, index, duplicates": [INDEX],
    "splits": ["results/bench/splits/two_class/holdout/fold-1.parquet"],
    "audit of the data": [
        "results/bench/audit/sources.json",
        "results/bench/audit/leaks.csv",
        "results/bench/audit/duplicates.png",
        "results/bench/audit/two_class/holdout/fold-1/floors.parquet",
    ],
}


def link_part(source: Path, target: Path, per_class: int) -> None:
    """Hard links to the first images of each class."""
    for name in CLASSES:
        (target / name / "images").mkdir(parents=True)
        for file in sorted((source / name / "images").iterdir())[:per_class]:
            os.link(file, target / name / "images" / file.name)


def projected(table: pd.DataFrame, column: str) -> float:
    """Value at `FULL` images on the straight line through the two largest sizes.

    Not on log scales: what every job costs whatever its size (loading Python's libraries) would
    hide what an image costs.
    """
    ends = table.sort_values("images").tail(2)
    slope, start = np.polyfit(ends["images"], ends[column], 1)
    return float(start + max(0.0, slope) * FULL)


def draw(table: pd.DataFrame) -> Figure:
    """Seconds and peak memory of each stage, Snakemake included, over the number of images."""
    figure = Figure(figsize=(PAGE_WIDTH, 3.4), layout="constrained")
    for axes, column, label in zip(
        figure.subplots(1, 2),
        ("seconds", "gib"),
        ("seconds", "peak memory (GiB)"),
        strict=True,
    ):
        for marker, (stage, rows) in zip(MARKERS, table.groupby("stage", sort=False), strict=False):
            axes.plot(rows["images"], rows[column], marker=marker, label=stage)
        axes.set(xscale="log", yscale="log", xlabel="images", ylabel=label)
        # Whole decades, so that both axes have labels however few sizes were measured.
        powers = np.log10([table[column].min(), table[column].max()])
        axes.set_ylim(10.0 ** np.floor(powers[0]), 10.0 ** np.ceil(powers[1]))
        sizes = sorted(table["images"].unique())
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.grid(which="both", linewidth=0.4)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def main() -> None:
    """Measure every stage at every size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[150, 1500, 15000])
    parser.add_argument("--size", type=int, default=224, help="pixels a side in the cache")
    chosen = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="cxrcam-scale-") as temporary:
        drawn = Path(temporary) / "drawn"
        per_class = {name: max(chosen.images) // len(CLASSES) for name in CLASSES}
        write_phantom_dataset(drawn, per_class, 0, PhantomSettings(), os.cpu_count() or 1)
        for images in sorted(chosen.images):
            folder = Path(temporary) / str(images)
            link_part(drawn, folder / "data", images // len(CLASSES))
            overlay = {
                "dataset": "bench",
                "datasets": {"bench": {"kind": "class_folders", "root": "data"}},
                "schemes": {"random_subsample": None, "holdout": {"test_fraction": 0.2}},
                "image": {"size": chosen.size},
            }
            copy_project(folder, overlay)
            for stage, targets in STAGES.items():
                seconds, peak = snakemake(folder, "--cores", str(os.cpu_count()), *targets)
                rows.append({"stage": stage, "images": images, "seconds": seconds, "gib": peak})
                print({k: round(v, 2) if isinstance(v, float) else v for k, v in rows[-1].items()})
    table = pd.DataFrame(rows)
    target = PROJECT / "results/benchmarks/scale.csv"
    target.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(target, index=False)
    save_figure(draw(table), target.with_suffix(""), kinds=["png"])
    for stage, part in table.groupby("stage", sort=False):
        hours, memory = projected(part, "seconds") / 3600, projected(part, "gib")
        print(
            f"{FULL:,} images, {stage}: {hours:.2g} h, {memory:.2g} GiB on {os.cpu_count()} cores"
        )
    print(f"Written to {target.relative_to(PROJECT)} and {target.stem}.png")


if __name__ == "__main__":
    main()
