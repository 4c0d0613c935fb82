"""One test image of a run: the X-ray, the evidence on it, and what the network said."""

from __future__ import annotations

from PIL import Image, ImageDraw

from workflow_scripts.cxrcam.drawing.captions import caption_font, shorten_middle
from workflow_scripts.cxrcam.maps.frames import (
    INK,
    MARGIN,
    draw_legend,
    framed_pair,
    legend_height,
)
from workflow_scripts.cxrcam.maps.overlays import Picture, legend_items, legend_title, overlay


def captioned_overlay(
    picture: Picture,
    *,
    image_id: str,
    label: str,
    predicted: str,
    probability: float,
    scale_max: float,
    method: str | None,
    opacity: float,
    against: bool,
    is_drawn: bool = False,
) -> Image.Image:
    """Draw one image of a run: the X-ray, the evidence on it, and what the network said.

    Parameters
    ----------
    picture : Picture
        Its evidence is for the predicted class.
    image_id, label, predicted : str
        What it is, its true class, the class the network named. Texts too long for the picture
        lose their middle.
    probability : float
        Probability of the predicted class, in [0, 1].
    scale_max : float
        Log-odds at full colour.
    method : str or None
        Name of another kind of map than evidence.
    opacity, against
        As in `overlays.overlay`.
    is_drawn : bool
        As in `frames.framed_pair`.

    Returns
    -------
    PIL.Image.Image
        RGB; two panels side by side between a title and a strip of text with the legend.
    """
    grey, evidence = picture["grey"], picture["evidence"]
    mapped = overlay(**picture, opacity=opacity, against=against)
    items = legend_items(
        scale_max,
        opacity,
        against=against,
        has_lungs=picture["lung_mask"] is not None,
        has_lesions=picture["lesion_mask"] is not None,
    )
    room = len(grey) - 2 * MARGIN
    foot = MARGIN + max(54, legend_height(items, room)) + MARGIN
    drawn = framed_pair(grey, mapped, image_id, foot, is_drawn=is_drawn)
    top = drawn.height - foot + MARGIN
    _write_answer(drawn, top, room, label, predicted, probability)
    left = drawn.width - len(grey) + MARGIN
    draw_legend(drawn, left, top, room, legend_title(evidence, predicted, method), items)
    return drawn


def _write_answer(
    picture: Image.Image, top: int, room: int, label: str, predicted: str, probability: float
) -> None:
    """Write what is true and what was said; a sign and a word, as colour alone excludes some."""
    draw = ImageDraw.Draw(picture)
    text, bold = caption_font(13), caption_font(13, bold=True)
    draw.text((MARGIN, top), shorten_middle(f"true: {label}", room, text), INK, text)
    shown_probability = f" ({probability:.3f})"
    name = shorten_middle(f"predicted: {predicted}", room - text.getlength(shown_probability), text)
    draw.text((MARGIN, top + 18), name + shown_probability, INK, text)
    verdict = "✓ correct" if label == predicted else "✗ wrong"
    draw.text((MARGIN, top + 36), verdict, INK, bold)
