"""How well copies are found, planted among phantoms or among real X-rays of a folder.

Run as `python -m benchmarks.duplicates`, or with `--root FOLDER` for real X-rays. Changes some
originals in each way of `CHANGES`, decodes originals, copies and all other images as the workflow
does, and searches each kind of copies together with all originals. Prints the recall of each kind
and what its pairs are called; pairs of different originals (strangers; copies that real X-rays hold
already are none), and CPU seconds of the search among the originals and peak memory.
"""

import argparse
import io
import multiprocessing
import os
import platform
import resource
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

from workflow_scripts.cxrcam.data.cache import shard_writer
from workflow_scripts.cxrcam.data.decoding import decoded_batches
from workflow_scripts.cxrcam.duplicates.search import find_duplicates
from workflow_scripts.cxrcam.duplicates.stored import Fingerprints, stored_fingerprints
from workflow_scripts.cxrcam.images.files import read_grey
from workflow_scripts.cxrcam.images.keypoints import Keypoints
from workflow_scripts.cxrcam.phantom.dataset import draw_phantom, phantom_rng
from workflow_scripts.cxrcam.phantom.traits import FINDINGS, PhantomSettings
from workflow_scripts.cxrcam.terms import OTHER_EXPOSURE

Pixels = npt.NDArray[np.uint8]
MAX_PIXELS = 10**8


def recompressed(pixels: Pixels, rng: np.random.Generator, quality: int = 30) -> Pixels:
    """Encode as JPEG."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return np.array(Image.open(stream))


def brightness(pixels: Pixels, rng: np.random.Generator, factor: float) -> Pixels:
    """Multiply the brightness; white clips."""
    return np.clip(np.rint(pixels * factor), 0, 255).astype(np.uint8)


def gamma(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Brighten the dark parts: exponent 0.7."""
    return np.rint(255 * (pixels / 255) ** 0.7).astype(np.uint8)


def stretched(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Other aspect: a quarter wider."""
    height, width = pixels.shape
    size = (round(1.25 * width), height)
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def inverted(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Exchange black and white."""
    return 255 - pixels


def mirrored(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Exchange left and right."""
    return np.ascontiguousarray(pixels[:, ::-1])


def upside_down(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Turn by 180 degrees."""
    return np.ascontiguousarray(pixels[::-1, ::-1])


def cropped(pixels: Pixels, rng: np.random.Generator, share: float) -> Pixels:
    """Cut a share of the side off each side and enlarge to the old size."""
    height, width = pixels.shape
    rows, columns = round(height * share), round(width * share)
    part = np.ascontiguousarray(pixels[rows : height - rows, columns : width - columns])
    return np.array(Image.fromarray(part).resize((width, height), Image.Resampling.BILINEAR))


def cut_at_random(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Cut up to 10 % off each side, not the same of each."""
    height, width = pixels.shape
    top, bottom, left, right = rng.uniform(0, 0.1, 4)
    rows = slice(round(height * top), round(height * (1 - bottom)))
    part = np.ascontiguousarray(pixels[rows, round(width * left) : round(width * (1 - right))])
    return np.array(Image.fromarray(part).resize((width, height), Image.Resampling.BILINEAR))


def shifted(pixels: Pixels, rng: np.random.Generator, share: float) -> Pixels:
    """Shift along both axes, in any direction; black fills."""
    height, width = pixels.shape
    down, right = (round(share * n) * int(rng.choice([-1, 1])) for n in (height, width))
    image = Image.fromarray(pixels)
    return np.array(image.transform(image.size, Image.Transform.AFFINE, (1, 0, right, 0, 1, down)))


def turned(pixels: Pixels, rng: np.random.Generator, degrees: float) -> Pixels:
    """Turn, to either side; black fills."""
    angle = degrees * float(rng.choice([-1, 1]))
    return np.array(Image.fromarray(pixels).rotate(angle, Image.Resampling.BILINEAR))


def inset(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Print on a page, at 60 to 80 % of its width, with lines of text around it."""
    height, width = pixels.shape
    page = Image.new("L", (width, height), 255)
    scale = rng.uniform(0.6, 0.8)
    size = (round(width * scale), round(height * scale))
    corner = tuple(int(rng.integers(0, n - k + 1)) for n, k in zip(page.size, size, strict=True))
    drawing = ImageDraw.Draw(page)
    for line in range(4, height, 12):
        letters = rng.choice(list("abcdefghijklmnopqrstuvwxyz    "), 60)
        drawing.text((4, line), "".join(letters), fill=0)
    page.paste(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS), corner)
    return np.array(page)


def annotated(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Write letters and draw arrows."""
    image = Image.fromarray(pixels)
    drawing, (width, height) = ImageDraw.Draw(image), image.size
    for _ in range(4):
        x, y = rng.uniform(0.15, 0.75, 2) * image.size
        tip = (x + 0.1 * width, y + 0.1 * height)
        drawing.line([(x, y), tip], fill=255, width=max(2, width // 80))
        drawing.polygon([tip, (tip[0] - 8, tip[1]), (tip[0], tip[1] - 8)], fill=255)
    drawing.text((0.04 * width, 0.04 * height), "PORTABLE 12:40", fill=255)
    drawing.text((0.8 * width, 0.9 * height), "L", fill=255)
    return np.array(image)


CHANGES: dict[str, Callable[[Pixels, np.random.Generator], Pixels]] = {
    "JPEG quality 30": recompressed,
    "brightness +20 %": partial(brightness, factor=1.2),
    "brightness -20 %": partial(brightness, factor=0.8),
    "gamma 0.7": gamma,
    "other aspect": stretched,
    "inverted": inverted,
    "mirrored": mirrored,
    "upside down": upside_down,
    "cropped 3 % a side": partial(cropped, share=0.03),
    "cropped 12.5 % a side": partial(cropped, share=0.125),
    "cropped 0 to 10 % a side": cut_at_random,
    "shifted 5 %": partial(shifted, share=0.05),
    "shifted 10 %": partial(shifted, share=0.1),
    "turned 2 degrees": partial(turned, degrees=2),
    "turned 3.5 degrees": partial(turned, degrees=3.5),
    "turned 5 degrees": partial(turned, degrees=5),
    "inset in a page": inset,
    "annotated": annotated,
}


def read_original(root: Path | None, files: list[Path], size: int, number: int) -> Pixels:
    """Real X-ray, or a phantom."""
    if root is not None:
        return read_grey(files[number], MAX_PIXELS).pixels
    finding = FINDINGS[number % len(FINDINGS)]
    rng = phantom_rng(11, finding, number // len(FINDINGS) + 1)
    return draw_phantom(finding, rng, PhantomSettings(size=size)).image


def write_images(
    folder: Path, read: Callable[[int], Pixels], copied: int, numbers: range
) -> list[Path]:
    """Write some originals, and all copies of the first `copied`, as uncompressed images."""
    written = []
    for number in numbers:
        pixels, rng = read(number), np.random.default_rng([7, number])
        pictures = {"original": pixels}
        if number < copied:
            pictures |= {kind: change(pixels, rng) for kind, change in CHANGES.items()}
        for kind, picture in pictures.items():
            written.append(folder / f"{kind}={number:06d}.bmp")
            Image.fromarray(picture).save(written[-1])
    return written


def decoded(folder: Path, files: list[Path], size: int, number: int) -> None:
    """Facts and pixels of some images, as the workflow keeps them."""
    facts = []
    named = [(file.stem, file) for file in files]
    with shard_writer(folder / f"shard-{number}.parquet", size, {}) as write:
        for some, names, pixels in decoded_batches(named, size, "bilinear", MAX_PIXELS, 1):
            write(names, pixels)
            facts.append(some)
    pq.write_table(pa.concat_tables(facts), folder / f"facts-{number}.parquet")
    for file in files:
        file.unlink()


def prepared(
    folder: Path, read: Callable[[int], Pixels], copied: int, size: int, numbers: range
) -> float:
    """Write and decode some images and their copies; CPU seconds of decoding an image."""
    files = write_images(folder, read, copied, numbers)
    began = time.process_time()
    decoded(folder, files, size, numbers.start)
    return (time.process_time() - began) / len(files)


def of_kind(images: Fingerprints, kind: str) -> Fingerprints:
    """Originals, and copies of one kind."""
    rows = [
        k for k, name in enumerate(images.image_ids) if name.split("=")[0] in ("original", kind)
    ]
    names, shas = ([some[k] for k in rows] for some in images[:2])
    found = Keypoints(*(part[rows] for part in images.keypoints))
    return Fingerprints(names, shas, found, images.thumbnails[rows])


def numbers_of(pairs: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Number of the original of each end of the pairs."""
    first, second = (pairs[f"image_id_{end}"].str.split("=").str[1] for end in "ab")
    return first, second


def recall_row(
    pairs: pd.DataFrame, kind: str, planted: int, known: set[tuple[str, str]]
) -> dict[str, object]:
    """How many copies are found, what they are called, and pairs of different originals.

    Originals that are copies of one another, `known`, are left out: their copies are, too.
    """
    first, second = numbers_of(pairs)
    alike = first == second
    others = pd.Series([*zip(first, second, strict=True)], pairs.index, dtype=object)
    expected = alike | others.isin(known)
    own = alike & (pairs["kind"] != OTHER_EXPOSURE)
    called = pairs[own]["kind"].value_counts()
    return {
        "change": kind,
        "planted": planted,
        "recall": round(int(own.sum()) / planted, 4),
        "called": ", ".join(f"{name} {n}" for name, n in called.items()),
        "strangers": int((~expected & (pairs["kind"] != OTHER_EXPOSURE)).sum()),
        "other exposures": int((pairs["kind"] == OTHER_EXPOSURE).sum()),
    }


def main() -> None:
    """Run the measurement and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, help="folder of real X-rays, instead of phantoms")
    parser.add_argument("--images", type=int, default=5500, help="different images")
    parser.add_argument(
        "--copied", type=int, default=500, help="how many have copies; 0 times the search only"
    )
    parser.add_argument("--size", type=int, default=224, help="of cached images, in pixels")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="to prepare with")
    parser.add_argument("--pairs", type=Path, help="where to write all pairs, as CSV")
    options = parser.parse_args()
    files = sorted(options.root.glob("*/images/*.png")) if options.root else []
    files = [files[k] for k in np.random.default_rng(3).permutation(len(files))]
    n = min(options.images, len(files)) if files else options.images
    read = partial(read_original, options.root, files, options.size)
    with tempfile.TemporaryDirectory(prefix="cxrcam-benchmark-") as temporary:
        folder = Path(temporary)
        parts = [range(start, min(start + 100, n)) for start in range(0, n, 100)]
        with multiprocessing.get_context("spawn").Pool(options.cores) as pool:
            one = partial(prepared, folder, read, options.copied, options.size)
            seconds = pool.map(one, parts, chunksize=1)
        print(f"decoding, keypoints included: {1000 * np.mean(seconds):.1f} CPU ms an image")
        shards = sorted(folder.glob("shard-*"))
        images = stored_fingerprints(sorted(folder.glob("facts-*")))
        began = time.process_time()
        pairs = find_duplicates(of_kind(images, ""), shards)
        searching = time.process_time() - began
        if options.pairs:
            pairs.to_csv(options.pairs, index=False)
        ends = numbers_of(pairs[pairs["kind"] != OTHER_EXPOSURE])
        known = {*zip(*ends, strict=True), *zip(*ends[::-1], strict=True)}
        rows = []
        for kind in CHANGES if options.copied else ():
            found = find_duplicates(of_kind(images, kind), shards)
            rows.append(recall_row(found, kind, options.copied, known))
            print(rows[-1], flush=True)
        if rows:
            print(pd.DataFrame(rows).to_string(index=False))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\n{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    kinds = pairs["kind"].value_counts().to_dict()
    print(f"{n} originals: {kinds}; {searching:.1f} CPU s of search")
    print(f"peak memory of all searches {memory:.2f} GiB")


if __name__ == "__main__":
    main()
