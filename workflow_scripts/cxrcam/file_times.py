"""Times of input files: what tells that one was replaced, and that it is from the future."""

import hashlib
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from workflow_scripts.cxrcam.errors import InputError

TOLERATED_DELAY = 2  # seconds, between the last file of a folder and its time stamp
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


def changed_folders(paths: Iterable[str | Path]) -> list[Path]:
    """Folders among results that have lost or gained a file since they were made.

    Snakemake looks at a folder as a whole: it makes a lost one again, but not a file that is lost
    in it. Its time stamp is the last that it writes there, and a file that goes or comes renews the
    time of the folder itself.
    """
    changed = []
    for folder in map(Path, paths):
        stamp = folder / ".snakemake_timestamp"
        if stamp.exists():
            later = folder.stat().st_mtime - stamp.stat().st_mtime
            changed += [folder] if later > TOLERATED_DELAY else []
    return changed
