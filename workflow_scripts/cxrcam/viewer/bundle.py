"""Build the page: its scripts bundled into two files, beside the one WebAssembly file they need."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.files import atomic_path, write_text
from workflow_scripts.cxrcam.terms import DRAWN

PAGE: Final = Path(__file__).parent / "page"
"""Sources of the page, an npm package."""

PARTS: Final = (
    "viewer.css",
    "viewer.js",
    "worker.js",
    "ort-wasm-simd-threaded.wasm",
)
"""Files that are bundled from them, beside the page itself."""

SHARED: Final = Path(__file__).parents[1] / "report/templates/base.css"
"""Style that the page shares with the report."""

LEAST_NODE: Final = 18


def page_sources() -> list[Path]:
    """Files that decide what the page looks like and does, sorted."""
    own = [
        file
        for file in PAGE.rglob("*")
        if file.is_file() and {"node_modules", "dist"}.isdisjoint(file.relative_to(PAGE).parts)
    ]
    return sorted([*own, SHARED])


def _run(command: list[str], folder: Path, what: str, advice: str = "") -> str:
    """Run a command of Node.js; its faults end in one sentence."""
    done = subprocess.run(  # noqa: S603  # the commands are our own
        command, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        # Warnings come first.
        errors = [line for line in lines if "error" in line.lower() and "log" not in line] or lines
        raise InputError(
            f"{what} failed (exit code {done.returncode}): {errors[0].strip()} "
            f"(command: {' '.join(map(str, command[1:]))}). {advice}".rstrip()
        )
    return done.stdout


def find_node() -> tuple[str, str]:
    """Paths of node and npm; an `InputError` where one is missing, or node is too old."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise InputError(
            "The viewer is bundled by Node.js, but node and npm are not both found: install "
            f"Node.js {LEAST_NODE} or newer (Debian: apt-get install nodejs npm). All else works "
            "without it."
        )
    version = _run([node, "--version"], PAGE, "Asking for the version of Node.js").strip()
    major = version.removeprefix("v").split(".")[0]
    if not major.isdigit() or int(major) < LEAST_NODE:
        raise InputError(f"Node.js is {version}: the viewer needs {LEAST_NODE} or newer.")
    return node, npm


def page_with_words(card: Mapping[str, Any]) -> str:
    """The page, with what it says of its network; nothing moves once it is loaded.

    `card` is as from `network_card`; whatever comes from it is escaped.
    """
    environment = Environment(
        loader=FileSystemLoader(PAGE), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("index.html").render(card=card, drawn=DRAWN)


@contextmanager
def installed_page() -> Iterator[tuple[Path, str]]:
    """Folder with the page's sources and packages, which then goes; and the path of node.

    No package runs code while it is installed.

    Raises
    ------
    InputError
        Node.js is missing, or the packages cannot be fetched.
    """
    node, npm = find_node()
    with tempfile.TemporaryDirectory(prefix="cxrcam-viewer-") as name:
        folder = Path(name)
        for source in page_sources():
            if source == SHARED:
                continue
            copy = folder / source.relative_to(PAGE)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
        _run(
            [npm, "ci", "--no-progress", "--prefer-offline"],
            folder,
            "Fetching the packages",
            "They come once from where npm is set to fetch from; without a network, npm's cache "
            "must hold them.",
        )
        yield folder, node


def build_page(target: Path, card: Mapping[str, Any]) -> None:
    """Bundle the page.

    Parameters
    ----------
    target : Path
        Folder that the page, `PARTS` and `SHARED` are written to.
    card : mapping
        As from `network_card`.

    Raises
    ------
    InputError
        As in `installed_page`.
    """
    with installed_page() as (folder, node):
        _run([node, "build.js"], folder, "Bundling the page")
        for file in (*(folder / "dist" / part for part in PARTS), SHARED):
            with atomic_path(target / file.name) as temporary:
                shutil.copyfile(file, temporary)
        write_text(target / "index.html", page_with_words(card))
