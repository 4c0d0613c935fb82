"""Sentences that hold names from the data, as text of a Markdown page."""

import re


def markdown_text(text: str) -> str:
    """Escape what a page would take for HTML, a link, a formula, emphasis or a table's bar.

    What stands between two backticks stays code, in which nothing is read as HTML; underscores
    stay, as the pages are also read as plain text and names are full of them. Line breaks become
    spaces.
    """
    # A run of several backticks ends otherwise than one does: escaped, like any other sign.
    parts = re.split("((?<!`)`[^`]+`(?!`))", " ".join(text.split()))
    return "".join(
        part.replace("|", r"\|") if code else _escaped(part)
        for part, code in zip(parts, [False, True] * len(parts), strict=False)
    )


def _escaped(text: str) -> str:
    # As entities: GitHub's links by themselves (www.…, http://…) swallow a backslash that follows,
    # and what it protected becomes HTML. Without "www." and "://" there are no such links.
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    text = re.sub(r"([\\`\[\]|$*~])", r"\\\1", text)
    text = re.sub(r"(?i)(www)\.", r"\1&#46;", text)
    return re.sub(r":(?=//)", "&#58;", text)
