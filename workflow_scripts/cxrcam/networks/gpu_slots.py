"""GPUs for each job on a machine with several: jobs of one Snakemake do not know each other.

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


def claim_gpus(devices: Sequence[str], count: int) -> list[int]:
    """Positions of devices that the fewest other jobs use; they are this process's until it ends.

    Parameters
    ----------
    devices : sequence of str, at least `count`
        Names that all jobs on this machine know the devices by, fit for a file's name.

    Returns
    -------
    list of int
        Ascending. With more jobs than devices, jobs share: second jobs are dealt out like the first
        ones. No job ever waits for another one, so that two that want the same devices cannot block
        each other.
    """
    claimed: list[int] = []
    # The user's own, in the system's temporary folder.
    folder = Path(tempfile.gettempdir()) / f"cxrcam-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for place in itertools.count():
        for position, name in enumerate(devices):
            if position in claimed:
                continue
            file = (folder / f"{name}-{place}.lock").open("w", encoding="utf-8")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                continue
            _held.append(file)
            claimed.append(position)
            if len(claimed) == count:
                return sorted(claimed)
    raise AssertionError("unreachable")
