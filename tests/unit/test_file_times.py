"""Input files that were replaced are noticed; those from the future are refused before any job."""

import os
import time

import pytest

from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.file_times import refuse_future_files, stamp_files


def test_a_file_from_the_future_is_named_with_its_time(tmp_path):
    files = [tmp_path / "now.pth", tmp_path / "later.pth"]
    for file in files:
        file.touch()
    refuse_future_files(files)
    os.utime(files[1], (time.time(), time.time() + 3600))
    with pytest.raises(InputError, match=r"later\.pth.*in the future \(20.*touch"):
        refuse_future_files(files)


def test_a_clock_that_is_some_seconds_off_and_a_missing_file_are_tolerated(tmp_path):
    file = tmp_path / "weights.pth"
    file.touch()
    os.utime(file, (time.time(), time.time() + 20))
    refuse_future_files([file, tmp_path / "missing"])


def test_a_stamp_tells_a_file_that_took_the_place_of_another(tmp_path):
    file = tmp_path / "w.pth"
    file.write_bytes(b"one")
    before = stamp_files([file])
    assert stamp_files([file]) == before
    os.utime(file, (1_000_000_000, 1_000_000_000))  # older, of the same size
    assert stamp_files([file]) != before
