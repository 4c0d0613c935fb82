"""What an interrupt does to a run."""

from typing import NoReturn

import psutil


def stop_jobs(*signal_and_frame: object) -> NoReturn:
    """Hand an interrupt on to the jobs, as a handler of SIGINT.

    Without a terminal (`kill -INT`, a notebook) it reaches Snakemake alone, which would wait for
    the jobs to end and then not record what they made.

    Raises
    ------
    KeyboardInterrupt
    """
    for process in psutil.Process().children(recursive=True):
        process.terminate()
    raise KeyboardInterrupt
