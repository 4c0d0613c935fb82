"""What a public collection is, and how its tables' words are read: findings, age, sex, view."""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from workflow_scripts.cxrcam.data.listing.findings_text import NO_FINDING, SEPARATOR, VALUES
from workflow_scripts.cxrcam.data.listing.image_files import DatasetError

LATERAL_VIEW: Final = "lateral"
FRONTAL_VIEWS: Final = frozenset({"PA", "AP", "AP horizontal"})

PRESENT, ABSENT, UNCERTAIN, BLANK = "1", "0", "-1", ""

OLDEST: Final = 120  # years; older patients are slips of the pen, such as 411
AGE: Final = re.compile(r"(-?\d+)(?:\.\d*)?\s*([YMWD]?)", re.IGNORECASE)

Box = tuple[str, float, float, float, float]
"""Finding, left, top, width and height in pixels."""


class Picture(NamedTuple):
    """One image as the tables of its collection describe it."""

    image_id: str
    file: str  # below the collection's folder, or a name without suffix where files are found by it
    label: str = ""  # where classes exclude each other
    findings: tuple[str, ...] = ()  # state of each finding of the collection, in its order
    patient: str = ""
    source: str = ""  # where it is not the collection's own
    split: str = ""
    view: str = ""  # PA, AP, lateral or another word; empty where unknown
    age: str = ""  # years
    sex: str = ""  # F or M
    more: tuple[tuple[str, str], ...] = ()  # further columns
    left_out: str = ""  # why it cannot be used, one of `left_out.OF_COLLECTIONS`


@dataclass(frozen=True)
class Collection:
    """A public collection.

    Attributes
    ----------
    title : str
    tables : tuple of str
        Files, or folders, of which one lies in the collection's folder: it is known by them.
    read : callable
        Gives the images that the tables in the collection's folder name.
    source : str
        Hospital, or name of the collection.
    findings : tuple of str
        Empty where classes exclude each other.
    has_views : bool
        Whether the tables tell the view of each image; else all are frontal.
    by_name : bool
        Whether files are found by their names, whatever their folder; else the tables tell it.
    """

    title: str
    tables: tuple[str, ...]
    read: Callable[[Path], Iterator[Picture]]
    source: str
    findings: tuple[str, ...] = ()
    has_views: bool = True
    by_name: bool = True


def states_of(place: str, findings: Sequence[str], cells: Sequence[str]) -> tuple[str, ...]:
    """State of each finding of one row.

    Raises
    ------
    DatasetError
        A cell holds something else than 1, 0, -1 or nothing; it starts with `place`.
    """
    try:
        return tuple([VALUES[cell] for cell in cells])
    except KeyError:
        name, cell = next(
            (name, cell) for name, cell in zip(findings, cells, strict=True) if cell not in VALUES
        )
        raise DatasetError(
            f"{place} has {cell!r} in the column {name!r}, which must be 1, 0, -1 (uncertain) or "
            "empty: take the table as it was published."
        ) from None


def label_of(findings: Sequence[str], states: Sequence[str]) -> str:
    """Findings that are present, joined by ``|``."""
    present = [name for name, state in zip(findings, states, strict=True) if state == PRESENT]
    return SEPARATOR.join(present) or NO_FINDING


def states_of_names(
    place: str, findings: Sequence[str], names: Iterable[str], others: Iterable[str]
) -> tuple[str, ...]:
    """State of each finding from the names of those that are present; errors: `check_names`."""
    present = set(names)
    check_names(place, findings, present, others)
    return tuple([PRESENT if name in present else ABSENT for name in findings])


def check_names(
    place: str, findings: Iterable[str], names: Iterable[str], others: Iterable[str]
) -> None:
    """Refuse findings that a collection does not have.

    Raises
    ------
    DatasetError
        A name is neither one of `findings` nor of `others`; it starts with `place`.
    """
    if unknown := sorted(set(names).difference(findings, others)):
        raise DatasetError(
            f"{place} names the finding {unknown[0]!r}, which this collection does not have "
            f"({', '.join(findings)}): take the table as it was published."
        )


def years(text: str) -> str:
    """Age in whole years, from ``058Y``, ``58.0``, ``006M`` and the like; empty if impossible."""
    found = AGE.fullmatch(text.strip())
    if not found:
        return ""
    whole = int(found[1])
    if found[2].upper() in ("M", "W", "D"):
        whole //= {"M": 12, "W": 52, "D": 365}[found[2].upper()]
    return str(whole) if 0 <= whole <= OLDEST else ""


def sex_of(text: str) -> str:
    """F or M, empty for anything else."""
    first = text.strip()[:1].upper()
    return first if first in ("F", "M") else ""


def box_of(finding: str, left: float, top: float, width: float, height: float) -> Box:
    """A box, in tenths of a pixel: tables give up to sixteen digits."""
    return finding, round(left, 1), round(top, 1), round(width, 1), round(height, 1)


def boxes_as_json(boxes: Sequence[Box], frame: tuple[int, int] | None) -> str:
    """Boxes of an image's lesions as a cell of a table; empty where there is none.

    `frame` is the width and height in pixels that the boxes are told in, None for the image's own.
    """
    return json.dumps({"frame": frame, "boxes": boxes}) if boxes else ""


def runs_as_json(runs: Sequence[str], frame: tuple[int, int]) -> str:
    """Run-length codes of an image's lesions as a cell of a table; empty where there is none."""
    return json.dumps({"frame": frame, "runs": runs}) if runs else ""


def number_in(place: str, column: str, cell: str) -> float:
    """A number of a table.

    Raises
    ------
    DatasetError
        It is none; the message starts with `place`.
    """
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise DatasetError(
            f"{place} has {cell!r} in the column {column!r}, which must be a number: take the "
            "table as it was published."
        )
    return number
