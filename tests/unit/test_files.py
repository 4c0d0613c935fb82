"""Outputs appear whole or not at all."""

import errno
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from workflow_scripts.cxrcam.files import atomic_path, read_json, write_json, write_text

ROOT = Path(__file__).parents[2]


def test_a_finished_file_stands_under_its_name_and_nothing_beside_it(tmp_path):
    with atomic_path(tmp_path / "out.csv") as temporary:
        temporary.write_text("whole")
        assert not (tmp_path / "out.csv").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert (tmp_path / "out.csv").read_text() == "whole"


def test_the_folder_is_made_where_it_is_missing(tmp_path):
    write_text(tmp_path / "a" / "b" / "out.txt", "x")
    assert (tmp_path / "a" / "b" / "out.txt").read_text() == "x"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit, MemoryError])
def test_a_failure_half_way_leaves_the_old_file_and_no_temporary(tmp_path, error):
    (tmp_path / "out.csv").write_text("old")
    with pytest.raises(error), atomic_path(tmp_path / "out.csv") as temporary:
        temporary.write_text("ha")
        raise error
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert (tmp_path / "out.csv").read_text() == "old"


def test_a_failure_half_way_leaves_nothing_where_there_was_nothing(tmp_path):
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "out.csv") as temporary:
        temporary.write_text("ha")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_writes_nothing_is_noticed_and_leaves_the_old_file(tmp_path):
    (tmp_path / "out.csv").write_text("old")
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "out.csv"):
        pass
    assert (tmp_path / "out.csv").read_text() == "old"


def test_a_process_killed_between_writing_and_renaming_leaves_the_old_file(tmp_path):
    (tmp_path / "out.csv").write_text("old")
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from workflow_scripts.cxrcam.files import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('new')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "out.csv")], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "out.csv").read_text() == "old"


def test_the_content_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (events.append("flushed"), fsync(handle)))
    monkeypatch.setattr(
        Path, "replace", lambda self, target: (events.append("named"), replace(self, target))
    )
    write_text(tmp_path / "out.txt", "x")
    assert events == ["flushed", "named"]


def test_the_temporary_keeps_the_suffix_is_hidden_and_lies_in_the_same_folder(tmp_path):
    with atomic_path(tmp_path / "figure.svg") as temporary:
        assert (temporary.suffix, temporary.parent) == (".svg", tmp_path)
        assert temporary.name.startswith(".")
        temporary.touch()


def test_text_is_written_as_utf_8_with_line_feeds(tmp_path):
    write_text(tmp_path / "out.txt", "Größe\n肺\n")
    assert (tmp_path / "out.txt").read_bytes() == "Größe\n肺\n".encode()


def test_json_keeps_its_values_and_its_letters(tmp_path):
    values = {"accuracy": 0.1, "classes": ["肺炎"], "none": None}
    write_json(tmp_path / "out.json", values)
    text = (tmp_path / "out.json").read_text(encoding="utf-8")
    assert json.loads(text) == values
    assert "肺炎" in text


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_json_does_not_know_are_refused_before_anything_is_written(tmp_path, value):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "out.json", {"loss": value})
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_does_not_take_a_file_is_named_with_it(tmp_path, monkeypatch):
    def failing(handle):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError) as raised:
        write_text(tmp_path / "table.csv", "a\n")
    assert raised.value.filename == str(tmp_path / "table.csv")
    assert list(tmp_path.iterdir()) == []


def test_json_comes_back_as_it_was_written(tmp_path):
    values = {"name": "Ä \u2028", "numbers": [1, 2.5, None], "nested": {"a": True}}
    write_json(tmp_path / "a.json", values)
    assert read_json(str(tmp_path / "a.json")) == values
