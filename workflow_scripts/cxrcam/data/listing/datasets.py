"""What images a data set has: its listing, made from names and sizes alone.

Imported while Snakemake reads the workflow, so it uses the standard library only and decodes no
image. All kinds of data set give the same listing:

- ``class_folders``: one folder a class, or such folders in parts (see `class_folders.py`);
- ``collection``: a public collection as it unpacks (see `collections/`);
- ``manifest``: a CSV or Parquet table with ``path,label`` and optional columns;
- ``phantom``: images that the workflow draws itself, known from the configuration before they
  exist;
- ``union``: several other data sets as one (see `unions.py`).
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from workflow_scripts.cxrcam.data.listing.class_folders import (
    find_class_folders,
    list_class_folders,
)
from workflow_scripts.cxrcam.data.listing.collections.listing import COLLECTIONS, list_collection
from workflow_scripts.cxrcam.data.listing.image_files import DatasetError, ImageFile
from workflow_scripts.cxrcam.data.listing.left_out import LeftOut
from workflow_scripts.cxrcam.data.listing.manifests import list_manifest
from workflow_scripts.cxrcam.data.listing.reader_decisions import Decisions, apply_decisions
from workflow_scripts.cxrcam.data.listing.spellings import (
    ascii_if_alike,
    first_alike,
    normalised,
    skeleton,
)
from workflow_scripts.cxrcam.data.listing.unions import list_union, mapped_labels


def list_images(
    settings: Mapping[str, Any],
    phantom_root: Path,
    wanted: Callable[[str], bool] | None = None,
) -> list[ImageFile]:
    """Images of a data set, sorted by `image_id`; arguments and errors as for `list_data`."""
    return list_data(settings, phantom_root, wanted).images


class Listing(NamedTuple):
    """What a data set has."""

    images: list[ImageFile]  # sorted by `image_id`
    left_out: LeftOut  # files of its folders that are not read
    decisions: Decisions  # what readers decided on its images


def list_data(
    settings: Mapping[str, Any],
    phantom_root: Path,
    wanted: Callable[[str], bool] | None = None,
) -> Listing:
    """Images of a data set as its readers decided, and files of its folders that are not read.

    Parameters
    ----------
    settings : mapping
        Entry of ``datasets`` in the configuration; of a union, from `unions.with_members`.
    phantom_root : Path
        Folder into which phantoms are (or will be) drawn; used by that kind only.
    wanted : callable, optional
        Whether the image of that name is to be listed; without it, all are. Files of others are
        not looked at, which is most of the time of a job that needs one shard.

    Raises
    ------
    DatasetError
        Folder or table missing, no image found, a row without file, an image listed twice, names
        that cannot be kept or told apart; a reader's table as for `apply_decisions`.
    """
    left_out: LeftOut = {}
    of_members = Decisions()
    kind = settings["kind"]
    only, wanted = wanted, wanted or (lambda image_id: True)
    if kind == "class_folders":
        try:
            images, left_out = list_class_folders(
                find_root(settings["root"]), settings.get("classes") or [], wanted
            )
        except OSError as error:
            raise DatasetError(
                f"The folder {error.filename!r} cannot be read: {error.strerror}. Check its "
                "permissions and the disk."
            ) from error
    elif kind == "collection":
        name, root = settings["name"], settings["root"]
        home = find_root(root, " or ".join(COLLECTIONS[name].tables))
        images, left_out = list_collection(name, home, settings["views"], wanted)
    elif kind == "manifest":
        images = list_manifest(Path(settings["path"]), wanted)
    elif kind == "phantom":
        images = _list_phantoms(settings, phantom_root)
        images = [image for image in images if wanted(image.image_id)]
    elif kind == "union":
        images, left_out, of_members = list_union(settings, phantom_root, only, list_data)
    else:
        raise DatasetError(f"Unknown kind of data set {kind!r}.")
    for image in images:
        try:
            image.path.encode()
        except UnicodeEncodeError:
            # Python reads such names, but hashes and Parquet do not take them.
            raise DatasetError(
                f"The name of the file {image.path!r} is not valid UTF-8: rename it (convmv does "
                "whole folders)."
            ) from None
    images, decisions = apply_decisions(settings, images, only is None)
    decisions.add(of_members)
    _check_labels(images)
    return Listing(sorted(images, key=lambda image: image.image_id), left_out, decisions)


def _check_labels(images: Iterable[ImageFile]) -> None:
    """Refuse classes that nobody could tell apart, or that no configuration can name."""
    first = {image.label: image for image in reversed(list(images))}
    for label, image in first.items():
        if not label.isprintable():
            raise DatasetError(
                f"The class {label!r} (of {image.path!r}) contains a line break or another control "
                "character: rename it."
            )
    # Most often one class in two spellings, of which a task would silently lack the other.
    for key, how in (
        (normalised, "differ only by case, blanks, width or how an accent is stored"),
        (skeleton, "look alike but contain letters of different alphabets"),
    ):
        if pair := first_alike(first, key):
            one, other = pair
            raise DatasetError(
                f"The classes {ascii_if_alike(one, other)} (of {first[one].path!r}) and "
                f"{ascii_if_alike(other, one)} (of {first[other].path!r}) {how}: spell them alike "
                "(of a union, with its `labels`), or rename one."
            )


def find_root(root: str | Sequence[str], holds: str = "one folder a class") -> Path:
    """First existing folder of one or several candidates.

    `holds` says, for the message, what it ought to hold.

    Raises
    ------
    DatasetError
        If none exists.
    """
    candidates = [root] if isinstance(root, str) else list(root)
    for candidate in candidates:
        if os.path.isdir(candidate):  # noqa: PTH112 (never raises)
            return Path(candidate)
    raise DatasetError(
        f"The data set's folder {' or '.join(map(repr, candidates))} does not exist (looked from "
        f"{Path.cwd()}). Put or link the images there, or set `root` of this data set to the "
        f"folder that holds {holds}."
    )


def _list_phantoms(settings: Mapping[str, Any], root: Path) -> list[ImageFile]:
    images = []
    for label, count in settings["images_per_class"].items():
        for number in range(1, count + 1):
            name = f"{label}-{number}"
            lesion = "" if label == "Normal" else str(root / label / "lesions" / f"{name}.png")
            images.append(
                ImageFile(
                    image_id=f"{label}/{name}",
                    path=str(root / label / "images" / f"{name}.png"),
                    label=label,
                    mask_path=str(root / label / "masks" / f"{name}.png"),
                    lesion_mask_path=lesion,
                    source="phantom",
                )
            )
    return images


def shard_count(n_images: int, shard_images: int) -> int:
    """Number of cache shards: a power of two, so that growing data seldom moves images about."""
    count = 1
    while count * shard_images < n_images:
        count *= 2
    return count


def shard_number(image_id: str, n_shards: int) -> int:
    """Shard of an image: by the hash of its name, so that others may come and go."""
    return int.from_bytes(hashlib.sha256(image_id.encode()).digest()[:8]) % n_shards


def shard_fingerprints(images: Iterable[ImageFile], n_shards: int) -> list[str]:
    """One hash a shard over name, size and time of its files: changes when an image is replaced."""
    digests = [hashlib.sha256(f"{n_shards}\n".encode()) for _ in range(n_shards)]
    for image in images:
        line = f"{image.image_id}\x1f{image.path}\x1f{image.size_bytes}\x1f{image.modified_ns}\n"
        digests[shard_number(image.image_id, n_shards)].update(line.encode())
    return [digest.hexdigest()[:16] for digest in digests]


def listing_fingerprint(images: Iterable[ImageFile]) -> str:
    """One hash over everything that the listing says, labels and masks included."""
    digest = hashlib.sha256()
    for image in images:
        digest.update("\x1f".join(map(str, vars(image).values())).encode() + b"\n")
    return digest.hexdigest()[:16]


def class_sizes(images: Iterable[ImageFile], folders: Iterable[str] = ()) -> dict[str, int]:
    """Number of listed images of each class; 0 for a class folder that has none."""
    sizes = Counter(dict.fromkeys(folders, 0))
    sizes.update(image.label for image in images)
    return dict(sizes)


def labels_of_folders(settings: Mapping[str, Any]) -> list[str]:
    """Labels of the class folders of a data set of that kind, empty ones too; none otherwise."""
    if settings["kind"] == "union":
        members = settings["members"].items()
        of_all = [mapped_labels(settings, n, labels_of_folders(member)) for n, member in members]
        return list(dict.fromkeys(label for labels in of_all for label in labels))
    if settings["kind"] != "class_folders":
        return []
    folders = find_class_folders(find_root(settings["root"]), settings.get("classes") or [])
    return list(dict.fromkeys(settings.get("classes") or [folder.label for folder in folders]))


def place(settings: Mapping[str, Any]) -> str:
    """Where a data set was looked for, for messages."""
    if "root" in settings:
        return str(find_root(settings["root"]))
    if settings["kind"] == "union":
        return f"the union of {' and '.join(settings['of'])}"
    return str(settings["path"]) if settings["kind"] == "manifest" else "the phantoms"
