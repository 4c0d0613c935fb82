"""How many flipped labels the audit names first: `python -m benchmarks.suspect_labels`.

Of X-rays of a folder (`--root FOLDER`, a folder a class), or of phantoms, 5 % of the labels are
flipped: at random, or all in one class. Folds keep copies together, as in the audit. Prints, for
each way and seed, how many of the first 50, 100 and as many as were flipped are flipped ones,
how many of all flipped ones stand among the listed, what confident learning counts, and CPU seconds
of the forests. Written to results/benchmarks/suspect_labels.csv.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.cxrcam.audit.suspect_labels import judged_labels, suspect_labels
from workflow_scripts.cxrcam.data.cache import shard_writer
from workflow_scripts.cxrcam.data.decoding import decoded_batches
from workflow_scripts.cxrcam.data.index_table import group_images
from workflow_scripts.cxrcam.data.listing.datasets import list_images
from workflow_scripts.cxrcam.duplicates.search import find_duplicates
from workflow_scripts.cxrcam.duplicates.stored import stored_fingerprints
from workflow_scripts.cxrcam.floors.features import FEATURES, thumbnail
from workflow_scripts.cxrcam.floors.floors import floors_of_task
from workflow_scripts.cxrcam.phantom.dataset import write_phantom_dataset
from workflow_scripts.cxrcam.phantom.traits import PhantomSettings

MAX_PIXELS = 10**8
FLIPPED = 0.05
NO_PAIRS = pd.DataFrame(columns=["image_id_a", "image_id_b", "kind"])


def described(root: Path, side: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Images of a folder with label and group, and their thumbnails as the floor sees them."""
    listed = list_images({"kind": "class_folders", "root": str(root)}, root)
    labels = {image.image_id: image.label for image in listed}
    files = [(image.image_id, Path(image.path)) for image in listed]
    names, facts, thumbnails = [], [], []
    with tempfile.TemporaryDirectory(prefix="cxrcam-benchmark-") as folder:
        shard, fact_file = Path(folder) / "shard.parquet", Path(folder) / "facts.parquet"
        with shard_writer(shard, side, {"size": side}) as write:
            for some, image_ids, pixels in decoded_batches(files, side, "bilinear", MAX_PIXELS, 2):
                write(image_ids, pixels)
                names += image_ids
                facts.append(some)
                thumbnails.append(thumbnail(pixels))
        pq.write_table(pa.concat_tables(facts), fact_file)
        pairs = find_duplicates(stored_fingerprints([fact_file]), [shard], 2)
    groups = group_images(names, [""] * len(names), pairs)
    images = pd.DataFrame(
        {"image_id": names, "label": [labels[name] for name in names], "group": groups}
    )
    return images, np.concatenate(thumbnails)


def flipped(images: pd.DataFrame, of: str, rng: np.random.Generator) -> np.ndarray:
    """Which images bear a wrong label, bool: of one class, or of all where `of` is empty."""
    pool = np.flatnonzero(images["label"] == of) if of else np.arange(len(images))
    chosen = rng.choice(pool, min(round(FLIPPED * len(images)), len(pool) // 3), replace=False)
    is_flipped = np.zeros(len(images), bool)
    is_flipped[chosen] = True
    return is_flipped


def with_flips(
    images: pd.DataFrame, is_flipped: np.ndarray, rng: np.random.Generator
) -> pd.DataFrame:
    """The images, of which some bear the label of another class."""
    classes = sorted(images["label"].unique())
    labels = images["label"].to_numpy(dtype=object).copy()
    for k in np.flatnonzero(is_flipped):
        labels[k] = rng.choice([name for name in classes if name != labels[k]])
    return images.assign(label=labels)


def probabilities_of(
    images: pd.DataFrame, thumbnails: np.ndarray, seed: int
) -> tuple[list[str], np.ndarray]:
    """Classes, and what the audit's forests give each of them, an image a row."""
    classes = sorted(images["label"].unique())
    # The other floors see nothing, and take no time.
    features = dict.fromkeys(FEATURES, np.zeros((len(images), 1))) | {"thumbnail": thumbnails}
    return classes, floors_of_task(f"seed {seed}", images, features, classes, 1)[1]


def listed(images: pd.DataFrame, classes: list[str], probabilities: np.ndarray) -> pd.DataFrame:
    """What the audit says of the labels; copies with two labels are left out."""
    judged = judged_labels(images["image_id"], images["label"], classes, probabilities)
    rows = suspect_labels(judged, NO_PAIRS, {})
    return rows.assign(counted=int(judged["is_counted"].sum()))


def measured(
    images: pd.DataFrame, thumbnails: np.ndarray, is_flipped: np.ndarray, seed: int
) -> dict[str, object]:
    """What the audit says where the labels of some images are exchanged for another one."""
    images = with_flips(images, is_flipped, np.random.default_rng(seed))
    began = time.process_time()
    rows = listed(images, *probabilities_of(images, thumbnails, seed))
    wrong = rows["image_id"].isin(images["image_id"][is_flipped])
    n = int(is_flipped.sum())
    precisions = {f"in {name}": wrong.head(m).mean() for name, m in (("50", 50), ("100", 100))}
    return {
        **{"images": len(images), "flipped": n, **precisions},
        "in as many as flipped": wrong.head(n).mean(),
        "recall": wrong.sum() / n if n else np.nan,
        "listed": len(rows),
        "counted": rows["counted"].max(),
        "seconds": round(time.process_time() - began, 1),
    }


def main() -> None:
    """Flip, look, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--classes", nargs="+", default=["Normal", "COVID"])
    parser.add_argument("--images-per-class", type=int, default=300)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cxrcam-benchmark-") as folder:
        if chosen.root is None:
            counts = dict.fromkeys(chosen.classes, chosen.images_per_class)
            write_phantom_dataset(Path(folder), counts, 0, PhantomSettings(size=chosen.side), 2)
        images, thumbnails = described(chosen.root or Path(folder), chosen.side)
    is_used = images["label"].isin(chosen.classes).to_numpy()
    images = images[is_used].reset_index(drop=True)
    rows = []
    for of in ("none", "at random", *chosen.classes):
        for seed in range(chosen.seeds):
            rng = np.random.default_rng(seed)
            wrong = flipped(images, "" if of == "at random" else of, rng)
            rows.append(
                {
                    "flipped of": of,
                    "seed": seed,
                    **measured(images, thumbnails[is_used], wrong, seed),
                }
            )
    table = pd.DataFrame(rows)
    print(table.round(2).to_string(index=False))
    target = Path("results/benchmarks/suspect_labels.csv")
    target.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(target, index=False)


if __name__ == "__main__":
    main()
