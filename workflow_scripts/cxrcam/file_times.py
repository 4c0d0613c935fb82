"""Times of input files: what tells that one was replaced, and that it is from the future."""

import hashlib
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from workflow_scripts.cxrcam.errors import InputError

TOLERATED_SECONDS = 60  # clocks of a file server and of this machine


def stamp_files(files: Iterable[str | Path]) -> str:
    """Hash over names, sizes and modification times of files; absent ones do not count.

    Snakemake compares times with those of results only: it does not see a file that took another
    one's place but is older than the results, as what was moved here or unpacked.
    """
    digest = hashlib.sha256()
    for file in map(Path, files):
        if not file.exists():  # Snakemake names it, or the job that reads it
            continue
        status = file.stat()
        digest.update(f"{file}\x1f{status.st_size}\x1f{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def refuse_future_files(files: Iterable[str | Path]) -> None:
    """Refuse input files whose modification time lies ahead of this machine's clock.

    Snakemake takes results as older than such an input, and deletes them when the job ends.

    Raises
    ------
    InputError
        For the first such file, with its time.
    """
    limit = time.time() + TOLERATED_SECONDS
    for file in map(Path, files):
        changed = file.stat().st_mtime if file.exists() else 0.0
        if changed > limit:
            moment = datetime.fromtimestamp(changed).astimezone().strftime("%Y-%m-%d %H:%M:%S")
            raise InputError(
                f"The file {str(file)!r} was last changed in the future ({moment}): results made "
                "from it would be deleted as older than it. Set its time with `touch`, or correct "
                "this machine's clock."
            )
