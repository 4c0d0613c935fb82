"""Tables as files; those for people are CSV of which a spreadsheet runs nothing."""

import re
from pathlib import Path

import pandas as pd

from workflow_scripts.cxrcam.files import atomic_path

# First characters of what spreadsheets take for a formula. A sign before a number is none.
FORMULA = re.compile(r"[=@\t]|[+-](?![\d.,]+$)(?=.)")


def write_frame(path: str | Path, frame: pd.DataFrame) -> None:
    """Write a table as CSV or Parquet, by the suffix, without its index, whole or not at all."""
    with atomic_path(path) as temporary:
        if temporary.suffix == ".csv":
            frame.to_csv(temporary, index=False)
        elif temporary.suffix == ".parquet":
            frame.to_parquet(temporary, index=False)
        else:
            raise ValueError(f"{str(path)!r} ends neither in .csv nor in .parquet")


def write_csv(path: str | Path, frame: pd.DataFrame) -> None:
    """Write a table whose texts come from the data, without its index, whole or not at all.

    Texts that a spreadsheet would run as a formula get an apostrophe in front, which it takes as
    "this is text" and a program can take off; a carriage return becomes a line feed. Numbers, and
    the Parquet files from which programs should read names, stay as they are.
    """
    safe = frame.apply(lambda column: column.map(_as_text))
    write_frame(path, safe.rename(columns=_as_text))


def _as_text(value: object) -> object:
    if not isinstance(value, str):
        return value
    # Alone it would end the row: writers quote texts with line feeds only.
    value = value.replace("\r", "\n")
    return f"'{value}" if FORMULA.match(value) else value
