"""Markdown pages from templates: whatever a template prints is escaped."""

import json
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from workflow_scripts.cxrcam.markdown import markdown_text

TEMPLATES: Final = Path(__file__).parent / "templates"


def _escaped(value: object) -> str:
    return markdown_text(str(value))


def render_page(template: str, **values: Any) -> str:  # noqa: ANN401 (whatever the page shows)
    """A page.

    Parameters
    ----------
    template : str
        File below `TEMPLATES`.
    **values
        What it prints. Markdown has no escaping of its own, so each printed value goes through
        `markdown_text`, and a template can forget nothing.

    Returns
    -------
    str
        Markdown with single blank lines.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=False,  # noqa: S701 (that is of HTML; `finalize` escapes Markdown)
        finalize=_escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain_json"] = lambda value: json.dumps(value, ensure_ascii=False)
    lines: list[str] = []
    for line in environment.get_template(template).render(**values).splitlines():
        # Conditions that are not met leave several blank lines.
        if line.strip() or (lines and lines[-1]):
            lines.append(line.rstrip())
    return "\n".join(lines).rstrip() + "\n"
