"""Where an image is from, by a column that is known before it is read.

Imported while Snakemake reads the workflow, so it uses the standard library only.
"""

from collections.abc import Iterable, Mapping

from workflow_scripts.cxrcam.data.listing.image_files import ImageFile
from workflow_scripts.cxrcam.data.listing.spellings import is_missing

SOURCE = "source"


def value_of(source: str, extra: Mapping[str, str], column: str) -> str:
    """Entry of an image in a column of its listing; empty where there is none, or "unknown"."""
    value = source if column == SOURCE else str(extra.get(column, ""))
    return "" if is_missing(value) else value.strip()


def column_names(images: Iterable[ImageFile]) -> list[str]:
    """Columns in which some image has an entry."""
    images = list(images)
    named = dict.fromkeys(name for image in images for name in image.extra)
    return [
        column
        for column in (SOURCE, *named)
        if any(value_of(image.source, image.extra, column) for image in images)
    ]
