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
    """One image of a data set, as listed.

    Attributes
    ----------
    image_id : str
        Stable name: class (or folder) and file name without suffix, for example
        ``COVID/COVID-12``. Everything after the index is keyed by it.
    path, mask_path, lesion_mask_path : str
        Files, relative to the working directory or absolute; masks empty where there is none.
    label : str
        Class name as the data set spells it.
    patient, source, split : str
        From a manifest; empty where unknown.
    size_bytes, modified_ns : int
        Of the file, to notice that it was replaced.
    extra : dict
        Further manifest columns.
    """

    image_id: str
    path: str
    label: str
    mask_path: str = ""
    lesion_mask_path: str = ""
    patient: str = ""
    source: str = ""
    split: str = ""
    size_bytes: int = 0
    modified_ns: int = 0
    extra: dict[str, str] = field(default_factory=dict)


def printable(text: object) -> str:
    """A name as it can stand in a message: as it is, or with escapes for what does not print."""
    return str(text) if str(text).isprintable() else repr(str(text))


def unique_ids(names: Iterable[str]) -> dict[str, str]:
    """`image_id` of each file: its name without suffix, where that is not taken.

    Files that differ by suffix only (``a.png``, ``a.jpg``) keep it, and so does a file whose name
    without suffix is another file's (``a.png.png`` beside ``a.png``): each has its own name.
    """
    short = {name: os.path.splitext(name)[0] for name in names}  # noqa: PTH122 (speed)
    uses = Counter([*short, *short.values()])
    return {name: stem if uses[stem] == 1 else name for name, stem in short.items()}
