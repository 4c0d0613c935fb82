"""A reader's decisions on images: which are left out, and which bear another label.

Tables of a data set's `exclude` and `relabel`, such as rows of audit/suspect_labels.csv. Of a union
they name images as the union does, and those of its data sets hold beside them.

Imported while Snakemake reads the workflow, so it uses the standard library only.
"""

import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from workflow_scripts.cxrcam.data.listing.findings_text import SEPARATOR
from workflow_scripts.cxrcam.data.listing.image_files import DatasetError, ImageFile
from workflow_scripts.cxrcam.data.listing.text_tables import Row, read_text_table

EXCLUDE = "exclude"
RELABEL = "relabel"


@dataclass
class Decisions:
    """What a reader decided.

    Attributes
    ----------
    excluded, relabelled : int
        Images.
    new_labels : dict of str to str
        Labels that no image had before, by the place where the first one is given.
    """

    excluded: int = 0
    relabelled: int = 0
    new_labels: dict[str, str] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """How many images, for pages."""
        return {"n_excluded": self.excluded, "n_relabelled": self.relabelled}

    def add(self, other: "Decisions") -> None:
        """Add those on further images."""
        self.excluded += other.excluded
        self.relabelled += other.relabelled
        self.new_labels |= other.new_labels


def apply_decisions(
    settings: Mapping[str, Any], images: list[ImageFile], is_whole: bool
) -> tuple[list[ImageFile], Decisions]:
    """Leave out and relabel images as the tables of a data set say.

    Parameters
    ----------
    settings : mapping
        Entry of the data set.
    images : list of ImageFile
    is_whole : bool
        Whether those are all images of the data set. Of a part nothing is checked.

    Raises
    ------
    DatasetError
        A table is missing, names no image, an unknown one or one twice, gives no label, or changes
        nothing; an image is left out and relabelled.
    """
    decisions = Decisions()
    known = {image.image_id: image for image in images}
    excluded: dict[str, str] = {}
    if file := settings.get(EXCLUDE):
        excluded = {name: place for name, place, _ in _rows(EXCLUDE, file, known, is_whole)}
        images = [image for image in images if image.image_id not in excluded]
        decisions.excluded = len(excluded)
    if file := settings.get(RELABEL):
        rows = _rows(RELABEL, file, known, is_whole)
        labels = _new_labels(rows, excluded)
        changed = {name: new for name, new in labels.items() if known[name].label != new}
        if is_whole and not changed:
            raise DatasetError(
                f"The table relabel {file!r} changes nothing: each image has the label that is "
                "given. Write the right label into the column label, or set relabel to null."
            )
        images = [
            replace(image, label=changed.get(image.image_id, image.label)) for image in images
        ]
        decisions.relabelled = len(changed)
        had = {image.label for image in known.values()}
        decisions.new_labels = {
            labels[name]: place for name, place, _ in reversed(rows) if labels[name] not in had
        }
    return images, decisions


def _rows(
    kind: str, file: str, known: Mapping[str, ImageFile], is_whole: bool
) -> list[tuple[str, str, Row]]:
    """Rows of a table about images that are `known`: name of the image, place, values."""
    if not os.path.isfile(file):  # noqa: PTH113 (never raises)
        raise DatasetError(
            f"The table {kind} {file!r} does not exist (looked from {Path.cwd()}). Correct the "
            f"path, or set {kind} of this data set to null."
        )
    columns, rows = read_text_table(Path(file), f"table {kind}")
    needed = ["image_id", "label"] if kind == RELABEL else ["image_id"]
    if missing := [name for name in needed if name not in columns]:
        raise DatasetError(
            f"The table {kind} {file!r} has no column {' and no column '.join(missing)}: its first "
            f"line must name the columns {' and '.join(needed)}; others are not read."
        )
    if not rows:
        raise DatasetError(
            f"The table {kind} {file!r} names no image: write one row an image, or set {kind} of "
            "this data set to null."
        )
    found: dict[str, tuple[str, str, Row]] = {}
    for number, row in rows.items():
        place, given = f"Row {number} of {file} ({kind})", row["image_id"]
        # write_csv puts an apostrophe before what a spreadsheet would take for a formula.
        name = given if given in known else given.removeprefix("'")
        if name in found:
            raise DatasetError(
                f"{place} names the image {name!r} again (first in {found[name][1]}): keep one row."
            )
        if name in known:
            found[name] = (name, place, row)
        elif is_whole:
            near = difflib.get_close_matches(name, known, n=1)
            guess = f" Did you mean {near[0]!r}?" if near else ""
            raise DatasetError(
                f"{place} names the image {name!r}, which the data set does not have.{guess} Write "
                "image_id as in index/images.parquet or audit/suspect_labels.csv, or take the row "
                "out."
            )
    return list(found.values())


def _new_labels(
    rows: Iterable[tuple[str, str, Row]], excluded: Mapping[str, str]
) -> dict[str, str]:
    """Label that each image is given."""
    labels = {}
    for name, place, row in rows:
        if name in excluded:
            raise DatasetError(
                f"{place} gives a label to the image {name!r}, which is left out "
                f"({excluded[name]}): take it out of one of the tables."
            )
        if not row["label"]:
            raise DatasetError(f"{place} gives {name!r} no label: fill it in, or remove the row.")
        labels[name] = row["label"]
    return labels


def check_new_labels(
    name: str,
    decisions: Decisions,
    images: Iterable[ImageFile],
    classes: Iterable[str],
    findings: Iterable[str],
) -> None:
    """Refuse labels that nothing knows, and those that findings would not follow.

    Parameters
    ----------
    name : str
        Of the data set.
    decisions : Decisions
    images : iterable of ImageFile
        As they are now.
    classes, findings : iterable of str
        Of all tasks. Findings may be joined, as "Effusion|Mass".

    Raises
    ------
    DatasetError
        A label that neither an image nor a task has; findings that are columns of the data set.
    """
    if not decisions.relabelled:
        return
    images, asked = list(images), set(findings)
    if columns := {column for image in images for column in image.extra} & asked:
        raise DatasetError(
            f"datasets.{name}.relabel: the finding {min(columns)!r} is a column of the data set, "
            "which a new label does not change. Correct the column, and set relabel to null."
        )
    new = decisions.new_labels
    known = {*classes, *asked, *({image.label for image in images} - new.keys())}
    for label, place in new.items():
        parts = {part.strip() for part in label.split(SEPARATOR)}
        if label in known or (asked and parts <= known):
            continue
        near = difflib.get_close_matches(label, known, n=1)
        guess = f" Did you mean {near[0]!r}?" if near else ""
        raise DatasetError(
            f"{place} gives the label {label!r}, which no image and no task has.{guess} Known: "
            f"{', '.join(map(repr, sorted(known)))}."
        )
