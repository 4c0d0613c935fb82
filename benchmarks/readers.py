"""What the readers make of every kind of file, and how fast: `python -m benchmarks.readers`.

First a table: each kind of file was read right, refused rightly (with words that say why), or
wrong, which must be none. Every file is made here, so that what is right is known. Then seconds an
image beside the bare library, and images of a whole study to the index. Written to
results/benchmarks/readers.csv and readers_speed.csv.

A module of cases has `cases()`, `speeds(seconds)` and, if it likes, `to_the_index(folder, images)`.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import readers_dicom, readers_raster
from benchmarks.readers_case import Case
from workflow_scripts.cxrcam.images.files import read_grey
from workflow_scripts.cxrcam.images.limits import UnreadableImage
from workflow_scripts.cxrcam.spreadsheets import write_frame

MODULES = (readers_dicom, readers_raster)
OUTPUT = Path("results/benchmarks")
RIGHT, REFUSED, WRONG = "right", "refused rightly", "wrong"


def judged(case: Case) -> dict[str, Any]:
    """What became of one file: a row of the table."""
    row: dict[str, Any] = {"kind": case.kind, "file": case.name, "result": "", "said": ""}
    try:
        image = read_grey(Path(case.file_name), 10**8, case.content(), accept="frontal_chest")
    except UnreadableImage as error:
        as_wanted = case.words is not None and case.words in str(error)
        return {**row, "result": REFUSED if as_wanted else WRONG, "said": str(error)}
    row["said"] = "; ".join(image.notes)
    if case.pixels is None or image.pixels.shape != case.pixels.shape:
        return {**row, "result": WRONG, "said": f"read as {image.pixels.shape}; {row['said']}"}
    off = np.abs(image.pixels.astype(float) - case.pixels)
    off = float(off.mean() if case.on_average else off.max())
    noted = case.note is None or case.note in image.notes
    return {**row, "result": RIGHT if off <= case.near and noted else WRONG, "off": off}


def seconds(action: Callable[[], object], rounds: int) -> float:
    """Median of some rounds, after one to warm up."""
    action()
    spent = []
    for _ in range(rounds):
        began = perf_counter()
        action()
        spent.append(perf_counter() - began)
    return median(spent)


def main() -> None:
    """Judge, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200, help="to the index, up to 2000")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    table = pd.DataFrame([judged(case) for module in MODULES for case in module.cases()])
    print(table.to_string(index=False, max_colwidth=60))
    print(table["result"].value_counts().to_string())
    write_frame(OUTPUT / "readers.csv", table)
    rows = [
        {"what": what, "ms": 1000 * ours, "bare ms": 1000 * bare, "ratio": ours / bare}
        for module in MODULES
        for what, ours, bare in module.speeds(lambda action: seconds(action, arguments.rounds))
    ]
    for module in MODULES:
        if hasattr(module, "to_the_index"):
            with tempfile.TemporaryDirectory() as folder:
                rows.append(module.to_the_index(Path(folder), min(arguments.images, 2000)))
    speed = pd.DataFrame(rows)
    print(speed.round(3).to_string(index=False, na_rep=""))
    write_frame(OUTPUT / "readers_speed.csv", speed)
    if (table["result"] == WRONG).any():
        raise SystemExit("Some files were read wrong.")


if __name__ == "__main__":
    main()
