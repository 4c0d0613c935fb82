"""What all pages share: templates that escape whatever comes from data, and the notice."""

import base64
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from PIL import Image

from workflow_scripts.cxrcam.terms import DRAWN

TEMPLATES: Final = Path(__file__).parent / "templates"
MOST_HEIGHT: Final = 384
"""Of a picture within a page, in pixels: pages of hundreds of them are to be mailed."""
_JPEG_QUALITY: Final = 85
NOTICE: Final = "Research use only. Nothing here is a diagnosis."
_CODE: Final = re.compile(r"`([^`]+)`")


def notice(is_drawn: bool) -> str:
    """What every page says first; of phantoms that they are drawn."""
    return f"{DRAWN}. {NOTICE}" if is_drawn else NOTICE


def trained_notice(is_drawn: bool) -> str:
    """What every page of new images says first, of networks that learnt from phantoms too."""
    return f"Trained on {DRAWN[0].lower()}{DRAWN[1:]}. {NOTICE}" if is_drawn else NOTICE


def page_environment() -> Environment:
    """Templates that escape whatever comes from data, and refuse a name that nobody gave."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["named_alike"] = choices
    environment.filters["with_code"] = with_code
    return environment


def with_code(text: str) -> Markup:
    """Text, escaped; what stands between backticks is a setting, and per cents never wrap."""
    unbroken = str(escape(text)).replace(" %", "\u00a0%")
    return Markup(_CODE.sub(r"<code>\1</code>", unbroken))  # noqa: S704


@dataclass(frozen=True)
class Embedded:
    """A picture within a page; width and height in pixels, so that nothing moves as it comes."""

    uri: str
    width: int
    height: int


def embedded(picture: Image.Image) -> Embedded:
    """A grey picture as an address that holds all of it: the page needs no file beside it.

    It is made smaller where it is higher than `MOST_HEIGHT`.
    """
    if picture.height > MOST_HEIGHT:
        width = round(picture.width * MOST_HEIGHT / picture.height)
        picture = picture.resize((width, MOST_HEIGHT), Image.Resampling.BOX)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    uri = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
    return Embedded(uri, *picture.size)


def choices(values: Iterable[object]) -> list[tuple[object, object]]:
    """Options of a filter that are called what they are, each once, in their order."""
    return [(value, value) for value in dict.fromkeys(values)]
