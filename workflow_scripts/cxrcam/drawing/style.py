"""The look of every figure: colours, sizes, fonts, texts that print literally, and saving.

Nothing here touches pyplot or leaves a matplotlib setting changed.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, ParamSpec

import matplotlib
from matplotlib.figure import Figure

from workflow_scripts.cxrcam.drawing.captions import caption_font, shorten_middle
from workflow_scripts.cxrcam.files import atomic_path, write_text

Parameters = ParamSpec("Parameters")

BLACK: Final = "#000000"
ORANGE: Final = "#E69F00"
SKY_BLUE: Final = "#56B4E9"
GREEN: Final = "#009E73"
BLUE: Final = "#0072B2"
VERMILION: Final = "#D55E00"
PURPLE: Final = "#CC79A7"
GREY: Final = "#6E6E6E"
LIGHT_GREY: Final = "#D0D0D0"
"""Okabe & Ito (2008), Color Universal Design, without its yellow (too pale on white)."""

MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "*")
"""Shapes that go with colours, since colour alone must not carry a meaning."""

COLUMN_WIDTH: Final = 3.5
"""Width of a journal column in inches (89 mm)."""

PAGE_WIDTH: Final = 7.2
"""Width of a journal page in inches (183 mm)."""

PNG_DPI: Final = 200

STYLE: Final[Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.labelsize": 8.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 7.0,
    "figure.titlesize": 9.0,
    "figure.titleweight": "bold",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "lines.linewidth": 1.4,
    "legend.frameon": True,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "legend.borderpad": 0.3,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    # Letters as outlines: an SVG must look the same where DejaVu Sans is not installed.
    "svg.fonttype": "path",
    # Without a salt matplotlib names SVG elements at random.
    "svg.hashsalt": "cxr-cam",
}
"""Fonts stay at 7 pt or more when the figure is printed at its own width."""


def styled(draw: Callable[Parameters, Figure]) -> Callable[Parameters, Figure]:
    """Let a drawing function run under `STYLE`, restoring the caller's settings afterwards."""

    @functools.wraps(draw)
    def wrapper(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Figure:
        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return wrapper


def literal(text: object) -> str:
    r"""Escape a name from the data so that matplotlib prints it as it is.

    Two dollar signs would start a formula, in which "_" and "^" become indices. Line breaks and
    tabs become spaces.
    """
    return str(text).translate({ord("$"): r"\$", ord("\n"): " ", ord("\r"): " ", ord("\t"): " "})


def wrapped(text: object, inches: float, points: float, lines: int = 2, bold: bool = False) -> str:
    """Break a name into lines that fit, the last cut with "…" if need be, and escape it.

    Lines break at spaces and after "_", "-" and "/", since class names are often folder names.

    Parameters
    ----------
    text : object
        Class name or title.
    inches : float
        Room on the figure.
    points : float
        Font size, in DejaVu Sans.
    lines : int, default 2
        Most lines.
    bold : bool, default False
        Whether it is printed in bold letters.
    """
    font = caption_font(round(points * 10), bold)
    room = inches * 720.0 * 0.98  # as in `fitted`
    done: list[str] = []
    rest = re.findall(r"[^\s_/-]*[_/-]+|[^\s_/-]+|\s+", " ".join(str(text).split()))
    while rest and len(done) < lines - 1:
        line = rest.pop(0)
        while rest and font.getlength((line + rest[0]).rstrip()) <= room:
            line += rest.pop(0)
        done.append(shorten_middle(line, room, font))
        while rest and rest[0].isspace():
            rest.pop(0)
    if rest:
        done.append(shorten_middle("".join(rest), room, font))
    return "\n".join(literal(line) for line in done)


def fitted(text: object, inches: float, points: float, bold: bool = False) -> str:
    """Cut the middle out of a text until it fits, and escape it; parameters as in `wrapped`."""
    # Measured at ten pixels a point, where whole-pixel hinting does not matter; at the 200 dpi of
    # the PNG it widens a line by up to 2 %.
    font = caption_font(round(points * 10), bold)
    return literal(shorten_middle(str(text), inches * 720.0 * 0.98, font))


def save_figure(
    figure: Figure, path_without_suffix: Path, kinds: Sequence[str] = ("png", "svg")
) -> list[Path]:
    """Write a figure as PNG (200 dpi) and SVG, the same bytes for the same figure.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What a function of `figures` or `gallery` returned.
    path_without_suffix : Path
        Where to; ".png" and ".svg" are appended (a dot in the name is kept). A missing
        folder is made.
    kinds : sequence of {"png", "svg"}
        An SVG of photographs is only a larger PNG: leave it out for those.

    Returns
    -------
    list of Path
        The files, in the order of `kinds`. Each appears whole or not at all.
    """
    # Neither dates nor versions: they would change the bytes.
    metadata = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
    written = []
    for kind in kinds:
        path = Path(f"{path_without_suffix}.{kind}")
        with matplotlib.rc_context(STYLE), atomic_path(path) as temporary:
            figure.savefig(temporary, format=kind, dpi=PNG_DPI, metadata=metadata[kind])
        written.append(path)
    return written


def save_captioned(
    figure: Figure, path_without_suffix: Path, caption: str, kinds: Sequence[str] = ("png", "svg")
) -> None:
    """Write a figure as `save_figure`, and its caption beside it, with the suffix ".txt"."""
    save_figure(figure, path_without_suffix, kinds)
    write_text(Path(f"{path_without_suffix}.txt"), caption + "\n")
