"""Data sets listed in a table: CSV or Parquet with the columns path and label.

Where images have several findings, the label lists them ("Effusion|Mass"), or each finding has a
column with 1, 0, -1 or nothing; then the label is made of those that are present.
"""

import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from stat import S_ISREG

from workflow_scripts.cxrcam.data.listing.findings_text import VALUES, label_of_findings
from workflow_scripts.cxrcam.data.listing.image_files import (
    DatasetError,
    ImageFile,
    printable,
    unique_ids,
)
from workflow_scripts.cxrcam.data.listing.spellings import first_alike, is_missing, normalised
from workflow_scripts.cxrcam.data.listing.text_tables import Row, Rows, read_text_table
from workflow_scripts.cxrcam.terms import INDEX_COLUMNS

# Columns of a manifest that mean something to the workflow; others are carried along as text.
MANIFEST_COLUMNS = ("path", "label", "patient", "source", "split", "mask_path", "lesion_mask_path")

# What such columns are also called, without case, blanks and dashes. Carried along as text, they
# would be without effect: `grouped: true` would part the patients.
OTHER_NAMES = {
    **{name.replace("_", ""): name for name in MANIFEST_COLUMNS},
    **dict.fromkeys(("patients", "patientid", "patientids", "subject", "subjectid"), "patient"),
    **{"mask": "mask_path", "lungmask": "mask_path", "lungmaskpath": "mask_path"},
    "lesionmask": "lesion_mask_path",
}


def list_manifest(path: Path, wanted: Callable[[str], bool]) -> list[ImageFile]:
    """Images of a table, in its order.

    Parameters
    ----------
    path : Path
    wanted : callable
        Whether the image of that `image_id` is to be listed.

    Raises
    ------
    DatasetError
        The table is missing, unreadable or empty, lacks or repeats a column, lists a file twice, or
        names a file that is not there.
    """
    if not os.path.isfile(path):  # noqa: PTH113 (never raises)
        fault = "is no file" if os.path.lexists(path) else "does not exist"
        raise DatasetError(
            f"The manifest {str(path)!r} {fault} (looked from {Path.cwd()}). Write a CSV or "
            "Parquet table with the columns path and label, and set `path` of this data set to it."
        )
    columns, rows = read_text_table(path, "manifest")
    if "label" not in columns and "path" in columns:
        columns = _with_labels(columns, rows)
    _check_columns(path, columns, rows)
    names = {row["path"]: PurePosixPath(row["path"]).as_posix() for row in rows.values()}
    ids = unique_ids(names.values())
    _check_rows(path, rows)
    for column in ("patient", "source"):
        _check_spellings(path, column, rows)
    return [
        _image_of(f"Row {number} of {path}", path.parent, row, ids[names[row["path"]]])
        for number, row in rows.items()
        if wanted(ids[names[row["path"]]])
    ]


def _with_labels(columns: list[str], rows: Rows) -> list[str]:
    """Give rows the label that follows from the columns of findings, where there are some.

    Those are the columns that hold 1, 0, -1 or nothing, and 1 at least once.
    """
    findings = []
    for name in columns:
        values = {row.get(name, "") for row in rows.values()}
        if (
            name not in MANIFEST_COLUMNS
            and values <= VALUES.keys()
            and "1" in map(VALUES.get, values)
        ):
            findings.append(name)
    if not findings:
        return columns
    for row in rows.values():
        row["label"] = label_of_findings({name: row[name] for name in findings})
    return [*columns, "label"]


def _check_columns(path: Path, columns: list[str], rows: Rows) -> None:
    """Refuse tables without what they must have."""
    missing = [name for name in ("path", "label") if name not in columns]
    if missing:
        meant = [
            f" Did you mean {wanted!r} by {column!r}?"
            for wanted in missing
            for column in columns
            if normalised(column) == wanted
        ]
        raise DatasetError(
            f"The manifest {str(path)!r} has no column {' and no column '.join(missing)}. It has: "
            f"{', '.join(map(printable, columns)) or 'none'}.{''.join(meant)} The first line must "
            "name the columns; names are lower case."
            + " Images with several findings need a label such as Mass|Effusion, or a column a "
            "finding that holds only 1, 0, -1 or nothing." * ("label" in missing)
        )
    _check_other_names(path, columns)
    repeated = [name for name, n in Counter(columns).items() if n > 1 and name]
    if repeated:
        raise DatasetError(
            f"The manifest {str(path)!r} has the column {repeated[0]!r} more than once. Keep one."
        )
    clash = [n for n in columns if n in INDEX_COLUMNS and f"manifest_{n}" in columns]
    if clash:
        raise DatasetError(
            f"The manifest {str(path)!r} has the columns {clash[0]!r} and 'manifest_{clash[0]}'. "
            "The index calls the first like the second: rename one of them."
        )
    if not rows:
        raise DatasetError(
            f"The manifest {str(path)!r} lists no image: write one row an image below its first "
            "line."
        )


def _check_other_names(path: Path, columns: list[str]) -> None:
    """Refuse a column that means something to the workflow under a name that it does not know."""
    for column in columns:
        meant = OTHER_NAMES.get(re.sub(r"[\s_-]", "", normalised(column)), column)
        if meant not in columns:
            raise DatasetError(
                f"The manifest {str(path)!r} has no column {meant!r}. Did you mean {meant!r} by "
                f"{column!r}? Then name it so; else give it another name."
            )


def _check_rows(path: Path, rows: Rows) -> None:
    """Refuse rows without path or label, and files that are listed twice."""
    seen: dict[str, int] = {}
    for number, row in rows.items():
        place = f"Row {number} of {path}"
        if not row["path"] or not row["label"]:
            raise DatasetError(
                f"{place} has no {'path' if not row['path'] else 'label'}: fill it in, or remove "
                "the row."
            )
        # One file may be spelt in several ways: a.png, ./a.png, /data/a.png.
        file = os.path.abspath(path.parent / row["path"])  # noqa: PTH100 (follows no link)
        first = seen.setdefault(file, number)
        if first != number:
            raise DatasetError(
                f"{place} lists {row['path']!r} again (first in row {first}, label "
                f"{rows[first]['label']!r}; here {row['label']!r}). Keep one."
            )


def _check_spellings(path: Path, column: str, rows: Rows) -> None:
    """Refuse one patient or source in two spellings: a grouped split would tear it apart."""
    first: dict[str, int] = {}
    for number, row in rows.items():
        name = row.get(column, "")
        if not is_missing(name):
            first.setdefault(name, number)
    if pair := first_alike(first, normalised):
        one, other = pair
        raise DatasetError(
            f"Rows {first[one]} and {first[other]} of {path} spell the {column} {one!r} and "
            f"{other!r}, which differ only by case, blanks or how a number is written: spell one "
            f"{column} alike everywhere, or make them differ by more."
        )


def _image_of(place: str, folder: Path, row: Row, image_id: str) -> ImageFile:
    """Image of a row; its files must be there."""
    file = folder / row["path"]
    try:
        status = file.stat()
    except (OSError, ValueError):
        raise DatasetError(
            f"{place} names the file {row['path']!r}, which does not exist (looked for "
            f"{printable(file)}). Paths are relative to the manifest's folder."
        ) from None
    if not S_ISREG(status.st_mode):
        raise DatasetError(
            f"{place} names {row['path']!r}, which is no file (looked at {printable(file)}). List "
            "each image of a folder in a row of its own."
        )
    return ImageFile(
        image_id=image_id,
        path=str(file),
        label=row["label"],
        patient=row.get("patient", ""),
        source=row.get("source", ""),
        split=row.get("split", ""),
        size_bytes=status.st_size,
        modified_ns=status.st_mtime_ns,
        extra={k: v for k, v in row.items() if k not in MANIFEST_COLUMNS},
        mask_path=_mask_file(place, folder, row, "mask_path"),
        lesion_mask_path=_mask_file(place, folder, row, "lesion_mask_path"),
    )


def _mask_file(place: str, folder: Path, row: Row, column: str) -> str:
    """File of a mask; empty where the row names none."""
    if not row.get(column):
        return ""
    file = folder / row[column]
    if not os.path.isfile(file):  # noqa: PTH113 (never raises)
        raise DatasetError(
            f"{place} names the {column} {row[column]!r}, which does not exist (looked for "
            f"{printable(file)}). Paths are relative to the manifest's folder; leave it empty "
            "where there is none."
        )
    return str(file)
