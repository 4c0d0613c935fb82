"""Data sets of the kind `collection`: public collections, listed from their own tables."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from stat import S_ISREG
from typing import Final

from workflow_scripts.cxrcam.data.listing.collections import (
    chest_xray_pneumonia,
    chexpert,
    covidx,
    mimic_cxr_jpg,
    nih_chestxray14,
    padchest,
    rsna_pneumonia,
    siim_acr,
    vindr_cxr,
)
from workflow_scripts.cxrcam.data.listing.collections.collection import (
    FRONTAL_VIEWS,
    LATERAL_VIEW,
    Collection,
    Picture,
    label_of,
)
from workflow_scripts.cxrcam.data.listing.collections.places import find_home, images_below
from workflow_scripts.cxrcam.data.listing.image_files import DatasetError, ImageFile
from workflow_scripts.cxrcam.data.listing.left_out import (
    LATERAL,
    NOT_NAMED,
    NOT_THERE,
    OTHER_VIEW,
    UNKNOWN_VIEW,
    LeftOut,
)

COLLECTIONS: Final[Mapping[str, Collection]] = {
    "nih_chestxray14": nih_chestxray14.COLLECTION,
    "chexpert": chexpert.COLLECTION,
    "mimic_cxr_jpg": mimic_cxr_jpg.COLLECTION,
    "vindr_cxr": vindr_cxr.COLLECTION,
    "rsna_pneumonia": rsna_pneumonia.COLLECTION,
    "padchest": padchest.COLLECTION,
    "siim_acr": siim_acr.COLLECTION,
    "covidx": covidx.COLLECTION,
    "chest_xray_pneumonia": chest_xray_pneumonia.COLLECTION,
}


def list_collection(
    name: str, root: Path, views: str, wanted: Callable[[str], bool]
) -> tuple[list[ImageFile], LeftOut]:
    """Images of a public collection, in the order of its tables, and what of it is left out.

    `label` is the class, or the findings that are present, joined by ``|``. `extra` has the state
    of each finding (1, 0, -1 for uncertain, empty for not mentioned), `view`, `age` in years,
    `sex`, and what else the collection tells.

    Parameters
    ----------
    name : str
        Key of `COLLECTIONS`.
    root : Path
        Folder of the collection, or the one above it.
    views : {"frontal", "all"}
    wanted : callable
        Whether the image of that `image_id` is to be listed; files of others are not looked at.

    Raises
    ------
    DatasetError
        The collection is not there, or of another version; a table cannot be read; no image is
        there.
    """
    collection = COLLECTIONS[name]
    try:
        home = find_home(root, name, collection)
        files = images_below(home) if collection.by_name else None
        return _list(collection, home, files, views, wanted)
    except OSError as error:
        raise DatasetError(
            f"The folder {error.filename!r} cannot be read: {error.strerror}. Check its "
            "permissions and the disk."
        ) from error


def _list(
    collection: Collection,
    home: Path,
    files: Mapping[str, str] | None,
    views: str,
    wanted: Callable[[str], bool],
) -> tuple[list[ImageFile], LeftOut]:
    """As `list_collection`; `files` are those of the folder, None where tables tell their paths."""
    images: list[ImageFile] = []
    left_out: LeftOut = {}
    named: set[str] = set()
    label_and_extra = _LabelAndExtra(collection.findings)
    prefix = f"{home}/"
    first_missing = ""
    for picture in collection.read(home):
        image_id = picture.image_id
        if image_id in named:
            raise DatasetError(
                f"The tables of {collection.title} in {str(home)!r} list the image {image_id!r} "
                "more than once: take them as they were published."
            )
        named.add(image_id)
        if not wanted(image_id):
            continue
        reason = picture.left_out or _reason_by_view(collection, picture, views)
        if not reason:
            path = prefix + picture.file if files is None else files.get(picture.file, "")
            status = _status(path)
            if status is not None:
                label, extra = label_and_extra.of(picture)
                images.append(
                    ImageFile(
                        image_id=image_id,
                        path=path,
                        label=label,
                        patient=picture.patient,
                        source=picture.source or collection.source,
                        split=picture.split,
                        size_bytes=status.st_size,
                        modified_ns=status.st_mtime_ns,
                        extra=extra,
                    )
                )
                continue
            first_missing = first_missing or path or f"{prefix}.../{picture.file}"
            reason = NOT_THERE
        left_out.setdefault(reason, []).append(image_id)
    if files is not None and (others := files.keys() - named):
        left_out[NOT_NAMED] = [files[name] for name in others]
    if not images and all(map(wanted, named)):
        why = "; ".join(f"{len(names):,} {kind}" for kind, names in left_out.items())
        looked = f" Looked for {first_missing!r}, for example." if first_missing else ""
        raise DatasetError(
            f"None of the {len(named):,} images that the tables of {collection.title} in "
            f"{str(home)!r} name can be used{f' ({why})' if why else ''}.{looked} Unpack the "
            "images beside the tables (docs/collections.md)."
        )
    return images, left_out


def _reason_by_view(collection: Collection, picture: Picture, views: str) -> str:
    """Why an image is left out because of its view; empty if it is not."""
    if views == "all" or not collection.has_views or picture.view in FRONTAL_VIEWS:
        return ""
    if not picture.view:
        return UNKNOWN_VIEW
    return LATERAL if picture.view == LATERAL_VIEW else OTHER_VIEW


def _status(path: str) -> os.stat_result | None:
    """Size and time of a file; None where there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 (speed)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last: a zero in the name
        return None
    return status if S_ISREG(status.st_mode) else None


class _LabelAndExtra:
    """Labels and further columns of images, kept: images that have them alike share one dict."""

    def __init__(self, findings: Sequence[str]) -> None:
        self.findings = findings
        self.known: dict[tuple[object, ...], tuple[str, dict[str, str]]] = {}

    def of(self, picture: Picture) -> tuple[str, dict[str, str]]:
        """Label and further columns of one image."""
        about = (picture.view, picture.age, picture.sex, picture.more)
        key = (picture.label, picture.findings, *about)
        kept = self.known.get(key)
        if kept is None:
            kept = self.known[key] = (
                picture.label or label_of(self.findings, picture.findings),
                {
                    **dict(zip(self.findings, picture.findings, strict=True)),
                    **{"view": picture.view, "age": picture.age, "sex": picture.sex},
                    **dict(picture.more),
                },
            )
        return kept
