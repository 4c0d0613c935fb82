"""Which files `predict_images` names: a folder, a file, a glob, or a list of those.

Imported while Snakemake reads the workflow, so it uses the standard library only and opens no file.
Every file of a folder is taken, whatever its suffix, as DICOM files often have none: what is no
image goes to the quarantine table with the reason, and nothing is left out in silence.
"""

import glob
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.cxrcam.data.listing.folders import files_below, is_folder
from workflow_scripts.cxrcam.errors import InputError

LONGEST_NAME = 40  # of the part of a folder's name that is kept


class NewImagesError(InputError):
    """`predict_images` names nothing that can be predicted; the message says what to do."""


@dataclass(frozen=True)
class NewImage:
    """One file.

    Attributes
    ----------
    image_id : str
        Path below the folder that all files share, suffix included, so that no two are alike.
    path : str
        As found; may hold bytes that are no UTF-8.
    size_bytes, modified_ns : int
        To notice that the file was replaced; 0 where it cannot be asked.
    """

    image_id: str
    path: str
    size_bytes: int
    modified_ns: int


def list_new_images(named: str | Sequence[str]) -> list[NewImage]:
    """All files that `predict_images` names, sorted by `image_id`.

    Parameters
    ----------
    named : str or sequence of str
        Folders (with all folders below, links to folders are not followed), files, or globs
        (``**`` goes through folders). Hidden files are left out.

    Raises
    ------
    NewImagesError
        If one of them does not exist, matches nothing, holds no file, or cannot be looked at.
    """
    found: dict[str, str] = {}
    for text in [named] if isinstance(named, str) else named:
        for path in _files(text):
            # One file may be named in several ways: a.png, ./a.png, a glob that matches it.
            found.setdefault(os.path.abspath(path), path)  # noqa: PTH100 (follows no link)
    parents = [os.path.dirname(path) for path in found]  # noqa: PTH120 (speed)
    common = os.path.commonpath(parents)
    if isinstance(named, str) and Path(named).expanduser().is_dir():
        # Otherwise the id of a file would change when another folder gets its first file.
        common = os.path.abspath(os.path.expanduser(named))  # noqa: PTH100, PTH111
    names = _distinct([_printable(os.path.relpath(path, common)) for path in found])
    images = [_described(name, path) for name, path in zip(names, found.values(), strict=True)]
    return sorted(images, key=lambda image: image.image_id)


def new_images_fingerprint(images: Iterable[NewImage]) -> str:
    """One hash over names, sizes and times: changes when a file comes, goes or is replaced."""
    digest = hashlib.sha256()
    for image in images:
        line = f"{image.image_id}\x1f{image.size_bytes}\x1f{image.modified_ns}\n"
        digest.update(line.encode())
    return digest.hexdigest()[:16]


def folder_name(named: str | Sequence[str]) -> str:
    """Name of the folder of results: the last part of the path, and a hash of it as it was written.

    Without the hash, ``a/images`` and ``b/images`` would overwrite each other's predictions.
    """
    texts = [named] if isinstance(named, str) else list(named)
    written = [os.path.normpath(text) for text in texts]
    parts = [part for part in Path(written[0]).parts if not glob.has_magic(part)]
    plain = re.sub(r"[^A-Za-z0-9]+", "-", parts[-1] if parts else "").strip("-")
    digest = hashlib.sha256("\x1f".join(written).encode("utf-8", "surrogateescape")).hexdigest()
    return f"{plain[:LONGEST_NAME] or 'images'}-{digest[:6]}"


def _files(text: str) -> list[str]:
    """Files that one entry names."""
    path = os.path.expanduser(text)  # noqa: PTH111 (keeps the spelling)
    try:
        if os.path.isdir(path):  # noqa: PTH112
            files = _below(path)
            if not files:
                raise NewImagesError(
                    f"The folder {text!r} (predict_images) holds no file: put the images there, or "
                    "name another folder."
                )
            return files
        if os.path.isfile(path):  # noqa: PTH113
            return [path]
        if os.path.lexists(path):
            raise NewImagesError(
                f"{text!r} (predict_images) is neither a file nor a folder, or a link that leads "
                "nowhere: name a folder, an image or a glob."
            )
        if glob.has_magic(text):
            matches = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 (keeps the spelling)
            files = [file for match in matches for file in _at(match)]
            if files:
                return files
            raise NewImagesError(
                f"The glob {text!r} (predict_images) matches no file (looked from {Path.cwd()}): "
                "correct it; in quotes, so that the shell leaves it alone."
            )
    except (OSError, ValueError) as error:
        raise NewImagesError(
            f"{text!r} (predict_images) cannot be looked at: {error}. Name another path."
        ) from error
    raise NewImagesError(
        f"{text!r} (predict_images) does not exist (looked from {Path.cwd()}): correct the path of "
        "the folder, file or glob."
    )


def _at(path: str) -> list[str]:
    return _below(path) if os.path.isdir(path) else [path]  # noqa: PTH112


def _below(folder: str) -> list[str]:
    """Files of a folder and of those below it, hidden ones left out."""
    try:
        return [entry.path for entry in files_below(folder) if not is_folder(entry)]
    except OSError as error:
        raise NewImagesError(
            f"The folder {error.filename!r} (predict_images) cannot be read: {error.strerror}. "
            "Check its permissions, or name the files that can be read."
        ) from error


def _described(image_id: str, path: str) -> NewImage:
    try:
        status = os.stat(path)  # noqa: PTH116 (speed)
    except OSError:  # such as a link that leads nowhere: the quarantine will say so
        return NewImage(image_id, path, 0, 0)
    return NewImage(image_id, path, status.st_size, status.st_mtime_ns)


def _printable(path: str) -> str:
    """A name that tables take: bytes that are no UTF-8 become escapes."""
    return os.fsencode(Path(path).as_posix()).decode("utf-8", "backslashreplace")


def _distinct(names: Sequence[str]) -> list[str]:
    """Number names that came out alike because of such escapes."""
    uses: Counter[str] = Counter()
    result = []
    for name in names:
        uses[name] += 1
        result.append(name if uses[name] == 1 else f"{name} ({uses[name]})")
    return result
