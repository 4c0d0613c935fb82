"""Where a public collection lies below the folder that the user names."""

import os
from pathlib import Path
from typing import Final

from workflow_scripts.cxrcam.data.listing.class_folders import IMAGE_SUFFIXES
from workflow_scripts.cxrcam.data.listing.collections.collection import Collection
from workflow_scripts.cxrcam.data.listing.collections.tables import find_table
from workflow_scripts.cxrcam.data.listing.folders import MACOS_ARCHIVE, folders_in, is_folder
from workflow_scripts.cxrcam.data.listing.image_files import DatasetError, printable, suffix_of

DEEPEST: Final = 8  # folders below the collection's: a link to a folder above itself has no end


def find_home(root: Path, name: str, collection: Collection) -> Path:
    """Folder of a collection: the root, or the one folder in it that has the collection's tables.

    Raises
    ------
    DatasetError
        There is none, or more than one.
    OSError
        The root cannot be read.
    """
    if find_table(root, *collection.tables):
        return root
    inner = folders_in(str(root))
    homes = [folder for folder in inner if find_table(root / folder, *collection.tables)]
    wanted = " or ".join(map(repr, collection.tables))
    if len(homes) > 1:
        raise DatasetError(
            f"{str(root)!r} has {wanted} in more than one folder ({', '.join(homes)}): set `root` "
            "to the one that is meant."
        )
    if not homes:
        raise DatasetError(
            f"{str(root)!r} is not {collection.title} ({name}): neither it nor a folder in it "
            f"holds {wanted}, not even packed as .gz or .zip. Folders found: "
            f"{', '.join(map(printable, inner[:10])) or 'none'}. Set `root` to the folder into "
            "which the collection was unpacked (docs/collections.md)."
        )
    return root / homes[0]


def images_below(home: Path) -> dict[str, str]:
    """Path of every image file below a folder, by its name without suffix; links are followed.

    Raises
    ------
    DatasetError
        One name occurs twice.
    OSError
        A folder cannot be read.
    """
    found: dict[str, str] = {}
    waiting = [(str(home), 0)]
    while waiting:
        folder, depth = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith(".") or name == MACOS_ARCHIVE:
                    continue
                suffix = suffix_of(name)
                if suffix.lower() in IMAGE_SUFFIXES:
                    stem = name.removesuffix(suffix)
                    if other := found.get(stem):
                        raise DatasetError(
                            f"The image {stem!r} is there twice, as {min(other, entry.path)!r} and "
                            f"{max(other, entry.path)!r}: move one of the two folders away."
                        )
                    found[stem] = entry.path
                elif depth < DEEPEST and is_folder(entry):
                    waiting.append((entry.path, depth + 1))
    return found
