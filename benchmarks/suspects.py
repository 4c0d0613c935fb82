"""Which bad images stand out, planted among sound ones: `python -m benchmarks.suspects`.

Among 2,000 phantoms, or among X-rays of a folder (`--root FOLDER`, a folder a class), 20 images are
changed in one way of `CHANGES`, one way after the other. Prints for each way how many of them stand
out, how many by the right name, and how many of the others do (false alarms); and for the unchanged
images every reason for which one stands out. Written to results/benchmarks/suspects.csv.
"""

import argparse
import io
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image, ImageDraw

from benchmarks.unlike_images import photographs
from workflow_scripts.cxrcam.audit.suspect_images import (
    BLANK,
    DARK,
    HUGE,
    IN_COLOUR,
    NEARLY_BLANK,
    ODD_ASPECT,
    OVER_EXPOSED,
    PARTLY_BLANK,
    STRIP,
    TINY,
    UNLIKE,
    grey_traits,
    likeness_to_others,
    suspect_images,
)
from workflow_scripts.cxrcam.data.fingerprints import thumbnail
from workflow_scripts.cxrcam.data.listing.datasets import list_images
from workflow_scripts.cxrcam.images.files import GreyImage, read_grey
from workflow_scripts.cxrcam.images.resizing import resize_grey
from workflow_scripts.cxrcam.phantom.dataset import write_phantom_dataset
from workflow_scripts.cxrcam.phantom.traits import PhantomSettings

Pixels = npt.NDArray[np.uint8]
Change = Callable[[Pixels, np.random.Generator], Pixels]

MAX_PIXELS = 10**8
SIZE = 224
PLANTED = 20
FACTS = ["width", "height", "colourfulness"]


def scaled(pixels: Pixels, rng: np.random.Generator, factor: float, offset: float = 0) -> Pixels:
    """Multiply the grey levels; what exceeds them clips."""
    return np.clip(np.rint(pixels.astype(float) * factor + offset), 0, 255).astype(np.uint8)


def resized(pixels: Pixels, rng: np.random.Generator, side: int) -> Pixels:
    """Make the longer side so long."""
    size = tuple(max(16, round(side * n / max(pixels.shape))) for n in pixels.shape[::-1])
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))


def middle(pixels: Pixels, rng: np.random.Generator, rows: float, columns: float) -> Pixels:
    """Keep a share of the rows and of the columns around the centre."""
    height, width = pixels.shape
    down, across = (max(16, round(n * share)) for n, share in ((height, rows), (width, columns)))
    top, left = (height - down) // 2, (width - across) // 2
    return np.ascontiguousarray(pixels[top : top + down, left : left + across])


def half_blank(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Lose one half to black, grey or white."""
    turns = int(rng.integers(4))
    turned_pixels = np.rot90(pixels, turns).copy()
    turned_pixels[len(turned_pixels) // 2 :] = rng.choice([0, 128, 255])
    return np.rot90(turned_pixels, -turns)


def page_of_text(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Lines of letters, black on white or white on black."""
    paper, ink = (255, 0) if rng.random() < 0.5 else (0, 255)
    page = Image.new("L", pixels.shape[::-1], paper)
    drawing = ImageDraw.Draw(page)
    for line in range(4, page.height, 12):
        letters = rng.choice(list("abcdefghijklmnopqrstuvwxyz    "), 60)
        drawing.text((4, line), "".join(letters), fill=ink)
    return np.array(page)


def colour_photograph(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A photograph of something else, in colour."""
    return np.array(photographs(rng, 3)[int(rng.integers(3))])


def photograph(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A photograph of something else, in grey."""
    return np.array(photographs(rng, 3)[int(rng.integers(3))].convert("L"))


def noise(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Nothing but noise."""
    return rng.integers(0, 256, pixels.shape, dtype=np.uint8)


def turned(pixels: Pixels, rng: np.random.Generator, quarters: int) -> Pixels:
    """Turn to the left by quarters of a circle."""
    return np.rot90(pixels, quarters)


# By what was done: how, and what it is called where it stands out.
CHANGES: dict[str, tuple[Change, str]] = {
    "blank": (partial(scaled, factor=0, offset=90), BLANK),
    "contrast 2 %": (partial(scaled, factor=0.02, offset=120), NEARLY_BLANK),
    "half blank": (half_blank, PARTLY_BLANK),
    "a tenth of the brightness": (partial(scaled, factor=0.1), DARK),
    "four times as bright": (partial(scaled, factor=4), OVER_EXPOSED),
    "inverted": (lambda pixels, rng: 255 - pixels, "perhaps with black and white exchanged"),
    "turned to the left": (partial(turned, quarters=1), "perhaps turned by 90° to the left"),
    "turned to the right": (partial(turned, quarters=3), "perhaps turned by 90° to the right"),
    "upside down": (partial(turned, quarters=2), "perhaps upside down"),
    "upside down and mirrored": (
        lambda pixels, rng: pixels[::-1],
        "perhaps upside down and mirrored",
    ),
    "middle third": (partial(middle, rows=1 / 3, columns=1 / 3), UNLIKE),
    "page of text": (page_of_text, UNLIKE),
    "photograph in grey": (photograph, UNLIKE),
    "photograph in colour": (colour_photograph, IN_COLOUR),
    "noise": (noise, UNLIKE),
    "strip": (partial(middle, rows=0.15, columns=1), STRIP),
    "a third of the height": (partial(middle, rows=1 / 3, columns=1), ODD_ASPECT),
    "40 pixels": (partial(resized, side=40), TINY),
    "6,500 pixels": (partial(resized, side=6500), HUGE),
}


def stored(pixels: Pixels) -> GreyImage:
    """Read a changed picture as the workflow does: those in colour from a JPEG."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG" if pixels.ndim == 2 else "JPEG")
    return read_grey(Path(), MAX_PIXELS, file.getvalue())


class Described:
    """What the audit knows of some images: rows of the index, thumbnails, traits of the greys."""

    def __init__(self, names: list[str], read: list[GreyImage]) -> None:
        rows = [
            (name, name.split("/")[0], one.width, one.height, one.colourfulness)
            for name, one in zip(names, read, strict=True)
        ]
        self.images = pd.DataFrame(rows, columns=["image_id", "label", *FACTS])
        self.thumbnails = np.stack([thumbnail(one.pixels) for one in read])
        self.traits = np.concatenate(
            [grey_traits(resize_grey(one.pixels, SIZE, "bilinear")[None]) for one in read]
        )

    def with_changed(self, positions: list[int], changed: "Described") -> pd.DataFrame:
        """What stands out where some images are exchanged for others."""
        thumbnails, traits, images = self.thumbnails.copy(), self.traits.copy(), self.images.copy()
        thumbnails[positions], traits[positions] = changed.thumbnails, changed.traits
        images.loc[positions, FACTS] = changed.images[FACTS].to_numpy()
        found = likeness_to_others(thumbnails, images["image_id"].tolist())
        return suspect_images(images, traits, *found)


def files_of(root: Path | None, folder: Path, n: int) -> list[tuple[str, Path]]:
    """Names and files of at most `n` images, of a folder or drawn into one."""
    kind = {"kind": "class_folders", "root": str(root)}
    if root is None:
        counts = dict.fromkeys(("Normal", "COVID", "Viral Pneumonia"), n // 3 + 1)
        write_phantom_dataset(folder, counts, 0, PhantomSettings(size=299, difficulty=0.2), 2)
        kind["root"] = str(folder)
    images = list_images(kind, folder)
    chosen = np.unique(np.linspace(0, len(images) - 1, n).astype(int)).tolist()
    return [(images[k].image_id, Path(images[k].path)) for k in chosen]


def main() -> None:
    """Plant, look, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--images", type=int, default=2000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cxrcam-benchmark-") as folder:
        files = files_of(arguments.root, Path(folder), arguments.images)
        pictures = [read_grey(path, MAX_PIXELS) for _, path in files]
    names = [name for name, _ in files]
    known = Described(names, pictures)
    rng = np.random.default_rng(0)
    unchanged = suspect_images(
        known.images, known.traits, *likeness_to_others(known.thumbnails, names)
    )
    rows = []
    for way, (change, expected) in CHANGES.items():
        positions = sorted(rng.choice(len(files), PLANTED, replace=False).tolist())
        changed = Described(
            [names[k] for k in positions],
            [stored(change(pictures[k].pixels, rng)) for k in positions],
        )
        found = known.with_changed(positions, changed)
        is_planted = found["image_id"].isin([names[k] for k in positions])
        rows.append(
            {
                "planted": way,
                "stand out": found.loc[is_planted, "image_id"].nunique(),
                "by the right name": int((found.loc[is_planted, "why"] == expected).sum()),
                "others": found.loc[~is_planted, "image_id"].nunique(),
            }
        )
    table = pd.DataFrame(rows)
    print(f"{PLANTED} planted among {len(files)} images, each way by itself:")
    print(table.to_string(index=False))
    print(f"\nOf the unchanged images stand out: {unchanged['image_id'].nunique()}")
    print(unchanged.to_string(index=False))
    target = Path("results/benchmarks/suspects.csv")
    target.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(target, index=False)


if __name__ == "__main__":
    main()
