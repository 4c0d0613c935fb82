"""Tables for a paper: CSV for machines, Markdown for the page, LaTeX for the manuscript."""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

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


def write_table(
    frame: pd.DataFrame,
    stem: Path,
    caption: str,
    *,
    formats: Mapping[str, str] | None = None,
) -> list[Path]:
    """Write a table as CSV, Markdown and LaTeX.

    Parameters
    ----------
    frame : DataFrame
        Its columns are written in their order; the index is not.
    stem : Path
        Where to; ".csv", ".md" and ".tex" are appended (a dot in the name is kept).
    caption : str
        Stands above the table in Markdown and in LaTeX.
    formats : mapping of str to str, optional
        How the numbers of a column are printed, such as ".3f", ",d" or ".1%". Default: whole
        numbers as they are, others with three decimals. Texts in such a column stay as they are.
        The CSV has all digits.

    Returns
    -------
    list of Path
        The three files. Each appears whole or not at all.

    Raises
    ------
    ValueError
        If two columns have one name, there is no column, or a format is of no column.
    """
    columns = [str(name) for name in frame.columns]
    if not columns:
        raise ValueError("the table has no columns")
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise ValueError(f"the table has two columns {twice[0]!r}")
    wanted = dict(formats or {})
    unknown = sorted(wanted.keys() - set(columns))
    if unknown:
        raise ValueError(f"there is a format for {unknown[0]!r}, but the columns are {columns}")
    cells = [
        [_printed(value, wanted.get(name)) for name, value in zip(columns, row, strict=True)]
        for row in frame.itertuples(index=False, name=None)
    ]
    right = [_is_number_column(frame.iloc[:, index]) for index in range(len(columns))]
    paths = [Path(f"{stem}.{suffix}") for suffix in ("csv", "md", "tex")]
    write_csv(paths[0], frame)
    write_text(paths[1], markdown_table(columns, cells, right, caption))
    write_text(paths[2], latex_table(columns, cells, right, caption, label=f"tab:{stem.name}"))
    return paths


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
    """Escape a text so that LaTeX prints it as it is.

    Parameters
    ----------
    text : str
        Class name, caption, ...; line breaks and tabs become spaces.

    Returns
    -------
    str
    """
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))


def markdown_escaped(text: str) -> str:
    """Escape a text so that Markdown prints it as it is, inside a table as well.

    Parameters
    ----------
    text : str
        Class name, caption, ...; line breaks and tabs become spaces.

    Returns
    -------
    str
    """
    return re.sub(r"([\\`*_{}\[\]<>|~$#])", r"\\\1", " ".join(text.split()))


def _is_number_column(column: pd.Series) -> bool:
    """Whether most of the values that are there are numbers."""
    there = [value for value in column if not _is_missing(value)]
    return bool(there) and sum(map(_is_number, there)) * 2 > len(there)


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not _is_truth(value)


def _is_truth(value: object) -> bool:
    return type(value).__name__ in {"bool", "bool_"}


def _is_missing(value: object) -> bool:
    return (
        value is None
        or value is pd.NA
        or value is pd.NaT
        or (isinstance(value, numbers.Real) and math.isnan(value))
    )


def _printed(value: object, wanted: str | None) -> str:
    """One value as it is read in the table."""
    if _is_missing(value):
        return MISSING
    if _is_truth(value):
        return "yes" if value else "no"
    if not isinstance(value, numbers.Real):
        return str(value)
    if wanted is None:
        wanted = "d" if isinstance(value, numbers.Integral) else ".3f"
    number = int(value) if isinstance(value, numbers.Integral) else float(value)
    if wanted.endswith("d"):
        # A column with gaps is of floats, though what is there is whole.
        if not float(number).is_integer():
            raise ValueError(f"{value} is not whole, but its column has the format {wanted!r}")
        number = int(number)
    # A true minus sign; and no "-0.000".
    text = format(number, wanted)
    if text.startswith("-"):
        text = "−" + text[1:] if re.search("[1-9a-z]", text) else text[1:]
    return text
