"""Tables of the report: rows of cells that a reader sees, and by what they are sorted."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeGuard
from urllib.parse import quote

NONE: Final = "–"
"""What stands where there is no number."""


@dataclass(frozen=True)
class Link:
    """A link to a file of the results, relative to the page."""

    text: str
    href: str


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes
    ----------
    text : str
    order : float or None
        What the column is sorted by; None: the text.
    links : sequence of Link
        Shown behind the text.
    rates : (float, float) or None
        Sensitivity and specificity, of which the page makes the predictive value at the
        prevalence that its reader sets.
    """

    text: str
    order: float | None = None
    links: Sequence[Link] = ()
    rates: tuple[float, float] | None = None


@dataclass(frozen=True)
class Table:
    """A table of the report.

    Attributes
    ----------
    caption : str
        What it shows; read first by a screen reader.
    columns : sequence of str
    rows : list of lists of Cell
        Each as long as `columns`. The first cell of a row is its heading.
    """

    caption: str
    columns: Sequence[str]
    rows: list[list[Cell]] = field(default_factory=list)

    @property
    def has_links(self) -> bool:
        """Whether any cell has a link."""
        return any(cell.links for row in self.rows for cell in row)


def without_constant(table: Table) -> Table:
    """The table without columns that say the same in every row; its caption says it once.

    The first column, the rows' heading, stays, as does a column with links. A table of one row
    is left as it is.
    """
    if len(table.rows) < 2:
        return table
    constant = {
        k: column[0].text
        for k, column in enumerate(zip(*table.rows, strict=True))
        if k and len({cell.text for cell in column}) == 1 and not any(c.links for c in column)
    }
    kept = [k for k in range(len(table.columns)) if k not in constant]
    told = [f"{table.columns[k]}: {text}" for k, text in constant.items() if text != NONE]
    return Table(
        f"{table.caption}. The same in all rows: {'; '.join(told)}" if told else table.caption,
        [table.columns[k] for k in kept],
        [[row[k] for k in kept] for row in table.rows],
    )


def is_number(value: object) -> TypeGuard[float]:
    """Whether a cell of a CSV file holds a number."""
    return isinstance(value, int | float) and math.isfinite(value)


def number_cell(value: object, digits: int = 3) -> Cell:
    """A number; "–" where there is none."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return Cell(NONE, -math.inf)
    return Cell(f"{value:.{digits}f}", float(value))


def interval_cell(value: object, low: object, high: object, sign: bool = False) -> Cell:
    """A number with its interval, as "0.917 (0.819 to 0.964)"; sorted by the number.

    Parameters
    ----------
    value, low, high : object
        Without bounds the number stands alone, without a number "–".
    sign : bool, default False
        Whether a plus stands before what is positive.
    """
    if not isinstance(value, int | float) or not math.isfinite(value):
        return Cell(NONE, -math.inf)
    form = "+.3f" if sign else ".3f"
    text = f"{value:{form}}"
    if is_number(low) and is_number(high):
        text += f" ({low:{form}} to {high:{form}})"
    return Cell(text, float(value))


def relative_href(target: str | Path, page_folder: str | Path) -> str:
    """Where a file lies as seen from the page, written as a browser wants it.

    Parameters
    ----------
    target, page_folder : str or Path
        Both absolute, or both relative to the same folder.
    """
    return quote(Path(os.path.relpath(target, page_folder)).as_posix())


def file_link(file: str | Path, page_folder: str | Path, text: str | None = None) -> Link:
    """A link to a file, called as the file is unless a text is given."""
    return Link(Path(file).name if text is None else text, relative_href(file, page_folder))
