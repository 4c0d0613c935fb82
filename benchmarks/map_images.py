"""Images for `benchmarks.maps`: phantoms whose lesions are known, and real X-rays."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq

from tests.shards import write_shard
from workflow_scripts.cxrcam.data.clusters import cluster_labels
from workflow_scripts.cxrcam.data.decoding import decode_images
from workflow_scripts.cxrcam.data.mask_cache import MASK_SIDE
from workflow_scripts.cxrcam.duplicates.search import find_cross_duplicates, find_duplicates
from workflow_scripts.cxrcam.duplicates.stored import Fingerprints, stored_fingerprints
from workflow_scripts.cxrcam.images.masks import read_mask
from workflow_scripts.cxrcam.phantom.dataset import write_phantom_dataset
from workflow_scripts.cxrcam.phantom.traits import PhantomSettings
from workflow_scripts.cxrcam.seeds import generator

Bools = npt.NDArray[np.bool_]

TASKS = {
    "two_class": ("Normal", "COVID"),
    "three_class": ("Normal", "COVID", "Viral Pneumonia"),
}
MAX_PIXELS = 10**8


@dataclass(frozen=True)
class Images:
    """Images of one part, their classes and what is known of them.

    Attributes
    ----------
    names : list of str, length n
    pixels : uint8 array, shape (n, side, side)
    labels : int64 array, shape (n,)
        Position of the class; 0 is healthy.
    lungs, lesions : bool arrays, shape (n, MASK_SIDE, MASK_SIDE)
        False throughout where there is no mask.
    """

    names: list[str]
    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    lungs: Bools
    lesions: Bools

    def __len__(self) -> int:
        return len(self.labels)

    def of(self, chosen: npt.NDArray[np.generic]) -> "Images":
        """Some of the images, by a mask or by their positions."""
        rows = np.arange(len(self))[chosen]
        return replace(
            self,
            names=[self.names[k] for k in rows],
            **{
                name: getattr(self, name)[rows] for name in ("pixels", "labels", "lungs", "lesions")
            },
        )


@dataclass(frozen=True)
class Study:
    """Images to learn from, to test on, and from elsewhere."""

    training: Images
    test: Images
    external: Images | None = None


def read_images(
    files: Sequence[Path],
    labels: Sequence[int],
    side: int,
    masks: Sequence[tuple[Path | None, Path | None]] | None = None,
) -> Images:
    """Decode images and, where they are wanted, their lung and lesion masks."""
    names = [f"{file.parent.parent.name}/{file.stem}" for file in files]
    readable = decode_images(list(zip(names, files, strict=True)), side, "bilinear", MAX_PIXELS, 1)
    if len(readable[1]) < len(files):
        raise SystemExit(f"{len(files) - len(readable[1])} of {len(files)} images are unreadable.")
    found = np.zeros((2, len(files), MASK_SIDE, MASK_SIDE), dtype=bool)
    for row, pair in enumerate(masks or ()):
        for kind, file in enumerate(pair):
            if file is not None and file.is_file():
                found[kind, row] = read_mask(file, MASK_SIDE, MAX_PIXELS)
    return Images(names, readable[2].copy(), np.array(labels, dtype=np.int64), *found)


def draw_phantoms(folder: Path, difficulty: float, per_class: int, processes: int) -> Path:
    """Draw phantoms of a difficulty, where they are not there yet; returns their folder."""
    root = folder / f"difficulty-{difficulty:g}"
    classes = TASKS["three_class"]
    if not all((root / c / "images" / f"{c}-{per_class}.png").is_file() for c in classes):
        settings = PhantomSettings(difficulty=difficulty)
        write_phantom_dataset(root, dict.fromkeys(classes, per_class), 0, settings, processes)
    return root


@lru_cache(maxsize=2)
def phantom_study(root: Path, task: str, side: int, training: int, test: int) -> Study:
    """The first `training` phantoms of each class to learn from, the next `test` to test on."""
    parts = []
    for first, last in ((1, training), (training + 1, training + test)):
        rows = [(k, c, n) for k, c in enumerate(TASKS[task]) for n in range(first, last + 1)]
        files = [root / c / "images" / f"{c}-{n}.png" for _, c, n in rows]
        masks = [
            (root / c / "masks" / f"{c}-{n}.png", root / c / "lesions" / f"{c}-{n}.png")
            for _, c, n in rows
        ]
        labels = [k for k, _, _ in rows]
        parts.append(read_images(files, labels, side, masks if first > 1 else None))
    return Study(*parts)


@contextmanager
def decoded(files: Sequence[Path]) -> Iterator[tuple[Fingerprints, list[Path]]]:
    """Fingerprints of images, named by their paths and sorted by them, and their cache shard."""
    facts, names, pixels = decode_images(
        [(str(f), f) for f in files], 224, "bilinear", MAX_PIXELS, 1
    )
    with tempfile.TemporaryDirectory(prefix="cxrcam-benchmark-") as place:
        facts_file, shard = Path(place) / "facts.parquet", Path(place) / "shard.parquet"
        pq.write_table(facts, facts_file)
        write_shard(shard, names, pixels, {})
        yield stored_fingerprints([facts_file]), [shard]


@lru_cache(maxsize=2)
def clusters(files: tuple[Path, ...]) -> npt.NDArray[np.int64]:
    """Number of the cluster of near-duplicates of each image, shape (n,)."""
    with decoded(files) as (seen, shards):
        pairs = find_duplicates(seen, shards)
    place = {name: k for k, name in enumerate(seen.image_ids)}
    rows = pairs[["image_id_a", "image_id_b"]].map(place.__getitem__).to_numpy(dtype=np.int64)
    labels = cluster_labels(len(place), rows)
    return np.array([labels[place[str(f)]] for f in files], dtype=np.int64)


@lru_cache(maxsize=2)
def real_study(
    root: Path, manifest: Path | None, task: str, side: int, seed: int, test_share: float
) -> Study:
    """Real X-rays, divided anew for each seed, near-duplicates on one side.

    Images from elsewhere (`manifest`, with columns path and label) that the folder holds as well
    are left out.
    """
    classes = TASKS[task]
    everything = [(k, f) for k, c in enumerate(classes) for f in sorted(_images_of(root / c))]
    files = tuple(f for _, f in everything)
    of_cluster = generator(seed, "benchmark", "division").random(len(files))[clusters(files)]
    masks = [(f.parent.parent / "masks" / f.name, None) for f in files]
    images = read_images(files, [k for k, _ in everything], side, masks)
    held_out = of_cluster < test_share
    external = None if manifest is None else external_images(manifest, classes, side, files)
    return Study(images.of(~held_out), images.of(held_out), external)


def _images_of(folder: Path) -> list[Path]:
    """Images of a class."""
    return [f for f in (folder / "images").iterdir() if f.suffix.lower() in (".png", ".jpg")]


def external_images(
    manifest: Path, classes: Sequence[str], side: int, known: tuple[Path, ...]
) -> Images:
    """Images of a manifest whose class is asked for and that are not among the known ones."""
    table = pd.read_csv(manifest)
    table = table[table["label"].isin(classes)]
    files = tuple(manifest.parent / path for path in table["path"])
    with decoded(known) as own, decoded(files) as other:
        pairs = find_cross_duplicates(*own, *other)
    both = set(pairs["image_id_b"])
    chosen = [(f, c) for f, c in zip(files, table["label"], strict=True) if str(f) not in both]
    return read_images([f for f, _ in chosen], [classes.index(c) for _, c in chosen], side)
