"""Tables for a paper: CSV for machines, Markdown for the page, LaTeX for the manuscript."""

from __future__ import annotations

import re
from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.files import write_text
from workflow_scripts.cxrcam.spreadsheets import write_csv

MISSING: Final = "–"
"""What stands where there is no value."""

_LATEX: Final = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    # In LaTeX's default encoding these print as other characters.
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    # Characters that pdflatex does not know, or only with further packages.
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "→": r"$\rightarrow$",
    "²": r"$^{2}$",
    "✓": r"$\surd$",
    "✗": r"$\times$",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "\N{NO-BREAK SPACE}": "~",
}


def write_table(frame: pd.DataFrame, stem: Path, caption: str) -> None:
    """Write a table as CSV (all digits), Markdown and LaTeX, each whole or not at all.

    Parameters
    ----------
    frame : DataFrame
        Its columns are written in their order; the index is not. Whole numbers are printed as they
        are, others with three decimals.
    stem : Path
        Where to; ".csv", ".md" and ".tex" are appended (a dot in the name is kept).
    caption : str
        Stands above the table in Markdown and in LaTeX.
    """
    columns = [str(name) for name in frame.columns]
    cells = [[_printed(value) for value in row] for row in frame.itertuples(index=False, name=None)]
    right = [_is_number_column(column) for _, column in frame.items()]
    write_csv(Path(f"{stem}.csv"), frame)
    write_text(Path(f"{stem}.md"), markdown_table(columns, cells, right, caption))
    latex = latex_table(columns, cells, right, caption, label=f"tab:{stem.name}")
    write_text(Path(f"{stem}.tex"), latex)


def markdown_table(
    columns: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool], caption: str
) -> str:
    """Print a table in Markdown (pipe table), its caption above it.

    Parameters
    ----------
    columns : sequence of str
        Headings.
    cells : sequence of sequences of str
        Rows, as they are to be read; special characters are escaped here.
    right : sequence of bool
        Which columns stand right-aligned.
    caption : str
        Plain text.

    Returns
    -------
    str
        Ends with a line feed.
    """
    rows = [[markdown_escaped(cell) for cell in row] for row in [columns, *cells]]
    widths = [max(3, *(len(row[index]) for row in rows)) for index in range(len(columns))]
    lines = [
        "| "
        + " | ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        + " |"
        for row in rows
    ]
    rule = [
        "-" * (width - 1) + (":" if to_right else "-")
        for width, to_right in zip(widths, right, strict=True)
    ]
    lines.insert(1, "| " + " | ".join(rule) + " |")
    return markdown_escaped(caption) + "\n\n" + "\n".join(lines) + "\n"


def latex_table(
    columns: Sequence[str],
    cells: Sequence[Sequence[str]],
    right: Sequence[bool],
    caption: str,
    label: str,
) -> str:
    r"""Print a table in LaTeX with the rules of the booktabs package.

    Parameters
    ----------
    columns, cells, right, caption
        As in `markdown_table`.
    label : str
        For ``\ref``; other characters than letters, digits, ":" and "-" become "-".

    Returns
    -------
    str
        A ``table`` environment; needs ``\usepackage{booktabs}``. Ends with a line feed.
    """
    rows = [" & ".join(latex_escaped(cell) for cell in row) + r" \\" for row in [columns, *cells]]
    # A row that begins with "[" would be read as the height of the row before it.
    rows = ["{}" + row if row.startswith("[") else row for row in rows]
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex_escaped(caption)}}}",
        rf"\label{{{re.sub(r'[^A-Za-z0-9:-]+', '-', label)}}}",
        rf"\begin{{tabular}}{{{''.join('r' if to_right else 'l' for to_right in right)}}}",
        r"\toprule",
        rows[0],
        r"\midrule",
        *rows[1:],
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def latex_escaped(text: str) -> str:
    """Escape a text so that LaTeX prints it as it is; line breaks and tabs become spaces."""
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))


def markdown_escaped(text: str) -> str:
    """Escape a text so that Markdown prints it as it is, inside a table as well.

    Line breaks and tabs become spaces.
    """
    return re.sub(r"([\\`*_{}\[\]<>|~$#])", r"\\\1", " ".join(text.split()))


def _is_number_column(column: pd.Series) -> bool:
    """Whether most of the values that are there are numbers."""
    there = column.dropna().tolist()
    numeric = [isinstance(value, Real) and not isinstance(value, bool) for value in there]
    return sum(numeric) * 2 > len(there)


def _printed(value: Any) -> str:  # noqa: ANN401
    """One value as it is read in the table."""
    if pd.isna(value):
        return MISSING
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float):
        # A true minus sign; and no "-0.000".
        text = f"{value:.3f}"
        if text.startswith("-"):
            text = "−" + text[1:] if re.search("[1-9a-z]", text) else text[1:]
        return text
    return str(value)
