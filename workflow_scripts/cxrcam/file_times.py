"""Input files from the future: Snakemake deletes what is made from them."""

import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from workflow_scripts.cxrcam.errors import InputError

TOLERATED_SECONDS = 60  # clocks of a file server and of this machine


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
