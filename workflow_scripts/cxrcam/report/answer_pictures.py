"""Pictures of new images: X-ray and heat apart, for a slider, and together with a caption."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
from PIL import Image

from workflow_scripts.cxrcam.files import atomic_path, file_name
from workflow_scripts.cxrcam.images.files import read_grey
from workflow_scripts.cxrcam.images.limits import UnreadableImage
from workflow_scripts.cxrcam.images.resizing import resize_grey
from workflow_scripts.cxrcam.maps.answer_overlay import answer_overlay
from workflow_scripts.cxrcam.maps.overlays import heat_colours, heat_layer, save_png
from workflow_scripts.cxrcam.maps.placement import normalise_map, place_map
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps
from workflow_scripts.cxrcam.networks.input_parts import covered_pixels

PICTURE_SIDE: Final = 299

_JPEG_QUALITY: Final = 85


@dataclass(frozen=True)
class AnswerCard:
    """One drawn image; files are relative to the page, `heat` is None where there is none."""

    image: str
    answer: str
    abstained: bool
    said: str
    notes: Sequence[str]
    explained: str
    xray: str
    heat: str | None
    overlay: str


@dataclass(frozen=True)
class Drawing:
    """What all pictures share.

    Attributes
    ----------
    input_part : str
        What the networks see of each image, see `input_parts.covered_pixels`.
    scale : float
        Raw class activation at the hot end of the colours.
    opacity : float
    max_pixels : int
    notices : list of str
        Sentences under every captioned picture.
    """

    input_part: str
    scale: float
    opacity: float
    max_pixels: int
    notices: list[str]


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
        `image`, `answer`, `abstained`, `is_input`, `said` (one line), `notes` (list of str),
        `explained` (class of the map).
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
    colours = np.broadcast_to(heat_colours(), (12, 256, 3))
    save_png(np.ascontiguousarray(colours), folder / "pictures" / "heat-scale.png")
    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        one_each = [replace(maps, values=values) for values in maps.values]
        cards = pool.map(
            lambda k: _drawn(k + 1, rows[k], paths[k], one_each[k], folder, drawing),
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
    grey = covered_pixels(grey[None], drawing.input_part, None)[0]
    heat: npt.NDArray[np.float32] | None = None
    if row["is_input"]:
        placed = place_map(
            maps.values[0],
            PICTURE_SIDE,
            input_size=maps.input_size,
            stride=maps.stride,
            offset=maps.offset,
        )
        heat = normalise_map(placed, drawing.scale)
    # Numbered: names from the user may hold anything, and differ by case only.
    xray, layer = f"pictures/{number:05d}-xray.jpg", f"pictures/{number:05d}-heat.png"
    with atomic_path(folder / xray) as temporary:
        Image.fromarray(grey).save(temporary, quality=_JPEG_QUALITY)
    if heat is not None:
        save_png(heat_layer(heat), folder / layer)
    captioned = f"overlays/{number:05d}-{file_name(row['image'].replace('/', '_'))}.png"
    save_png(
        answer_overlay(
            grey,
            heat,
            image_id=row["image"],
            lines=[row["said"], *row["notes"], *drawing.notices],
            explained=row["explained"],
            scale_max=drawing.scale,
            opacity=drawing.opacity,
        ),
        folder / captioned,
    )
    return AnswerCard(
        row["image"],
        row["answer"],
        row["abstained"],
        row["said"],
        row["notes"],
        row["explained"],
        xray,
        None if heat is None else layer,
        quote(captioned),
    )
