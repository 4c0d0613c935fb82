"""Which columns tell groups of images apart: those that `audit.subgroups` names, or that are known.

Imported while Snakemake reads the workflow, so it uses the standard library only.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from workflow_scripts.cxrcam.configuration.problems import Problems, did_you_mean, show
from workflow_scripts.cxrcam.data.listing.image_files import ImageFile
from workflow_scripts.cxrcam.data.listing.sources import column_names, value_of
from workflow_scripts.cxrcam.data.listing.traits import (
    TRAITS,
    matching_columns,
    readings,
    trait_of,
    why_no_groups,
)

AUTO: Final = "auto"
USUAL: Final = ("sex", "age", "view", "source", "site", "manufacturer")
"""Traits that `auto` stands for."""


def subgroup_columns(asked: str | Sequence[str], columns: Iterable[str]) -> list[str]:
    """Columns of the index that `audit.subgroups` means.

    Parameters
    ----------
    asked : str or sequence of str
        `AUTO` or names of columns and traits.
    columns : iterable of str
        Those that may tell images apart.
    """
    columns = list(columns)
    if asked == AUTO:
        return [column for column in columns if trait_of(column) in USUAL]
    return list(dict.fromkeys(c for name in asked for c in matching_columns(name, columns)))


def unknown_traits(asked: str | Sequence[str]) -> list[str]:
    """Columns that the configuration calls traits of images, and whose name does not tell."""
    return [] if asked == AUTO else [name for name in asked if trait_of(name) is None]


def check_subgroups(config: Mapping[str, Any], images: Sequence[ImageFile]) -> None:
    """Refuse columns that tell no groups, as far as is known before images are read.

    Raises
    ------
    ConfigurationError
        A column that no image has an entry in, or that has one value only or too many.
    """
    asked = config["audit"]["subgroups"]
    if asked == AUTO:
        return
    problems, known = Problems(), column_names(images)
    for name in asked:
        columns = matching_columns(name, known)
        faults = [_fault(column, images) for column in columns]
        # DICOM files and the database's own tables may tell what the listing does not.
        if not columns and name not in TRAITS and not name.startswith("dicom_"):
            close = did_you_mean(name, [*known, *TRAITS])
            faults = [
                f"no image has such an entry.{close} Known before images are read: "
                f"{', '.join(known) or 'nothing'}"
            ]
        if fault := next(filter(None, faults), ""):
            problems.add(
                ("audit", "subgroups", name),
                f"audit.subgroups names {show(name)}, but {fault}: take it out of the list.",
            )
    problems.raise_any()


def _fault(column: str, images: Sequence[ImageFile]) -> str:
    texts = Counter(value_of(image.source, image.extra, column) for image in images)
    return why_no_groups(sorted(set(readings(texts, trait_of(column)).values())))
