"""Tables of public collections: CSV as it is, or packed as .gz or .zip."""

import csv
import gzip
import io
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, TextIO

from workflow_scripts.cxrcam.data.listing.image_files import DatasetError, printable

PACKED: Final = ("", ".gz", ".zip")  # what may follow a table's name


def find_table(folder: Path, *names: str) -> Path | None:
    """First of some files or folders that is there, as it is or packed; None if none is."""
    paths = (f"{folder}/{name}{packed}" for name in names for packed in PACKED)
    return next((Path(path) for path in paths if os.path.exists(path)), None)  # noqa: PTH110


def need_table(folder: Path, *names: str) -> Path:
    """As `find_table`, for what must be there.

    Raises
    ------
    DatasetError
        None is.
    """
    table = find_table(folder, *names)
    if table is None:
        raise DatasetError(
            f"The file {' or '.join(repr(f'{folder}/{name}') for name in names)} does not exist, "
            "not even packed as .gz or .zip: the collection was published with it. Put it there."
        )
    return table


def rows_of(
    table: Path, *columns: str | tuple[str, ...], optional: tuple[str, ...] = ()
) -> Iterator[tuple[int, list[str]]]:
    """Some columns of a table, row by row.

    Parameters
    ----------
    table : Path
        CSV in UTF-8, as it is or packed.
    *columns : str or tuple of str
        That must be there; of a tuple, any of these names.
    optional : tuple of str
        Columns that need not be there: their cells are then empty.

    Yields
    ------
    number : int
        Of the row, as a spreadsheet shows it.
    cells : list of str
        Stripped, `columns` first, then `optional`.

    Raises
    ------
    DatasetError
        The table cannot be read, lacks a column, or has a row that is too short.
    """
    try:
        with _opened(table) as text:
            reader = csv.reader(text)
            header = [name.strip() for name in next(reader, [])]
            places = [_place(table, header, column) for column in columns]
            some = [header.index(name) if name in header else None for name in optional]
            longest = max(places)
            for row in reader:
                if len(row) <= longest:
                    if not any(row):
                        continue
                    raise DatasetError(
                        f"Row {reader.line_num} of {table} ends before its column "
                        f"{header[longest]!r}: the file is incomplete, copy it anew."
                    )
                cells = [row[place].strip() for place in places]
                for place in some:
                    there = place is not None and place < len(row)
                    cells.append(row[place].strip() if there and place is not None else "")
                yield reader.line_num, cells
    except DatasetError:
        raise
    except (csv.Error, OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise DatasetError(
            f"The table {str(table)!r} cannot be read ({error}): copy or unpack it anew."
        ) from error


def lines_of(table: Path) -> list[str]:
    """Lines of a text file, stripped, blank ones left out; errors as for `rows_of`."""
    try:
        with _opened(table) as text:
            return [line.strip() for line in text if line.strip()]
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise DatasetError(
            f"The list {str(table)!r} cannot be read ({error}): copy or unpack it anew."
        ) from error


def _place(table: Path, header: list[str], column: str | tuple[str, ...]) -> int:
    """Position of a column."""
    names = (column,) if isinstance(column, str) else column
    for name in names:
        if name in header:
            return header.index(name)
    raise DatasetError(
        f"The table {str(table)!r} has no column {' or '.join(map(repr, names))}: it may be of "
        f"another version of the collection. It has: {', '.join(map(printable, header)) or 'none'}."
    )


@contextmanager
def _opened(table: Path) -> Iterator[TextIO]:
    """Text of a table; characters that are no UTF-8, as in reports, are replaced."""
    if table.suffix == ".gz":
        with gzip.open(table, "rb") as packed, _text(packed) as text:
            yield text
    elif table.suffix == ".zip":
        with zipfile.ZipFile(table) as archive:
            names = [n for n in archive.namelist() if Path(n).name == table.stem]
            if not names:
                raise DatasetError(
                    f"The archive {str(table)!r} holds no {table.stem!r}: unpack what it holds."
                )
            with archive.open(names[0]) as member, _text(member) as text:
                yield text
    else:
        with table.open("rb") as file, _text(file) as text:
            yield text


def _text(file: IO[bytes] | gzip.GzipFile) -> TextIO:
    return io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline="")
