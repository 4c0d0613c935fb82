"""What is noticed of images that are no input: `python -m benchmarks.unlike_images [folder]`.

Thresholds are set on 70 % of the images, as the workflow sets them on its training images. The
other 30 % show how often an image that is all right would be called unlike (false alarms), and how
often the same images are noticed once they are turned, inverted, shifted, mirrored or cropped; and
noise, blank pictures and crops of colour photographs are shown as well. Without a folder, on 450
phantoms as in the demo. Written to results/benchmarks/unlike_images.csv.
"""

import argparse
import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from PIL import Image
from sklearn.datasets import load_sample_images

from workflow_scripts.cxrcam.data.fingerprints import thumbnail
from workflow_scripts.cxrcam.duplicates.likeness import likeness, usual_likeness
from workflow_scripts.cxrcam.images.colour import MOST_COLOUR
from workflow_scripts.cxrcam.images.files import read_grey
from workflow_scripts.cxrcam.images.resizing import resize_grey
from workflow_scripts.cxrcam.new_images.answers import LEAST_CONTRAST
from workflow_scripts.cxrcam.new_images.reference import is_unlike
from workflow_scripts.cxrcam.phantom.dataset import write_phantom_dataset
from workflow_scripts.cxrcam.phantom.traits import PhantomSettings

CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as they are (false alarms)": lambda p: p,
    "turned by 90° to the left": lambda p: np.rot90(p, 1),
    "turned by 90° to the right": lambda p: np.rot90(p, 3),
    "upside down": lambda p: np.rot90(p, 2),
    "upside down and mirrored": lambda p: p[::-1],
    "black and white exchanged": lambda p: 255 - p,
    "mirrored": lambda p: p[:, ::-1],
    "shifted by a sixth of the width": lambda p: np.roll(p, p.shape[1] // 6, axis=1),
    "the middle half only": lambda p: p[
        p.shape[0] // 4 : -p.shape[0] // 4, p.shape[1] // 4 : -p.shape[1] // 4
    ],
}


def pictures_of(folder: Path) -> list[np.ndarray]:
    """All images of a folder and those below it, masks left out."""
    files = sorted(f for f in folder.rglob("*.png") if f.parent.name not in ("masks", "lesions"))
    return [read_grey(file, 10**8).pixels for file in files]


def photographs(rng: np.random.Generator, n: int) -> list[Image.Image]:
    """Crops of the colour photographs that come with scikit-learn and matplotlib."""
    face = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    whole = [*map(Image.fromarray, load_sample_images().images), Image.open(face).convert("RGB")]
    crops = []
    for k in range(n):
        photo = whole[k % len(whole)]
        side = int(rng.integers(150, min(photo.size)))
        left, top = (int(rng.integers(0, extent - side + 1)) for extent in photo.size)
        crops.append(photo.crop((left, top, left + side, top + side)))
    return crops


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(prefix="cxrcam-benchmark-") as place:
        folder = arguments.folder
        if folder is None:
            folder = Path(place)
            counts = {"Normal": 150, "COVID": 150, "Viral Pneumonia": 150}
            write_phantom_dataset(folder, counts, 0, PhantomSettings(size=299, difficulty=0.2), 2)
        images = pictures_of(folder)
    order = rng.permutation(len(images))
    n_training = round(0.7 * len(images))
    training = np.stack([thumbnail(images[k]) for k in order[:n_training]])
    thresholds = usual_likeness(training, [str(k) for k in range(n_training)])
    new = [images[k] for k in order[n_training:]]

    def share(pictures: list[np.ndarray]) -> float:
        small = np.stack([thumbnail(np.ascontiguousarray(p)) for p in pictures])
        unlike = is_unlike(likeness(small, training), thresholds)
        blank = [resize_grey(np.ascontiguousarray(p), 129).std() < LEAST_CONTRAST for p in pictures]
        return float((unlike | np.array(blank)).mean())

    rows = [(name, len(new), share([change(p) for p in new])) for name, change in CHANGES.items()]
    noise = [rng.integers(0, 256, (299, 299), dtype=np.uint8) for _ in range(100)]
    blank = [np.full((299, 299), level, np.uint8) for level in range(0, 256, 16)]
    photos = photographs(rng, 99)
    in_colour = []
    for photo in photos:
        stored = io.BytesIO()
        photo.save(stored, "JPEG", quality=85)
        in_colour.append(read_grey(Path(), 10**8, stored.getvalue()).colourfulness > MOST_COLOUR)
    grey = [np.array(photo.convert("L")) for photo in photos]
    rows += [
        ("noise", len(noise), share(noise)),
        ("blank", len(blank), share(blank)),
        ("crops of 3 colour photographs, by colour alone", len(photos), float(np.mean(in_colour))),
        ("the same in grey, by likeness", len(photos), share(grey)),
    ]
    table = pd.DataFrame(rows, columns=["images", "n", "called unlike"])
    print(f"{thresholds}, {n_training} training images")
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    target = Path("results/benchmarks/unlike_images.csv")
    target.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(target, index=False)


if __name__ == "__main__":
    main()
