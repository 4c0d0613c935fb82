"""Pictures of new images: X-ray and evidence apart, for the page, and together with a caption."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from PIL import Image

from workflow_scripts.cxrcam.files import atomic_path, file_name
from workflow_scripts.cxrcam.images.blanking import blanked
from workflow_scripts.cxrcam.images.covering import covered_pixels
from workflow_scripts.cxrcam.images.files import read_grey
from workflow_scripts.cxrcam.images.limits import UnreadableImage
from workflow_scripts.cxrcam.images.resizing import resize_grey
from workflow_scripts.cxrcam.maps.answer_overlay import answer_overlay
from workflow_scripts.cxrcam.maps.overlays import (
    against_layer,
    colour_bar,
    evidence_layer,
    save_png,
)
from workflow_scripts.cxrcam.maps.placement import log_odds, normalise_map
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps

PICTURE_SIDE: Final = 299

_JPEG_QUALITY: Final = 85


@dataclass(frozen=True)
class AnswerCard:
    """One drawn image; files are relative to the page, `evidence` is None where there is no map."""

    image: str
    answer: str
    abstained: bool
    said: str
    notes: Sequence[str]
    explained: str
    xray: str
    evidence: str | None
    overlay: str
    against: str | None = None
    is_drawn: bool = False


@dataclass(frozen=True)
class Drawing:
    """What all pictures share.

    Attributes
    ----------
    input_part : str
        What the networks see of each image, see `covering.covered_pixels`.
    scale : float
        Raw map value at full colour.
    n_classes : int
        Of the task.
    opacity : float
        Of full colour, in [0, 1].
    max_pixels : int
    notices : list of str
        Sentences under every captioned picture.
    against : bool
        Whether to draw evidence against the class too.
    blank : {"none", "corners"}
        What is blanked in every image, see `blanking.blanked`.
    """

    input_part: str
    scale: float
    n_classes: int
    opacity: float
    max_pixels: int
    notices: list[str]
    against: bool = False
    blank: str = "none"


def write_answer_pictures(
    rows: Sequence[dict[str, Any]],
    paths: Sequence[Path],
    maps: RawMaps,
    folder: Path,
    drawing: Drawing,
    threads: int,
) -> list[AnswerCard]:
    """Draw images with their maps.

    Parameters
    ----------
    rows : sequence of dict, length n
        `image`, `answer`, `abstained`, `is_input`, `is_drawn`, `said` (one line), `notes` (list of
        str), `explained` (class of the map).
    paths : sequence of Path, length n
    maps : RawMaps
        Of the class that is explained, values of shape (n, 1, height, width).
    folder : Path
        Of the page; the pictures go to its folders ``pictures`` and ``overlays``.
    drawing : Drawing
    threads : int

    Returns
    -------
    list of AnswerCard
        Without those whose file is gone by now.
    """
    for name in ("pictures", "overlays"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    save_png(colour_bar(160, 20, drawing.opacity), folder / "pictures" / "evidence-scale.png")
    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        cards = pool.map(
            lambda k: _drawn(k + 1, rows[k], paths[k], maps.of_images([k]), folder, drawing),
            range(len(rows)),
        )
        return [card for card in cards if card is not None]


def _drawn(
    number: int,
    row: dict[str, Any],
    path: Path,
    maps: RawMaps,
    folder: Path,
    drawing: Drawing,
) -> AnswerCard | None:
    try:
        image = read_grey(path, drawing.max_pixels, least_side=2 * PICTURE_SIDE)
    except UnreadableImage:
        return None
    grey = resize_grey(image.pixels, PICTURE_SIDE)
    grey = covered_pixels(blanked(grey[None], drawing.blank), drawing.input_part, None)[0]
    placed = maps.place(maps.values[0, 0], PICTURE_SIDE)
    evidence = normalise_map(placed, drawing.scale) if row["is_input"] else None
    # Numbered: names from the user may hold anything, and differ by case only.
    xray, layer, opposed = (
        f"pictures/{number:05d}-{name}" for name in ("xray.jpg", "evidence.png", "against.png")
    )
    with atomic_path(folder / xray) as temporary:
        Image.fromarray(grey).save(temporary, quality=_JPEG_QUALITY)
    said = row["said"]
    if evidence is not None:
        save_png(evidence_layer(evidence, drawing.opacity), folder / layer)
        if drawing.against:
            save_png(against_layer(evidence), folder / opposed)
        if not evidence.max() > 0.0:
            said += f"; no evidence for {row['explained']}"
    captioned = f"overlays/{number:05d}-{file_name(row['image'].replace('/', '_'))}.png"
    save_png(
        answer_overlay(
            grey,
            evidence,
            image_id=row["image"],
            lines=[row["said"], *row["notes"], *drawing.notices],
            explained=row["explained"],
            scale_max=log_odds(drawing.scale, drawing.n_classes),
            opacity=drawing.opacity,
            against=drawing.against,
            is_drawn=row["is_drawn"],
        ),
        folder / captioned,
    )
    return AnswerCard(
        row["image"],
        row["answer"],
        row["abstained"],
        said,
        row["notes"],
        row["explained"],
        xray,
        None if evidence is None else layer,
        quote(captioned),
        opposed if evidence is not None and drawing.against else None,
        row["is_drawn"],
    )
