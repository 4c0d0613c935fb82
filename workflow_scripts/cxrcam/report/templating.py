"""What all pages share: templates that escape whatever comes from data, and the notice."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES: Final = Path(__file__).parent / "templates"
NOTICE: Final = "Research use only. Nothing here is a diagnosis."


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
    return environment


def choices(values: Iterable[object]) -> list[tuple[object, object]]:
    """Options of a filter that are called what they are, each once, in their order."""
    return [(value, value) for value in dict.fromkeys(values)]
