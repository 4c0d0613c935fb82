"""How well near-duplicates are found, on copies planted among phantoms.

Run as `python -m benchmarks.duplicates`. Draws phantoms that are all different, plants changed
copies of some, and searches. Prints, for each kind of change, how many copies were planted and how
many found, then the false pairs (phantoms that are not copies of each other) and the seconds of the
search. Takes less than two minutes on two cores.
"""

import argparse
import io
import multiprocessing
import os
import platform
import resource
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from workflow_scripts.cxrcam.data.fingerprints import dhash256, pixel_sha256, thumbnail
from workflow_scripts.cxrcam.duplicates.search import find_duplicates
from workflow_scripts.cxrcam.phantom.dataset import draw_phantom, phantom_rng
from workflow_scripts.cxrcam.phantom.traits import FINDINGS, PhantomSettings

Pixels = npt.NDArray[np.uint8]
Fingerprints = tuple[str, npt.NDArray[np.uint8], npt.NDArray[np.uint8]]

CROP = 0.03
"""Share of the width and height that is cut off."""


def recompressed(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Encode as JPEG of quality 60 to 90."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=int(rng.integers(60, 91)))
    return np.array(Image.open(stream))


def resized(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Shrink to 90 % and enlarge again."""
    image = Image.fromarray(pixels)
    small = image.resize(
        (round(image.width * 0.9), round(image.height * 0.9)), Image.Resampling.BILINEAR
    )
    return np.array(small.resize(image.size, Image.Resampling.BILINEAR))


def brightness(pixels: Pixels, rng: np.random.Generator, factor: float) -> Pixels:
    """Multiply the brightness; white clips."""
    changed: Pixels = np.clip(np.rint(pixels * factor), 0, 255).astype(np.uint8)
    return changed


def mirrored(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Exchange left and right."""
    return np.ascontiguousarray(pixels[:, ::-1])


def inverted(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Exchange black and white."""
    return 255 - pixels


def cropped(pixels: Pixels, rng: np.random.Generator, share: float, *, centred: bool) -> Pixels:
    """Cut a share of the width and height off, in all, and enlarge to the old size."""
    height, width = pixels.shape
    cut = round(height * share), round(width * share)
    top, left = (c // 2 if centred else int(rng.integers(c + 1)) for c in cut)
    part = pixels[top : top + height - cut[0], left : left + width - cut[1]]
    image = Image.fromarray(np.ascontiguousarray(part))
    return np.array(image.resize((width, height), Image.Resampling.BILINEAR))


CHANGES: dict[str, Callable[[Pixels, np.random.Generator], Pixels]] = {
    "JPEG quality 60 to 90": recompressed,
    "resized to 90 % and back": resized,
    "brightness +10 %": partial(brightness, factor=1.1),
    "brightness -10 %": partial(brightness, factor=0.9),
    "mirrored": mirrored,
    "inverted": inverted,
    "cropped 3 % in all, anywhere": partial(cropped, share=CROP, centred=False),
    "cropped 3 % on each side": partial(cropped, share=2 * CROP, centred=True),
}


def fingerprints(pixels: Pixels) -> Fingerprints:
    """Fingerprints of one image, as the workflow takes them."""
    dhash = np.frombuffer(dhash256(pixels), np.uint8)
    return pixel_sha256(pixels), dhash, thumbnail(pixels)


def drawn(seed: int, size: int, copied: int, number: int) -> list[Fingerprints]:
    """Fingerprints of one phantom and, for the first `copied`, of its copies."""
    finding = FINDINGS[number % len(FINDINGS)]
    rng = phantom_rng(seed, finding, number // len(FINDINGS) + 1)
    pixels = draw_phantom(finding, rng, PhantomSettings(size=size)).image
    changes = CHANGES.values() if number < copied else ()
    return [fingerprints(pixels), *(fingerprints(change(pixels, rng)) for change in changes)]


def searched(names: list[str], prints: list[Fingerprints]) -> tuple[pd.DataFrame, float]:
    """Pairs that are found, and seconds."""
    shas, dhashes, thumbnails = zip(*prints, strict=True)
    began = time.perf_counter()
    found = find_duplicates(names, shas, np.array(dhashes), np.array(thumbnails))
    return found, time.perf_counter() - began


def recall_table(phantoms: list[list[Fingerprints]]) -> Iterator[dict[str, object]]:
    """Search each kind of copies together with all originals; yield how many are found."""
    originals = [prints[0] for prints in phantoms]
    copied = [number for number, prints in enumerate(phantoms) if len(prints) > 1]
    for place, kind in enumerate(CHANGES, start=1):
        names = [f"original {k}" for k in copied] + [f"copy {k}" for k in copied]
        prints = [originals[k] for k in copied] + [phantoms[k][place] for k in copied]
        found, _ = searched(names, prints)
        ends = zip(found["image_id_a"], found["image_id_b"], strict=True)
        families = [(a.split()[-1], b.split()[-1]) for a, b in ends]
        matched = {a for a, b in families if a == b}
        yield {
            "kind": kind,
            "planted": len(copied),
            "found": len(matched),
            "recall": f"{len(matched) / max(1, len(copied)):.4f}",
            "false pairs": sum(a != b for a, b in families),
        }


def main() -> None:
    """Run the measurement and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--phantoms", type=int, default=6000, help="different images")
    parser.add_argument("--copied", type=int, default=1000, help="how many of them have copies")
    parser.add_argument("--size", type=int, default=128, help="of a phantom, in pixels")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="to draw with")
    options = parser.parse_args()

    draw = partial(drawn, options.seed, options.size, options.copied)
    with multiprocessing.get_context("spawn").Pool(options.cores) as pool:
        phantoms = pool.map(draw, range(options.phantoms), chunksize=16)
    print(pd.DataFrame(recall_table(phantoms)).to_string(index=False))

    names = [str(k) for k in range(len(phantoms))]
    false_pairs, seconds = searched(names, [prints[0] for prints in phantoms])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\n{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(
        f"{len(phantoms)} different phantoms: {len(false_pairs)} false pairs"
        f" ({1e4 * len(false_pairs) / len(phantoms):.2f} in 10,000 images);"
        f" searched in {seconds:.1f} s, peak memory {memory:.2f} GiB"
    )


if __name__ == "__main__":
    main()
