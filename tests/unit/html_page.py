"""What a browser would make of a page, and whether what its links lead to is there."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

VOID = {"meta", "link", "img", "br", "input"}


class Page(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.text = file.read_text(encoding="utf-8")
        self.feed(self.text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def links(self) -> Iterator[str]:
        for _, attributes in self.tags:
            for name in ("href", "src"):
                if attributes.get(name):
                    yield str(attributes[name])


def links_within(folder: Path) -> tuple[int, list[str]]:
    """Number of links and pictures of all pages in a folder, and those that are not within it."""
    n, lost = 0, []
    for file in sorted(folder.rglob("*.html")):
        page = Page(file)
        identifiers = {attributes.get("id") for _, attributes in page.tags}
        for link in page.links:
            n += 1
            target = (file.parent / unquote(link)).resolve()
            is_there = target.is_file() and target.is_relative_to(folder.resolve())
            if link.startswith("#"):
                is_there = link[1:] in identifiers
            if not is_there and not link.startswith("data:"):
                lost.append(f"{file.relative_to(folder)}: {link}")
    return n, lost
