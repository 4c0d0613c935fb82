"""One image of a data set as it is listed, and how listings name images."""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from workflow_scripts.cxrcam.errors import InputError


class DatasetError(InputError):
    """The data set is not where or what the configuration says; the message says what to do."""


@dataclass(frozen=True)
class ImageFile:
    """One image of a data set, as listed."""

    # Stable name: class (or folder) and file name without suffix, for example COVID/COVID-12.
    # Everything after the index is keyed by it.
    image_id: str
    path: str  # files are relative to the working directory or absolute
    label: str  # class name as the data set spells it
    mask_path: str = ""  # empty where there is no mask
    lesion_mask_path: str = ""
    patient: str = ""  # from a manifest; empty where unknown, as what follows
    source: str = ""
    split: str = ""
    size_bytes: int = 0  # these two tell when the file was replaced
    modified_ns: int = 0
    extra: dict[str, str] = field(default_factory=dict)  # further manifest columns


def printable(text: object) -> str:
    """A name as it can stand in a message: as it is, or with escapes for what does not print."""
    return str(text) if str(text).isprintable() else repr(str(text))


def suffix_of(name: str) -> str:
    """Suffix of a file's name, dot included; digits alone are the end of a DICOM UID and none."""
    suffix = os.path.splitext(name)[1]  # noqa: PTH122 (speed)
    return "" if suffix[1:].isdecimal() else suffix


def unique_ids(names: Iterable[str]) -> dict[str, str]:
    """`image_id` of each file: its name without suffix, where that is not taken.

    Files that differ by suffix only (``a.png``, ``a.jpg``) keep it, and so does a file whose name
    without suffix is another file's (``a.png.png`` beside ``a.png``): each has its own name.
    """
    short = {name: name.removesuffix(suffix_of(name)) for name in names}
    uses = Counter([*short, *short.values()])
    return {name: stem if uses[stem] == 1 else name for name, stem in short.items()}
