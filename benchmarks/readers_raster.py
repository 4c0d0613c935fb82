"""Are raster files read right, and what does it cost: `python -m benchmarks.readers_raster`.

Every kind of file that the tests know is read: right, refused for its true reason, or wrong. Then
one X-ray of each format is read as the workflow reads it and by the bare library; the two take
turns, and the median of several turns counts. Written to results/benchmarks/readers_raster.csv and
readers_raster_speed.csv.
"""

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import tifffile
from PIL import Image

from tests.unit.raster_kinds import Kind, all_kinds
from workflow_scripts.cxrcam.images.files import read_grey
from workflow_scripts.cxrcam.images.limits import UnreadableImage
from workflow_scripts.cxrcam.phantom.dataset import draw_phantom, phantom_rng
from workflow_scripts.cxrcam.phantom.traits import PhantomSettings

FOLDER = Path("results/benchmarks")
NOWHERE = Path("image")
MOST_PIXELS = 10**8


def outcome(kind: Kind) -> str:
    """Say what became of a file."""
    try:
        pixels = read_grey(NOWHERE, MOST_PIXELS, kind.content).pixels
    except UnreadableImage as error:
        refused = isinstance(kind.wanted, str) and kind.wanted in str(error)
        return "refused rightly" if refused else f"wrong: {error}"
    if isinstance(kind.wanted, str) or pixels.shape != kind.wanted.shape:
        return "wrong: read"
    difference = np.abs(pixels.astype(float) - kind.wanted).mean()
    return "right" if difference <= kind.near else f"wrong: by {difference:.1f} grey levels"


def bare(content: bytes) -> np.ndarray:
    """Nothing but the library: Pillow, or tifffile for TIFF."""
    if content[:2] in (b"II", b"MM"):
        return tifffile.imread(io.BytesIO(content))
    with Image.open(io.BytesIO(content)) as image:
        return np.array(image if image.mode.startswith("I") else image.convert("L"))


def files_of(grey: np.ndarray) -> dict[str, bytes]:
    """One file of each format."""
    image = Image.fromarray(grey)
    deep = grey.astype(np.uint16) * 16
    files: dict[str, bytes] = {}

    def add(name: str, kind: str, picture: Image.Image, **options: object) -> None:
        stream = io.BytesIO()
        picture.save(stream, kind, **options)
        files[name] = stream.getvalue()

    def add_tiff(name: str, values: np.ndarray, **options: object) -> None:
        stream = io.BytesIO()
        tifffile.imwrite(stream, values, **options)
        files[name] = stream.getvalue()

    add("PNG", "PNG", image)
    add("PNG, 16 bits", "PNG", Image.fromarray(deep))
    add("PNG, RGB", "PNG", image.convert("RGB"))
    add("JPEG", "JPEG", image, quality=90)
    add("JPEG, RGB", "JPEG", image.convert("RGB"), quality=90)
    add("JPEG, progressive", "JPEG", image, quality=90, progressive=True)
    add("BMP", "BMP", image)
    add("WebP", "WEBP", image.convert("RGB"), lossless=True)
    add("GIF", "GIF", image)
    add("PGM", "PPM", image)
    add("JPEG 2000", "JPEG2000", image)
    add_tiff("TIFF", grey)
    add_tiff("TIFF, 16 bits", deep)
    add_tiff("TIFF, 16 bits, LZW", deep, compression="lzw")
    add_tiff("TIFF, float, deflate, big-endian", deep / 7, compression="zlib", byteorder=">")
    add_tiff("TIFF, JPEG", grey, compression="jpeg")
    return files


def seconds(function: Callable[[], object], times: int) -> float:
    """Of one call, the mean of several."""
    start = time.perf_counter()
    for _ in range(times):
        function()
    return (time.perf_counter() - start) / times


def speed(side: int, rounds: int, times: int) -> pd.DataFrame:
    """Milliseconds an image: ours, at its whole size and as the cache reads it; the library's."""
    grey = draw_phantom("Normal", phantom_rng(0, "Normal", 1), PhantomSettings(size=side)).image
    rows = []
    for name, content in files_of(grey).items():
        readers: dict[str, Callable[[], object]] = {
            "library": lambda content=content: bare(content),
            "whole": lambda content=content: read_grey(NOWHERE, MOST_PIXELS, content),
            "for the cache": lambda content=content: read_grey(NOWHERE, MOST_PIXELS, content, 448),
        }
        found: dict[str, list[float]] = {kind: [] for kind in readers}
        for _ in range(rounds):
            for kind, reader in readers.items():
                found[kind].append(seconds(reader, times))
        row = {kind: 1000 * median(values) for kind, values in found.items()}
        rows.append({"file": name, **row, "whole / library": row["whole"] / row["library"]})
    return pd.DataFrame(rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--times", type=int, default=5)
    arguments = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    kinds = pd.DataFrame(
        [(name, outcome(kind)) for name, kind in all_kinds().items()], columns=["file", "outcome"]
    )
    kinds.to_csv(FOLDER / "readers_raster.csv", index=False)
    print(kinds.to_string(index=False))
    print(kinds["outcome"].str.partition(":")[0].value_counts().to_string())
    table = speed(arguments.side, arguments.rounds, arguments.times)
    table.to_csv(FOLDER / "readers_raster_speed.csv", index=False)
    print("milliseconds an image")
    print(table.to_string(index=False, float_format=lambda value: f"{value:.2f}"))


if __name__ == "__main__":
    main()
