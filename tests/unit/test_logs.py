"""Logs: a fault of the input is one sentence, a fault of ours keeps its traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run_script(log: Path, body: str) -> subprocess.CompletedProcess[str]:
    """Run lines of code after `start_log`, as an entry script does."""
    code = (
        "import warnings\n"
        "from workflow_scripts.cxrcam.errors import InputError\n"
        "from workflow_scripts.cxrcam.logs import start_log\n"
        f"log = start_log({str(log)!r})\n{body}"
    )
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)


@pytest.fixture
def log(tmp_path) -> Path:
    return tmp_path / "not there yet" / "train.log"


def test_an_input_error_is_one_sentence_on_the_terminal_and_in_the_log(log):
    done = run_script(log, "raise InputError('The folder nowhere does not exist.')")
    assert done.returncode == 1
    assert done.stderr == "Error: The folder nowhere does not exist.\n"
    (line,) = log.read_text(encoding="utf-8").splitlines()
    assert line.endswith("ERROR Error: The folder nowhere does not exist.")


def test_a_subclass_with_a_cause_is_one_sentence_too(log):
    body = (
        "class CacheError(InputError): pass\n"
        "try: {}['key']\n"
        "except KeyError as error: raise CacheError('Delete the cache.') from error\n"
    )
    done = run_script(log, body)
    assert done.returncode == 1
    assert done.stderr == "Error: Delete the cache.\n"
    assert "KeyError" not in log.read_text(encoding="utf-8")


def test_any_other_error_keeps_its_traceback_in_the_log(log):
    done = run_script(log, "def decode(): return 1 / 0\ndecode()")
    text = log.read_text(encoding="utf-8")
    assert done.returncode == 1
    for words in ("Unexpected error", "Traceback", "in decode", "ZeroDivisionError"):
        assert words in text
    assert "ZeroDivisionError" in done.stderr


def test_an_error_over_a_damaged_result_names_the_file(log, tmp_path):
    file = tmp_path / "results" / "metrics.json"
    file.parent.mkdir()
    file.write_text('{"accuracy": 0.9', encoding="utf-8")
    body = f"log = start_log({str(log)!r}, [{str(file)!r}])\nimport json\n"
    done = run_script(log, body + f"json.load(open({str(file)!r}))")
    assert done.returncode == 1
    assert str(file) in done.stderr and "delete it and run" in done.stderr
    assert "Traceback" not in done.stderr


def test_control_characters_of_names_reach_neither_terminal_nor_log(log):
    done = run_script(log, r"log.warning('cannot read %s', 'a\x1b[31m\rb\u202e.png')")
    assert done.stderr == "cannot read a\\x1b[31m\\rb\\u202e.png\n"
    assert "\x1b" not in log.read_text(encoding="utf-8")
    done = run_script(log, r"raise InputError('the file \x9b2J is bad')")
    assert done.stderr == "Error: the file \\x9b2J is bad\n"


def test_an_interruption_is_no_traceback(log):
    done = run_script(log, "raise KeyboardInterrupt")
    assert done.returncode != 0
    assert done.stderr == "Interrupted.\n"
    assert "Traceback" not in log.read_text(encoding="utf-8")


def test_the_terminal_shows_warnings_and_the_log_shows_all(log):
    done = run_script(log, "log.info('Read 5 images.')\nlog.warning('2 images left out.')")
    assert done.returncode == 0
    assert done.stderr == "2 images left out.\n"
    text = log.read_text(encoding="utf-8")
    assert "INFO Read 5 images." in text
    assert "WARNING 2 images left out." in text


def test_warnings_of_libraries_go_to_the_log_and_not_to_the_terminal(log):
    done = run_script(log, "warnings.warn('this will change in version 3')")
    assert done.stderr == ""
    assert "this will change in version 3" in log.read_text(encoding="utf-8")


def test_a_log_tells_the_last_attempt_only(log):
    run_script(log, "log.info('first')")
    run_script(log, "log.info('second')")
    assert "first" not in log.read_text(encoding="utf-8")


def test_names_in_any_script_can_be_logged(log):
    run_script(log, "raise InputError('Klasse 肺炎 fehlt: Größe 0.')")
    assert "Klasse 肺炎 fehlt: Größe 0." in log.read_text(encoding="utf-8")


def test_starting_twice_writes_each_message_once(log):
    done = run_script(log, f"log = start_log({str(log)!r})\nlog.warning('once')")
    assert done.stderr == "once\n"
    assert log.read_text(encoding="utf-8").count("once") == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("import errno; raise OSError(errno.ENOSPC, 'No space left', 'r/m.bin')", "disk is full"),
        ("import errno; raise OSError(errno.EROFS, 'Read-only', 'r/m.bin')", "read-only"),
        # As safetensors and pyarrow pass on what the system said.
        ("raise RuntimeError('I/O error: No space left on device (os error 28)')", "disk is full"),
        ("raise MemoryError", "Memory ran out"),
        (
            "import torch; raise torch.AcceleratorError('CUDA error: lost\\nCompile with')",
            "The GPU failed (CUDA error: lost): look",
        ),
    ],
)
def test_a_fault_of_the_machine_is_one_sentence_with_a_way_out(log, body, words):
    done = run_script(log, body)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr + log.read_text(encoding="utf-8")
    if "r/m.bin" in body:
        assert "'r/m.bin'" in done.stderr
