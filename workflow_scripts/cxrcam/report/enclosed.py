"""The folder of the report holds all that its pages show: it can be mailed, or moved, as it is."""

import shutil
from pathlib import Path
from typing import Final

from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.report.cells import relative_href

FOLDER: Final = "files"
"""Of the copies, below the folder of the report."""


def enclose(file: str | Path, folder: Path) -> str:
    """Copy a result into the folder of the report.

    Parameters
    ----------
    file : str or Path
        Below results/<data set>; the copy lies at the same place below `FOLDER`, so that links
        between the results hold.
    folder : Path
        results/<data set>/report.

    Returns
    -------
    str
        Where the copy lies as seen from a page in `folder`.

    Raises
    ------
    ValueError
        A file of another data set.
    """
    copy = folder / FOLDER / Path(file).relative_to(folder.parent)
    with atomic_path(copy) as temporary:
        shutil.copyfile(file, temporary)
    return relative_href(copy, folder)


def size_in_words(folder: Path) -> str:
    """What all files of a folder take together, as "12.3 MB"."""
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return f"{size / 1e6:.1f} MB"
