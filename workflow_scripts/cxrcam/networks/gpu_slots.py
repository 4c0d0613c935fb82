"""One GPU for each job on a machine with several: jobs of one Snakemake do not know each other.

A job claims a device by locking a file. The lock is the operating system's: it is gone with the
process, however that ends, so that nothing has to be cleaned up after a crash.
"""

import fcntl
import itertools
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

_held: list[TextIO] = []  # open as long as this process lives


def claim_gpu(devices: Sequence[str], folder: Path | None = None) -> int:
    """Position of a device that the fewest other jobs use; it is this process's until it ends.

    Parameters
    ----------
    devices : sequence of str, at least one
        Names that all jobs on this machine know the devices by, fit for a file's name.
    folder : Path, optional
        Where the locks lie; by default the user's own in the system's temporary folder.

    Returns
    -------
    int
        With more jobs than devices, jobs share: second jobs are dealt out like the first ones.
    """
    if folder is None:
        folder = Path(tempfile.gettempdir()) / f"cxrcam-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for place in itertools.count():
        for position, name in enumerate(devices):
            file = (folder / f"{name}-{place}.lock").open("w", encoding="utf-8")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                continue
            _held.append(file)
            return position
    raise AssertionError("unreachable")
