"""What lies in folders, hidden files and folders left out."""

import os
from collections.abc import Container

MACOS_ARCHIVE = "__MACOSX"  # in what a Mac packed: a second tree of files, all of them hidden


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one."""
    if not entry.is_symlink():
        return entry.is_dir()
    return os.path.isdir(entry.path)  # noqa: PTH112 (a link to itself raises nothing)


def folders_in(folder: str) -> list[str]:
    """Names of the folders directly in a folder, and of links to such.

    Raises
    ------
    OSError
        It cannot be read.
    """
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if not entry.name.startswith(".") and entry.name != MACOS_ARCHIVE and is_folder(entry)
        )


def files_below(folder: str, without: Container[str] = ()) -> list[os.DirEntry[str]]:
    """Files of a folder and of all folders below it, sorted by path.

    Links to folders are not followed and stand among the files.

    Parameters
    ----------
    folder : str
    without : container of str
        What directly lies in `folder` under these names is not looked at.

    Raises
    ------
    OSError
        One of the folders cannot be read.
    """
    found = []
    waiting = [folder]
    while waiting:
        where = waiting.pop()
        with os.scandir(where) as entries:
            for entry in entries:
                if entry.name.startswith(".") or (where == folder and entry.name in without):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    found.append(entry)
    return sorted(found, key=lambda entry: entry.path)
