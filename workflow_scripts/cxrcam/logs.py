"""One logging set-up for all entry scripts."""

import logging
import sys
from pathlib import Path
from types import TracebackType

from workflow_scripts.cxrcam.errors import InputError


def start_log(log_file: str | Path) -> logging.Logger:
    """Send messages to the terminal and to the rule's log file; uncaught errors go there too.

    Parameters
    ----------
    log_file : str or Path
        The ``log:`` of the rule.

    Returns
    -------
    logging.Logger
        Logger named ``cxrcam``.
    """
    path = Path(log_file)
    path.parent.mkdir(parents=True, exist_ok=True)
    logger = logging.getLogger("cxrcam")
    logger.setLevel(logging.INFO)
    logger.handlers.clear()
    to_file = logging.FileHandler(path, mode="w", encoding="utf-8")
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    to_terminal = logging.StreamHandler(sys.stderr)
    to_terminal.setFormatter(logging.Formatter("%(message)s"))
    # The terminal shows what a person must know; the whole story stands in the log file.
    to_terminal.setLevel(logging.WARNING)
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
        else:
            logger.error("Unexpected error", exc_info=(kind, error, trace))

    sys.excepthook = report
    return logger
