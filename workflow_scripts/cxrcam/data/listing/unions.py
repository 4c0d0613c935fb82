"""Data sets of the kind `union`: several others as one.

An image is called ``<data set>/<its own id>``, and so is a patient, so that patient 1 of two
hospitals is two. Its source is the one that its own data set declares, or else that data set. What
a manifest says beside goes along, with the column `data_set`.

Imported while Snakemake reads the workflow, so it uses the standard library only.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from workflow_scripts.cxrcam.data.listing.image_files import DatasetError, ImageFile
from workflow_scripts.cxrcam.data.listing.left_out import LeftOut
from workflow_scripts.cxrcam.data.listing.reader_decisions import Decisions
from workflow_scripts.cxrcam.data.listing.spellings import is_missing

Settings = Mapping[str, Any]
Listed = tuple[list[ImageFile], LeftOut, Decisions]
Lister = Callable[[Settings, Path, Callable[[str], bool] | None], Listed]

MEMBER_COLUMN = "data_set"
"""Column of the index that says which data set of a union an image is of."""


def with_members(data_sets: Mapping[str, Settings], name: str) -> Settings:
    """Entry of `datasets` of that name; of a union, with the entries of its data sets by name."""
    entry = data_sets[name]
    if entry["kind"] != "union":
        return entry
    return {**entry, "members": {member: data_sets[member] for member in entry["of"]}}


def parts_of(settings: Settings) -> dict[str, Settings]:
    """Entries that images are listed by, by what goes before the names of their images.

    Those of a union are its data sets', from `with_members`; any other data set is its own.
    """
    if settings["kind"] != "union":
        return {"": settings}
    return {f"{name}/": member for name, member in settings["members"].items()}


def list_union(
    settings: Settings, phantom_root: Path, wanted: Callable[[str], bool] | None, list_one: Lister
) -> Listed:
    """Images of a union, files of its folders that are not read, decisions on its data sets.

    Parameters
    ----------
    settings : mapping
        From `with_members`.
    phantom_root : Path
        Folder of phantoms of the union, ``<results>/<union>/phantoms``: those of a data set of it
        lie beside, as if it were used alone.
    wanted : callable or None
        Whether the image of that name is to be listed; None lists all.
    list_one : callable
        `datasets.list_data`.

    Raises
    ------
    DatasetError
        As for `list_one`; a class of `labels` that its data set does not have (looked for where
        all images are listed), a manifest with a column called as ours.
    """
    images: list[ImageFile] = []
    left_out: LeftOut = {}
    decisions = Decisions()

    for name, member in settings["members"].items():
        own_root = phantom_root.parent.parent / name / phantom_root.name
        # None, and not a function that wants all, lets the data set check what names all images.
        own_wanted = wanted and partial(_is_wanted, wanted, name)
        listed, not_read, decided = list_one(member, own_root, own_wanted)
        decisions.add(decided)
        for kind, files in not_read.items():
            left_out.setdefault(kind, []).extend(files)
        labels = settings["labels"].get(name, {})
        if wanted is None:
            _check_labels(name, labels, {image.label for image in listed})
        is_drawn = member["kind"] == "phantom"
        for image in listed:
            label = labels.get(image.label, image.label)
            if label is not None:
                images.append(_of_member(name, image, label, is_drawn))
    return images, left_out, decisions


def _is_wanted(wanted: Callable[[str], bool], name: str, image_id: str) -> bool:
    return wanted(f"{name}/{image_id}")


def _check_labels(name: str, labels: Mapping[str, str | None], known: set[str]) -> None:
    """Refuse a label map that names a class of which the data set has no image."""
    for label in labels:
        if label not in known:
            near = difflib.get_close_matches(label, known, n=1)
            guess = f" Did you mean {near[0]!r}?" if near else ""
            raise DatasetError(
                f"`labels` of the union names {label!r}, a class of which its data set {name!r} "
                f"has no image.{guess} Its classes: {', '.join(map(repr, sorted(known)))}."
            )


def _of_member(name: str, image: ImageFile, label: str, is_drawn: bool) -> ImageFile:
    """An image of a data set, as one of the union."""
    if MEMBER_COLUMN in image.extra:
        raise DatasetError(
            f"The manifest of the data set {name!r} has a column {MEMBER_COLUMN!r}, which a union "
            "writes itself: rename it."
        )
    return replace(
        image,
        image_id=f"{name}/{image.image_id}",
        label=label,
        patient=image.patient if is_missing(image.patient) else f"{name}/{image.patient}",
        # Drawn images call themselves phantoms, which tells no data set from another.
        source=name if is_drawn or is_missing(image.source) else image.source,
        extra={MEMBER_COLUMN: name, **image.extra},
    )


def mapped_labels(settings: Settings, name: str, labels: list[str]) -> list[str]:
    """What a union calls the classes of its data set `name`, without those that it leaves out."""
    new = settings["labels"].get(name, {})
    return [called for label in labels if (called := new.get(label, label)) is not None]
