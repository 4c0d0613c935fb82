"""Phantom chest radiographs: the built-in demo data, drawn by code, free of patients.

Three classes with the names and the folder layout of the COVID-19 Radiography Database. What tells
them apart in the clean setting is the finding in the lungs and nothing else; `confounders` tie
further traits to the label, so that an audit can be shown to find them.
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
    CONFOUNDERS,
    FINDINGS,
    PhantomSettings,
    PhantomTraits,
    sample_traits,
)

__all__ = [
    "CONFOUNDERS",
    "FINDINGS",
    "Phantom",
    "PhantomSettings",
    "PhantomTraits",
    "draw_phantom",
    "phantom_rng",
    "sample_traits",
    "write_phantom_dataset",
]

PNG_COMPRESS_LEVEL = 1
"""Higher levels save a few per cent of these noisy images and cost several times the time."""

IMAGES_PER_CHUNK = 16
"""Images handed to a worker at once: enough to hide the cost of the hand-over."""


@dataclass(frozen=True)
class Phantom:
    """One phantom radiograph.

    Attributes
    ----------
    image : ndarray of uint8, shape (size, size)
        Grey image; dense tissue bright.
    lung_mask : ndarray of bool, shape (size, size)
        Lung fields.
    lesion_mask : ndarray of bool, shape (size, size)
        Where the finding is visible, inside the lung fields; all False for "Normal".
    traits : dict
        What was drawn, by the names in `PhantomTraits`.
    """

    image: GreyImage
    lung_mask: BoolArray
    lesion_mask: BoolArray
    traits: dict[str, object]


def phantom_rng(seed: int, finding: str, number: int) -> np.random.Generator:
    """Make the random generator of one phantom, whatever else is drawn.

    Parameters
    ----------
    seed : int
        Seed of the data set, not negative.
    finding : str
        Class name.
    number : int
        Number of the image in its class, from 1.

    Returns
    -------
    numpy.random.Generator
    """
    # Python's own hash of a string changes from process to process; a digest never does.
    words = np.frombuffer(hashlib.sha256(finding.encode()).digest(), dtype="<u4")
    return np.random.default_rng(np.random.SeedSequence([seed, *words.tolist(), number]))


def draw_phantom(finding: str, rng: np.random.Generator, settings: PhantomSettings) -> Phantom:
    """Draw one phantom radiograph.

    Parameters
    ----------
    finding : str
        One of `FINDINGS`.
    rng : numpy.random.Generator
        Source of all randomness, see `phantom_rng`.
    settings : PhantomSettings
        Size, difficulty, confounders.

    Returns
    -------
    Phantom

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
    masks of the diseased classes under `lesions/` (8-bit grey, 0 or 255), and
    `<root>/phantoms.csv`. Bytes do not depend on `processes`, and image k does not depend on how
    many are drawn.

    Parameters
    ----------
    root : pathlib.Path
        Folder to write into; made where it does not exist.
    images_per_class : mapping of str to int
        Number of images, at least 1, by class name.
    seed : int
        Seed of the data set, not negative.
    settings : PhantomSettings
        Size, difficulty, confounders.
    processes : int
        Worker processes.

    Returns
    -------
    pandas.DataFrame
        The table in `phantoms.csv`: `path` relative to `root`, `label`, then one column a trait.

    Raises
    ------
    ValueError
        If a class is unknown or a count is below 1.
    """
    for finding, count in images_per_class.items():
        if finding not in FINDINGS:
            raise ValueError(
                f"Unknown phantom class '{finding}'; allowed are {', '.join(FINDINGS)}."
            )
        if count < 1:
            raise ValueError(
                f"{count} images asked for class '{finding}', but at least 1 must be drawn."
            )
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
        Image.fromarray(pixels).save(path, compress_level=PNG_COMPRESS_LEVEL)
    return {"path": f"{finding}/images/{name}", "label": finding, **phantom.traits}


def _as_grey(mask: BoolArray) -> GreyImage:
    return mask.astype(np.uint8) * np.uint8(255)
