"""COVIDx: 14,000 to 84,000 images of several collections, put together to tell COVID-19.

From: https://www.kaggle.com/datasets/andyczhao/covidx-cxr2 (versions CXR-2 to CXR-4) and
https://github.com/lindawangg/COVID-Net, whose script makes it. Licence: that of each collection
that it takes from. Size: 11 to 30 GB, PNG and JPEG. Paper: Wang et al., Scientific Reports 2020.

Lists `train.txt`, `val.txt` and `test.txt` have a line an image: patient, file, class, source.
Classes and sources go together: few sources hold both.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from workflow_scripts.cxrcam.data.listing.collections.collection import Collection, Picture
from workflow_scripts.cxrcam.data.listing.collections.tables import find_table, lines_of
from workflow_scripts.cxrcam.data.listing.image_files import DatasetError, unique_ids
from workflow_scripts.cxrcam.data.listing.split_names import part_of

CLASSES: Final = ("positive", "negative", "normal", "pneumonia", "COVID-19")
PARTS: Final = ("train", "val", "test")


def read(home: Path) -> Iterator[Picture]:
    """Images of the lists."""
    rows: dict[str, tuple[str, str, str]] = {}
    for part in PARTS:
        file = find_table(home, f"{part}.txt")
        for number, line in enumerate(lines_of(file) if file else [], start=1):
            place = f"Line {number} of {file}"
            name, row = _fields(place, line)
            if rows.setdefault(f"{part}/{name}", row) != row:
                raise DatasetError(
                    f"{place} lists {name!r} again, with another patient, class or source than "
                    f"before: {', '.join(rows[f'{part}/{name}'])}. Keep one line."
                )
    ids = unique_ids(rows)
    for name, (patient, label, source) in rows.items():
        yield Picture(
            image_id=ids[name],
            file=name,
            label=label,
            patient=f"{source} {patient}".strip(),  # each source has numbers of its own
            source=source,
            split=part_of(name.split("/", 1)[0]),
        )


def _fields(place: str, line: str) -> tuple[str, tuple[str, str, str]]:
    """File, then patient, class and source (which early versions lack), of one line."""
    words = line.split()
    if len(words) > 2 and words[-1] in CLASSES:
        words.append("")
    if len(words) < 4 or words[-2] not in CLASSES:
        raise DatasetError(
            f"{place} is {line!r}, but must have four words: patient, file, class (one of "
            f"{', '.join(CLASSES)}) and source. Take the list as it was published."
        )
    *patient, name, label, source = words
    return name, (" ".join(patient), label, source)


COLLECTION = Collection(
    title="COVIDx",
    tables=("train.txt", "test.txt"),
    read=read,
    source="COVIDx",
    has_views=False,
    by_name=False,
)
