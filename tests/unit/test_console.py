"""Reasons in the terminal: short, and nothing lost but names of files."""

import logging

import pytest

from workflow_scripts.cxrcam.console import shorten_reasons, shortened_reason


def files(n: int, kind: str = "png") -> str:
    return ", ".join(f"results/{k}.{kind}" for k in range(n))


@pytest.mark.parametrize(
    "title",
    [
        "Missing output files",
        "Incomplete output files",
        "Updated input files",
        "Input files updated by another job",
    ],
)
def test_long_lists_of_files_are_cut(title: str):
    assert shortened_reason(f"{title}: {files(3)}") == f"{title}: {files(3)}"
    assert shortened_reason(f"{title}: {files(120)}") == f"{title}: {files(3)} and 117 more"


def test_every_other_reason_stays_as_it_is():
    since = "since last execution"
    rest = f"Code has changed {since}; Params have changed {since}: a, b, c, d"
    lists = f"Missing output files: {files(5)}; Updated input files: {files(9, 'csv')}"
    assert shortened_reason(f"{lists}; {rest}") == (
        f"Missing output files: {files(3)} and 2 more; "
        f"Updated input files: {files(3, 'csv')} and 6 more; {rest}"
    )
    assert shortened_reason("Forced execution") == "Forced execution"


def test_records_without_a_reason_pass():
    record = logging.makeLogRecord({"msg": "Finished jobid: 7"})
    assert shorten_reasons(record)
    assert record.getMessage() == "Finished jobid: 7"


def test_a_job_is_told_in_a_line_or_two():
    record = logging.makeLogRecord({"reason": f"Input files updated by another job: {files(200)}"})
    assert shorten_reasons(record)
    assert len(record.reason) < 120
