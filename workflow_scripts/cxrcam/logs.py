"""One logging set-up for all entry scripts."""

import errno
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TextIO

from workflow_scripts.cxrcam.damaged_files import damaged_file
from workflow_scripts.cxrcam.errors import InputError

# Faults of the machine that a user can mend, by the system's number of the error.
MACHINE_FAULTS = {
    errno.ENOSPC: "the disk is full: free some space",
    errno.EDQUOT: "your quota of the disk is used up: free some space",
    errno.EFBIG: "the file would be larger than the system allows (ulimit -f): raise the limit",
    errno.EROFS: "the disk is read-only: mount it for writing, or use another folder",
    errno.EACCES: "it may not be read or written: change its permissions",
    errno.EIO: "the disk or network failed: check it",
}


def machine_fault(error: BaseException) -> str | None:
    """One sentence for a fault of the machine, or None where the error is something else.

    Libraries wrap the system's errors in their own: the text is looked at as well.
    """
    if isinstance(error, MemoryError):
        return "Memory ran out: close other programs, or give the job more (mem_mb)."
    if type(error).__name__ == "AcceleratorError":  # of PyTorch, which few jobs load
        return (
            f"The GPU failed ({str(error).splitlines()[0]}): look at it with nvidia-smi, and run "
            "the same command again. A training goes on from its newest checkpoint."
        )
    for number, advice in MACHINE_FAULTS.items():
        meant = getattr(error, "errno", None) == number
        if meant or (not isinstance(error, OSError) and os.strerror(number) in str(error)):
            name = getattr(error, "filename", None)
            where = f"{str(name)!r}: " if name else ""
            return f"{where}{advice}, and run again. Nothing half-written was left."
    return None


# Of a message that is no warning, and is shown in the terminal all the same: `extra=SHOWN`.
SHOWN = {"shown": True}


class PlainFormatter(logging.Formatter):
    """Shows control characters as escapes: names from the data must not steer a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """One message; line feeds stay, which tracebacks are made of."""
        return "".join(
            sign if sign.isprintable() or sign == "\n" else ascii(sign)[1:-1]
            for sign in super().format(record)
        )


class TerminalHandler(logging.StreamHandler[TextIO]):
    """Shows what a person must know: warnings, errors, and messages with ``extra=SHOWN``."""

    def filter(self, record: logging.LogRecord) -> bool:
        """The whole story stands in the log file."""
        return record.levelno >= logging.WARNING or getattr(record, "shown", False)

    def format(self, record: logging.LogRecord) -> str:
        """One message, in place of the bar that Snakemake's process draws (`terminal.progress`)."""
        drawn = self.stream.isatty() and os.environ.get("TERM") != "dumb"
        return "\r\x1b[K" * drawn + super().format(record)


def start_log(
    log_file: str | Path, inputs: Sequence[str] = (), rank: int | None = None
) -> logging.Logger:
    """Send messages to the terminal and to the rule's log file; uncaught errors go there too.

    Parameters
    ----------
    inputs : sequence of str
        Files that the job reads: after an error that nobody foresaw the first damaged one is named.
    rank : int, optional
        Number of this process, where the job has started several: they add to the file that it has
        begun, the first one all that it says, the others errors only.
    """
    path = Path(log_file)
    path.parent.mkdir(parents=True, exist_ok=True)
    logger = logging.getLogger("cxrcam")
    logger.setLevel(logging.ERROR if rank else logging.INFO)
    logger.handlers.clear()
    if rank is None:
        path.write_bytes(b"")
    # At the end of the file, where others may have written too.
    to_file = logging.FileHandler(path, mode="a", encoding="utf-8")
    to_file.setFormatter(PlainFormatter("%(asctime)s %(levelname)s %(message)s"))
    to_terminal = TerminalHandler(sys.stderr)
    to_terminal.setFormatter(PlainFormatter("%(message)s"))
    logger.addHandler(to_file)
    logger.addHandler(to_terminal)
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").addHandler(to_file)

    def report(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            logger.error("Interrupted.")
        elif issubclass(kind, InputError):
            logger.error("Error: %s", error)
        elif fault := machine_fault(error):
            logger.error("Error: %s", fault)
        elif damaged := damaged_file(inputs):
            logger.error("Error: %s", damaged)
        else:
            logger.error("Unexpected error", exc_info=(kind, error, trace))

    sys.excepthook = report
    return logger
