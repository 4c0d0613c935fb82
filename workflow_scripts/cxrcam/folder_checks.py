"""Folders in which Snakemake would fail with a traceback: refused in one sentence."""

import os
from pathlib import Path

from workflow_scripts.cxrcam.errors import InputError


def refuse_project_with_braces(project: Path) -> None:
    """Refuse a folder of the workflow whose path Snakemake would take for a pattern.

    Raises
    ------
    InputError
        If the path contains a brace.
    """
    if set(str(project)) & set("{}"):
        raise InputError(
            f"The workflow lies in {str(project)!r}, and Snakemake takes braces in a path for "
            "wildcards: rename the folder, or move the workflow."
        )


def refuse_python_with_blanks(python: str) -> None:
    """Refuse a Python under a path with a blank: Snakemake starts scripts without quoting it.

    Parameters
    ----------
    python : str
        ``sys.executable``.

    Raises
    ------
    InputError
    """
    if len(python.split()) > 1:
        raise InputError(
            f"Python lies under a path with a blank ({python!r}), where Snakemake cannot start "
            "scripts: set up the environment in a folder without blanks in its path."
        )


def refuse_read_only_results(results: Path) -> None:
    """Refuse a folder of results that may not be written, before any job; a look at it is fine.

    Parameters
    ----------
    results : Path
        ``results``, which need not exist yet.

    Raises
    ------
    InputError
    """
    if results.exists() and not os.access(results, os.W_OK | os.X_OK):
        raise InputError(
            f"The folder {str(results.absolute())!r} is read-only for you: change its owner or "
            "permissions (chown, chmod), mount the disk for writing, or name another folder with "
            "--directory."
        )


def refuse_unwritable_records(records: Path) -> None:
    """Refuse a folder in which Snakemake cannot keep its records: read-only, or someone else's.

    Parameters
    ----------
    records : Path
        ``.snakemake``, which need not exist yet.

    Raises
    ------
    InputError
        If it, or the folder in which it would be made, may not be written.
    """
    locks = records / "locks"
    folder = next(place for place in (locks, *locks.parents) if place.exists())
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(
            f"The folder {str(folder.absolute())!r} may not be written, but Snakemake keeps its "
            "records there: change its owner or permissions (chown, chmod), mount the disk for "
            "writing, or name another folder with --directory."
        )
