"""CSV for people: a spreadsheet that opens it must run nothing."""

import re
from pathlib import Path

import pandas as pd

from workflow_scripts.cxrcam.files import atomic_path

# First characters of what spreadsheets take for a formula. A sign before a number is none.
FORMULA = re.compile(r"[=@\t]|[+-](?![\d.,]+$)(?=.)")


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a table whose texts come from the data, without its index, whole or not at all.

    Texts that a spreadsheet would run as a formula get an apostrophe in front, which it takes as
    "this is text" and a program can take off; a carriage return becomes a line feed. Numbers, and
    the Parquet files from which programs should read names, stay as they are.
    """
    safe = frame.apply(lambda column: column.map(_as_text))
    with atomic_path(path) as temporary:
        safe.rename(columns=_as_text).to_csv(
            temporary, index=False, lineterminator="\n", encoding="utf-8"
        )


def _as_text(value: object) -> object:
    if not isinstance(value, str):
        return value
    # Alone it would end the row: writers quote texts with line feeds only.
    value = value.replace("\r", "\n")
    return f"'{value}" if FORMULA.match(value) else value
