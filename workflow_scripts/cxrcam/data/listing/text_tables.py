"""Tables that users write, CSV or Parquet, as text: however a spreadsheet or pandas saved them."""

import codecs
import csv
import io
from itertools import chain
from pathlib import Path

from workflow_scripts.cxrcam.data.listing.image_files import DatasetError

PARQUET_SUFFIXES = frozenset({".parquet", ".pq"})

Row = dict[str, str]
Rows = dict[int, Row]


def read_text_table(path: Path, noun: str) -> tuple[list[str], Rows]:
    """Columns and numbered rows of a table, every value as stripped text.

    Rows have the numbers that a spreadsheet shows: blank ones count, and are left out.

    Parameters
    ----------
    path : Path
        A file that is there: Parquet by its suffix, else CSV.
    noun : str
        What messages call it.

    Raises
    ------
    DatasetError
        It cannot be read as a table.
    """
    what = f"The {noun} {str(path)!r}"
    try:
        return _read(path, what)
    except csv.Error as error:
        raise DatasetError(
            f"{what} cannot be read as a table ({error}): look for a quotation "
            "mark that is not closed, or save the table anew as CSV."
        ) from error
    except DatasetError:
        raise
    except Exception as error:  # a damaged Parquet file raises nearly anything
        if isinstance(error, OSError) and error.errno:
            raise DatasetError(f"{what} cannot be read: {error.strerror}.") from error
        if path.suffix.lower() not in PARQUET_SUFFIXES:
            raise
        raise DatasetError(
            f"{what} is not a Parquet file of text, or is damaged: write it "
            "anew, or name it .csv if it is text."
        ) from error


def _read(path: Path, what: str) -> tuple[list[str], Rows]:
    if path.suffix.lower() in PARQUET_SUFFIXES:
        import pyarrow.parquet as pq  # only here: a CSV user does not wait for it

        table = pq.read_table(path)
        columns = table.column_names
        rows = {
            number: {name: _text_of(value) for name, value in row.items()}
            for number, row in enumerate(table.to_pylist(), start=1)
        }
        return columns, rows
    text = _decoded(path.read_bytes(), what)
    if "\0" in text:
        raise DatasetError(
            f"{what} is not text: save it as CSV in UTF-8, or name it .parquet if it is Parquet."
        )
    # Not str.splitlines: it also divides at characters that may stand within a value.
    lines = io.StringIO(text, newline="")
    skipped, header = 0, lines.readline()
    # Blank lines, comments and Excel's `sep=;` may stand above the names of the columns.
    while header and (
        not header.strip(" ,;\t\r\n") or (header.startswith(("#", "sep=")) and "path" not in header)
    ):
        skipped, header = skipped + 1, lines.readline()
    # Spreadsheets of many countries save "CSV" with semicolons or tabs.
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(chain([header], lines), delimiter=delimiter, strict=True)
    columns = [name.strip() for name in next(reader, [])]
    rows = {}
    for number, values in enumerate(reader, start=skipped + 2):
        values = [value.strip() for value in values]
        if not any(values):
            continue
        if len(values) != len(columns):
            raise DatasetError(
                f"Row {number} of {path} has another number of columns than its first line "
                f"({len(columns)}): put values that contain {delimiter!r} in quotes."
            )
        # Spreadsheets also save columns without name and content.
        rows[number] = {name: v for name, v in zip(columns, values, strict=True) if name}
    return columns, rows


def _decoded(encoded: bytes, what: str) -> str:
    """Text as spreadsheets save it: UTF-8, UTF-16 (which they call Unicode), else Windows-1252."""
    wide = encoded.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if wide else ("utf-8-sig", "cp1252"):
        try:
            return encoded.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise DatasetError(
        f"{what} is text in none of UTF-8, UTF-16 and Windows-1252: save it as CSV in UTF-8."
    )


def _text_of(value: object) -> str:
    """A cell of a Parquet table as the same cell of a CSV would read."""
    if value is None or value != value:  # NaN is what some writers put where nothing is
        return ""
    return (value.decode() if isinstance(value, bytes) else str(value)).strip()
