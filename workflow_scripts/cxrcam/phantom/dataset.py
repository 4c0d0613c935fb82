"""Phantom chest radiographs: the built-in demo data, drawn by code, free of patients.

Classes with the names and the folder layout of the COVID-19 Radiography Database, an effusion, and
several of these findings at once. What tells them apart in the clean setting is the finding in the
lungs and nothing else; `confounders` tie further traits to the label, so that an audit can be shown
to find them.
"""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from workflow_scripts.cxrcam.images.drawn_mark import drawn_mark
from workflow_scripts.cxrcam.phantom.anatomy import draw_anatomy
from workflow_scripts.cxrcam.phantom.canvas import BoolArray, make_canvas
from workflow_scripts.cxrcam.phantom.findings import add_finding
from workflow_scripts.cxrcam.phantom.imaging import (
    GreyImage,
    collimate,
    expose,
    resample,
    stamp,
    tilt_and_crop,
    tilt_and_crop_mask,
)
from workflow_scripts.cxrcam.phantom.traits import (
    PhantomSettings,
    sample_traits,
)

PNG_COMPRESS_LEVEL = 1
"""Higher levels save a few per cent of these noisy images and cost several times the time."""

IMAGES_PER_CHUNK = 16
"""Images handed to a worker at once: enough to hide the cost of the hand-over."""


@dataclass(frozen=True)
class Phantom:
    """One phantom radiograph."""

    image: GreyImage  # uint8 (size, size); dense tissue bright
    lung_mask: BoolArray  # bool (size, size)
    lesion_mask: BoolArray  # bool (size, size): where the finding is visible, within the lungs
    traits: dict[str, object]  # what was drawn, by the names in `PhantomTraits`


def phantom_rng(seed: int, finding: str, number: int) -> np.random.Generator:
    """Make the random generator of one phantom, whatever else is drawn.

    `number` is that of the image in its class, from 1.
    """
    # Python's own hash of a string changes from process to process; a digest never does.
    words = np.frombuffer(hashlib.sha256(finding.encode()).digest(), dtype="<u4")
    return np.random.default_rng(np.random.SeedSequence([seed, *words.tolist(), number]))


def draw_phantom(finding: str, rng: np.random.Generator, settings: PhantomSettings) -> Phantom:
    """Draw one phantom radiograph, of one of `FINDINGS`; all chance comes from `rng`.

    Raises
    ------
    ValueError
        If the finding is unknown.
    """
    traits = sample_traits(finding, rng, settings)
    size = settings.size
    canvas = make_canvas(traits, size)
    anatomy = draw_anatomy(traits, canvas, rng)
    # A stream of its own, so that one state of `rng` gives the same patient with any finding.
    finding_rng = np.random.default_rng(int(rng.integers(2**63)))
    attenuation, lesions = add_finding(finding, anatomy, canvas, settings.difficulty, finding_rng)
    attenuation = tilt_and_crop(attenuation, traits.tilt, size)
    lung_mask = tilt_and_crop_mask(anatomy.lung_mask, traits.tilt, size)
    lesion_mask = tilt_and_crop_mask(lesions, traits.tilt, size)
    grey, exposed = collimate(expose(attenuation, traits, rng), traits.collimation, rng)
    grey = stamp(grey, traits.marker_text, traits.marker_corner, rng)
    grey = stamp(grey, traits.note_text, traits.note_corner, rng)
    image = resample((grey * 255 + 0.5).astype(np.uint8), traits.resampling)
    lung_mask &= exposed
    return Phantom(image, lung_mask, lesion_mask & lung_mask, asdict(traits))


def write_phantom_dataset(
    root: Path,
    images_per_class: Mapping[str, int],
    seed: int,
    settings: PhantomSettings,
    processes: int = 1,
) -> pd.DataFrame:
    """Write phantoms in the layout of the COVID-19 Radiography Database.

    Writes `<root>/<class>/images/<class>-<number>.png`, the lung masks under `masks/`, the lesion
    masks of the diseased classes under `lesions/` (8-bit grey, 0 or 255), each file marked as
    drawn, and `<root>/phantoms.csv`. Bytes do not depend on `processes`, and image k does not
    depend on how many are drawn.

    Returns
    -------
    pandas.DataFrame
        The table in `phantoms.csv`: `path` relative to `root`, `label`, then one column a trait.
    """
    for finding in images_per_class:
        folders = ("images", "masks") if finding == "Normal" else ("images", "masks", "lesions")
        for folder in folders:
            (root / finding / folder).mkdir(parents=True, exist_ok=True)
    jobs = [
        (finding, number)
        for finding, count in images_per_class.items()
        for number in range(1, count + 1)
    ]
    write = partial(_write_phantom, root, seed, settings)
    if processes > 1:
        # "spawn" also works after threads have started (PyTorch, BLAS), where "fork" may hang.
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            rows = pool.map(write, jobs, chunksize=IMAGES_PER_CHUNK)
    else:
        rows = [write(job) for job in jobs]
    table = pd.DataFrame(rows)
    table.to_csv(root / "phantoms.csv", index=False, lineterminator="\n")
    return table


def _write_phantom(
    root: Path, seed: int, settings: PhantomSettings, job: tuple[str, int]
) -> dict[str, object]:
    finding, number = job
    phantom = draw_phantom(finding, phantom_rng(seed, finding, number), settings)
    name = f"{finding}-{number}.png"
    layers = {"images": phantom.image, "masks": _as_grey(phantom.lung_mask)}
    if finding != "Normal":
        layers["lesions"] = _as_grey(phantom.lesion_mask)
    for folder, pixels in layers.items():
        path = root / finding / folder / name
        Image.fromarray(pixels).save(path, compress_level=PNG_COMPRESS_LEVEL, pnginfo=drawn_mark())
    return {"path": f"{finding}/images/{name}", "label": finding, **phantom.traits}


def _as_grey(mask: BoolArray) -> GreyImage:
    return mask.astype(np.uint8) * np.uint8(255)
