"""What Snakemake says of its jobs in the terminal, without walls of file names."""

import logging
import re

FILES_NAMED = 3  # of a list; a job that gathers results has a hundred and more

# As Snakemake 9 words them (`Reason` in its jobs.py); with other words, nothing would be shortened.
FILE_LISTS = re.compile(
    r"((?:Missing output|Incomplete output|Updated input) files|Input files updated by another job)"
    r": ([^;]*)"
)


def shortened_reason(reason: str) -> str:
    """Why a job runs, with the first files of each list.

    Parameters
    ----------
    reason : str
        As Snakemake words it.

    Returns
    -------
    str
        Everything that is no list of files stays: changed params, code or environments.
    """

    def shortened(found: re.Match[str]) -> str:
        files = found[2].split(", ")
        more = len(files) - FILES_NAMED
        named = ", ".join(files[:FILES_NAMED])
        return f"{found[1]}: {named}{f' and {more} more' * (more > 0)}"

    return FILE_LISTS.sub(shortened, reason)


def shorten_reasons(record: logging.LogRecord) -> bool:
    """Shorten the reason that a record about a job holds; a filter that lets everything pass."""
    reason = getattr(record, "reason", None)
    if isinstance(reason, str):
        record.reason = shortened_reason(reason)
    return True
