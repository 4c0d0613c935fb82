"""Data sets of the kind `class_folders`: a folder's name is the label of the images in it.

A class folder holds images directly and in folders below (``COVID/*.png``), or in its folder
``images``, with ``masks`` and ``lesions`` beside it, as the COVID-19 Radiography Database unpacks.
Class folders lie in the root, or in parts (``train/COVID``, ``test/COVID``), as many data sets are
published; the part is then the image's `split`.

Names tell what is an image. Only files without suffix, as DICOM files often are, are opened, for
their first bytes. What else lies there is counted, so that nothing is left out in silence.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from workflow_scripts.cxrcam.data.listing.folders import files_below, folders_in, is_folder
from workflow_scripts.cxrcam.data.listing.image_files import (
    DatasetError,
    ImageFile,
    printable,
    suffix_of,
    unique_ids,
)
from workflow_scripts.cxrcam.data.listing.left_out import LeftOut
from workflow_scripts.cxrcam.data.listing.split_names import part_of

IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff", ".bmp", ".dcm", ".dicom"}
    # Rare, but left out in silence they would be missed.
    | {".webp", ".gif", ".jp2", ".j2k", ".pgm"}
)
DICOM_SUFFIXES = frozenset({".dcm", ".dicom"})
PACKED_DICOM = (".dcm.gz", ".dicom.gz")
DICOM_START = slice(128, 132)  # of a file, which there says "DICM"

# Folders of a class folder that mean something.
OWN_FOLDERS = frozenset({"images", "masks", "lesions"})
# What masks lie in under another name: a network would be trained on them.
MASK_FOLDER = re.compile("mask|lesion|segment|annotation", re.IGNORECASE)
# Notes, and what file managers leave behind.
UNTOLD_SUFFIXES = frozenset({".txt", ".md", ".db", ".ini"})


@dataclass(frozen=True)
class ClassFolder:
    """Folder of one class, of one part where there are parts."""

    path: str
    label: str
    part: str = ""  # name of the part's folder

    @property
    def name(self) -> str:
        """What the names of its images start with."""
        return f"{self.part}/{self.label}" if self.part else self.label


# --- which folders there are ----------------------------------------------------------------------


def find_class_folders(root: Path, classes: Sequence[str]) -> list[ClassFolder]:
    """Class folders of a data set, by label where `classes` names some, and all of them otherwise.

    Raises
    ------
    DatasetError
        One of `classes` is not there, parts and classes lie side by side, images of a part lie in
        no class folder, or the classes lie one folder deeper.
    OSError
        A folder cannot be read.
    """
    present = folders_in(str(root))
    named = bool(classes) and set(classes) <= set(present)
    parts = {} if named else _parts(root, present)
    if parts:
        folders = [
            ClassFolder(str(root / part / label), label, part)
            for part, labels in parts.items()
            for label in labels
        ]
    else:
        folders = [ClassFolder(str(root / label), label) for label in present]
    known = sorted({folder.label for folder in folders})
    for name in classes:
        if name not in known:
            raise DatasetError(
                f"The class folder {name!r} does not exist in {root}. Found: "
                f"{', '.join(map(printable, known)) or 'no folder at all'}."
            )
    if not classes and len(present) == 1:
        _refuse_classes_below(root, present[0])
    return [folder for folder in folders if not classes or folder.label in classes]


def _parts(root: Path, present: Sequence[str]) -> dict[str, list[str]]:
    """Class folders of each part, by the names of their folders; empty where there are no parts."""
    inner = {name: folders_in(str(root / name)) for name in present if part_of(name)}
    divided = [name for name, folders in inner.items() if set(folders) - OWN_FOLDERS]
    if not divided:
        return {}  # classes that happen to be called so
    others = [name for name in present if name not in inner]
    if others:
        if len(divided) == 1 and set(inner[divided[0]]).isdisjoint(others):
            return {}
        raise DatasetError(
            f"The folder {str(root)!r} holds parts ({', '.join(map(printable, divided))}) beside "
            f"other folders ({', '.join(map(printable, others))}): move the others away, or name "
            "the class folders to use as `classes`."
        )
    for name, folders in inner.items():
        loose = sorted({*_images_in(root / name), *OWN_FOLDERS.intersection(folders)})
        if loose:
            raise DatasetError(
                f"The part {str(root / name)!r} has images in no class folder (such as "
                f"{loose[0]!r}): move each into the folder of its class; images of unknown class "
                "can be given to `predict_images`."
            )
    return inner


def _refuse_classes_below(root: Path, label: str) -> None:
    """Refuse a root that lies one folder too high: all images would be of one class."""
    inner = [name for name in folders_in(str(root / label)) if name not in OWN_FOLDERS]
    if len(inner) > 1 and not part_of(label) and not _images_in(root / label):
        raise DatasetError(
            f"The folder {str(root)!r} holds one folder only, {label!r}, whose images lie in "
            f"folders of their own ({', '.join(map(printable, inner))}): set `root` to "
            f"{str(root / label)!r}, or, if {label!r} is the class of all, name it as `classes`."
        )


def _images_in(folder: Path) -> list[str]:
    """Names of the images directly in a folder."""
    with os.scandir(folder) as entries:
        return [
            entry.name
            for entry in entries
            if _has_image_suffix(entry.name)
            and not entry.name.startswith(".")
            and not is_folder(entry)
        ]


# --- which images lie in them ---------------------------------------------------------------------


def list_class_folders(
    root: Path, classes: Sequence[str], wanted: Callable[[str], bool]
) -> tuple[list[ImageFile], LeftOut]:
    """Images of a data set, and what else lies in its folders.

    Parameters
    ----------
    root : Path
    classes : sequence of str
        Classes to use; all of them where it is empty.
    wanted : callable
        Whether the image of that `image_id` is to be listed; other files are not looked at.

    Raises
    ------
    DatasetError
        As for `find_class_folders`; no image, in all or in a part, images beside those in
        ``images``, masks that belong to no image, a link that leads nowhere.
    OSError
        A folder cannot be read.
    """
    folders = find_class_folders(root, classes)
    images: list[ImageFile] = []
    left_out: LeftOut = {}
    found: Counter[str] = Counter({folder.part: 0 for folder in folders})
    for folder in folders:
        of_class, n_images = _list_folder(folder, wanted, left_out)
        images += of_class
        found[folder.part] += n_images
    if not found.total():
        raise DatasetError(
            f"No image found in {root}: expected one folder a class with images in it or in its "
            "folder 'images', or such folders in parts called train, val and test. Folders found: "
            f"{', '.join(map(printable, folders_in(str(root)))) or 'none'}."
        )
    for part in folders_in(str(root)) if "" not in found else []:
        if not found[part]:
            raise DatasetError(
                f"The part {str(root / part)!r} holds no image: put images into its class folders, "
                "or remove it."
            )
    for name in _images_in(root):
        left_out.setdefault("in no class folder", []).append(str(root / name))
    return images, left_out


def _list_folder(
    folder: ClassFolder, wanted: Callable[[str], bool], left_out: LeftOut
) -> tuple[list[ImageFile], int]:
    """Images of one class folder, and how many there are with those that are not wanted."""
    base = os.path.join(folder.path, "images")  # noqa: PTH118 (as the other paths)
    inside = _candidates(base, left_out) if os.path.isdir(base) else None  # noqa: PTH112
    loose = _candidates(folder.path, left_out, OWN_FOLDERS)
    if inside is None:
        base, inside = folder.path, loose
    elif beside := [name for name in loose if name not in inside and _is_image(loose[name])]:
        raise DatasetError(
            f"The class folder {folder.path!r} has a folder 'images', and images beside it (such "
            f"as {beside[0]!r}), which would be overlooked: move all to one place."
        )
    split = part_of(folder.part)
    masks, lesions = (_masks_of(folder, kind, inside, left_out) for kind in ("masks", "lesions"))
    ids = unique_ids(f"{folder.name}/{name}" for name in inside)
    images: list[ImageFile] = []
    n_images = len(inside)
    for name, entry in inside.items():
        image_id = ids[f"{folder.name}/{name}"]
        if not wanted(image_id):
            continue
        if not _is_image(entry):
            left_out.setdefault("without suffix that are no DICOM", []).append(entry.path)
            n_images -= 1
            continue
        stem = _stem(name) if masks or lesions else ""
        status = entry.stat()
        images.append(
            ImageFile(
                image_id=image_id,
                path=entry.path,
                label=folder.label,
                mask_path=masks.get(stem, ""),
                lesion_mask_path=lesions.get(stem, ""),
                split=split,
                size_bytes=status.st_size,
                modified_ns=status.st_mtime_ns,
            )
        )
    return images, n_images


def _candidates(
    folder: str, left_out: LeftOut, without: frozenset[str] = frozenset()
) -> dict[str, os.DirEntry[str]]:
    """Files that are images by their names, or may be, by their path below a folder."""
    found = {}
    for entry in files_below(folder, without):
        name = entry.path[len(folder) + 1 :]
        where, suffix = os.path.dirname(name), suffix_of(name).lower()  # noqa: PTH120 (speed)
        if suffix in UNTOLD_SUFFIXES:
            continue
        if suffix and not _has_image_suffix(name):
            packed = suffix_of(name[: -len(suffix)]).lower() if suffix == ".gz" else ""
            left_out.setdefault(f"*{packed}{suffix}", []).append(entry.path)
        elif where and MASK_FOLDER.search(where):
            kind = "in folders of masks that are not called 'masks' or 'lesions'"
            left_out.setdefault(kind, []).append(entry.path)
        elif entry.is_symlink() and is_folder(entry):
            left_out.setdefault("links to folders", []).append(entry.path)
        elif entry.is_symlink() and not os.path.exists(entry.path):  # noqa: PTH110 (speed)
            # Left out in silence, half a data set could be missing because a disk is not mounted.
            raise DatasetError(
                f"The image {entry.path!r} is a link that leads nowhere: mend or remove it."
            )
        else:
            found[name] = entry
    return found


def _has_image_suffix(name: str) -> bool:
    lower = name.lower()
    return suffix_of(lower) in IMAGE_SUFFIXES or lower.endswith(PACKED_DICOM)


def _is_image(entry: os.DirEntry[str]) -> bool:
    """Whether a file that may be an image is one: by its name, or because it starts as DICOM."""
    if not S_ISREG(entry.stat().st_mode):
        return False
    if suffix_of(entry.name):
        return True
    try:
        with open(entry.path, "rb") as file:  # noqa: PTH123 (speed)
            return file.read(DICOM_START.stop)[DICOM_START] == b"DICM"
    except OSError:
        return True  # the job that decodes it says why it cannot be read


def _masks_of(
    folder: ClassFolder, kind: str, names: Iterable[str], left_out: LeftOut
) -> dict[str, str]:
    """Masks of a class by the name of their image, without suffix; `kind` is their folder."""
    place = os.path.join(folder.path, kind)  # noqa: PTH118 (as the other paths)
    if not os.path.isdir(place):  # noqa: PTH112 (never raises)
        return {}
    files = {name: entry for name, entry in _candidates(place, left_out).items() if suffix_of(name)}
    masks = {_stem(name): entry.path for name, entry in files.items()}
    if masks and masks.keys().isdisjoint(map(_stem, names)):
        raise DatasetError(
            f"None of the masks in {place!r} has the name of an image of its class (such as "
            f"{next(iter(files))!r}): give each the name of its image, or move the folder away."
        )
    return masks


def _stem(name: str) -> str:
    suffix = suffix_of(name)
    return name[: -len(suffix)] if suffix else name
