"""Folders in which Snakemake would fail with a traceback are refused in words."""

import os
from pathlib import Path

import pytest

from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.folder_checks import (
    refuse_project_with_braces,
    refuse_python_with_blanks,
    refuse_read_only_results,
    refuse_unwritable_records,
)


def test_a_project_in_a_folder_with_braces_is_refused():
    refuse_project_with_braces(Path("/home/me/my study, [2]/cxrcam"))
    with pytest.raises(InputError, match=r"'/home/\{me\}/cxrcam'.*rename"):
        refuse_project_with_braces(Path("/home/{me}/cxrcam"))


@pytest.mark.parametrize("denied", [".", ".snakemake", ".snakemake/locks"])
def test_records_that_may_not_be_written_are_refused(denied, tmp_path, monkeypatch):
    """Root may write everywhere, so that the system's answer is made up."""
    monkeypatch.chdir(tmp_path)
    Path(denied).mkdir(parents=True, exist_ok=True)
    refuse_unwritable_records(Path(".snakemake"))
    may = os.access

    def access(path, mode):
        return may(path, mode) and Path(path) != Path(denied)

    monkeypatch.setattr(os, "access", access)
    with pytest.raises(InputError, match=r"may not be written.*--directory"):
        refuse_unwritable_records(Path(".snakemake"))


def test_results_that_may_not_be_written_are_refused_and_absent_ones_are_not(tmp_path, monkeypatch):
    results = tmp_path / "results"
    refuse_read_only_results(results)
    results.mkdir()
    refuse_read_only_results(results)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match=r"results' is read-only for you.*--directory"):
        refuse_read_only_results(results)


def test_a_python_under_a_path_with_a_blank_is_refused():
    refuse_python_with_blanks("/home/me/.venv/bin/python")
    with pytest.raises(InputError, match=r"'/home/my files/python'.*without blanks"):
        refuse_python_with_blanks("/home/my files/python")
