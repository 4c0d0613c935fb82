"""The terminal: a line a job, what is left, warnings and errors in full, nothing else."""

import io
import logging
import os
import pty
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.common import LogEvent

from workflow_scripts.cxrcam.terminal import progress

ASKED = {"dryrun": False, "verbose": False, "debug_dag": False}


class Run:
    """A logger as Snakemake sets it up, and what reached the terminal."""

    def __init__(self, stream: io.TextIOBase, quiet: frozenset[Quietness], **asked: bool) -> None:
        self.logger = logging.Logger("run")
        self.stream = stream
        usual = ColorizingTextHandler(stream=stream)
        usual.name = progress.USUAL_HANDLER
        usual.setFormatter(DefaultFormatter(quiet, show_failed_logs=True))
        usual.addFilter(DefaultFilter(quiet, False, False, False, False))
        self.logger.addHandler(usual)
        progress.show_run(self.logger, SimpleNamespace(**ASKED | asked))

    def event(self, event: LogEvent, text: str | None = None, **given: object) -> None:
        self.logger.info(text, extra={"event": event, **given})

    def begin(self, **jobs: int) -> None:
        stats = {**jobs, "total": sum(jobs.values())}
        self.event(LogEvent.RUN_INFO, "Job stats:\njob count\n", stats=stats)

    def job(self, number: int, rule: str, message: str | None = None) -> None:
        self.event(LogEvent.JOB_INFO, jobid=number, rule_name=rule, rule_msg=message, reason="Why")

    def end(self, number: int, done: int, total: int) -> None:
        self.event(LogEvent.JOB_FINISHED, f"Finished jobid: {number}", job_id=number)
        self.event(LogEvent.PROGRESS, done=done, total=total)

    def lines(self) -> list[str]:
        assert isinstance(self.stream, io.StringIO)
        return self.stream.getvalue().splitlines()


@pytest.fixture
def run() -> Run:
    return Run(io.StringIO(), frozenset())


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    watch = SimpleNamespace(now=100.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: watch.now)
    return watch


def test_each_job_is_one_line_that_tells_how_far_the_run_is(run, clock):
    run.begin(cache=2, all=1)
    run.event(LogEvent.JOB_STARTED, "Execute 1 jobs...", jobs=[1])
    for number, begun in ((1, "Decoding 1"), (2, "Decoding 2"), (0, None)):
        run.job(number, "cache" if number else "all", begun)
        clock.now += 30
        run.end(number, number or 3, 3)
    assert run.lines() == [
        "3 jobs to do.",
        "[0 of 3 done] Decoding 1",
        "[1 of 3 done, about 1 min left] Decoding 2",
        "[2 of 3 done, at least 30 s left] all",
        "All 3 jobs done in 2 min.",
    ]


def test_what_snakemake_says_in_each_run_is_left_out(run):
    run.event(LogEvent.WORKFLOW_STARTED, "Workflow has started!", host="here")
    run.event(LogEvent.RESOURCES_INFO, "Provided cores: 2", cores=2)
    for text in ("Building DAG of jobs...", "Using shell: /bin/sh", "Select jobs to execute..."):
        run.logger.info(text)
    assert run.lines() == []
    run.logger.info("Nothing to be done (all requested files are present and up to date).")
    run.logger.info("Job 3 has been submitted with SLURM jobid 7")
    assert [line.split()[0] for line in run.lines()] == ["Nothing", "Job"]


def test_warnings_and_errors_are_shown_in_full_at_any_time(run):
    run.begin(all=1)
    run.job(0, "all")
    run.end(0, 1, 1)
    run.logger.info("Complete log(s): x.log")  # after it come the results
    long = "Select jobs to execute: " + "a long warning " * 40
    run.logger.warning(long)
    run.logger.error("line 1\nline 2")
    assert run.lines()[-4:] == ["All 1 jobs done in 0 s.", long, "line 1", "line 2"]


def test_a_failed_job_names_its_log_and_shows_it_and_not_its_thousand_inputs(run, tmp_path):
    log = tmp_path / "train.log"
    log.write_text("epoch 1\nError: train.epochs is 0: give 1 or more.\n", encoding="utf-8")
    run.begin(train=1)
    run.job(4, "train", "Training two_class/holdout")
    given = {"input": ["shard"] * 1000, "output": ["model"], "log": [str(log)], "aux": {"slurm": 7}}
    run.logger.error(
        None,
        extra={
            **{"event": LogEvent.JOB_ERROR, "jobid": 4, "rule_name": "train", "rule_msg": None},
            **{"conda_env": None, "shellcmd": None, **given},
        },
    )
    text = "\n".join(run.lines())
    assert "Error in rule train:" in text and "slurm: 7" in text and f"log: {log}" in text
    assert "Error: train.epochs is 0: give 1 or more." in text and "epoch 1" in text
    assert "shard" not in text
    assert given["input"], "the log file's handler was to see all of it"


def test_a_quiet_run_stays_quiet():
    quiet = Run(io.StringIO(), frozenset({Quietness.RULES, Quietness.PROGRESS}))
    quiet.begin(all=1)
    quiet.job(0, "all")
    quiet.end(0, 1, 1)
    quiet.logger.warning("But this.")
    assert quiet.lines() == ["But this."]


@pytest.mark.parametrize("asked", ["dryrun", "verbose", "debug_dag"])
def test_a_plan_and_whoever_asks_for_more_get_what_snakemake_says(asked):
    own = Run(io.StringIO(), frozenset(), **{asked: True})
    own.begin(all=1)
    assert own.lines() == ["Job stats:", "job count", ""]


def test_another_logger_of_the_user_stays_alone():
    logger = logging.Logger("run")
    logger.addHandler(other := logging.NullHandler())
    progress.show_run(logger, SimpleNamespace(**ASKED))
    assert logger.handlers == [other]


def test_a_fault_of_the_view_ends_no_run(run, capsys):
    run.event(LogEvent.RUN_INFO)  # without its numbers
    assert "KeyError" in capsys.readouterr().err


# --- in a terminal --------------------------------------------------------------------------------


@pytest.fixture
def in_terminal(monkeypatch) -> Iterator[tuple[Run, int]]:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("tqdm.std._screen_shape_wrapper", lambda: lambda _: (100, 40))
    primary, secondary = pty.openpty()
    with open(secondary, "w", encoding="utf-8") as stream:  # noqa: PTH123
        yield Run(stream, frozenset()), primary
    os.close(primary)


def written(terminal_end: int) -> str:
    """All that was written, after the other end was closed."""
    text = b""
    try:
        while part := os.read(terminal_end, 10_000):
            text += part
    except OSError:  # how Linux ends it
        pass
    return text.decode()


def test_a_terminal_has_a_bar_below_the_lines(in_terminal):
    run, primary = in_terminal
    run.begin(cache=2)
    run.job(1, "cache", "Decoding 1")
    run.end(1, 1, 2)
    run.logger.warning("Look out.")
    (handler,) = run.logger.handlers
    handler.close()
    run.stream.close()
    text = written(primary)
    assert "\r0 of 2 done |" in text and "\r1 of 2 done |█" in text
    assert "\rDecoding 1\r\n" in text, "a line has more than the job's message"
    assert "\r\x1b[33mLook out.\x1b[0m\r\n" in text, "not in Snakemake's colour of warnings"
    assert text.endswith("\r") and text.split("\r")[-2].isspace(), "the bar was left behind"


# --- time left ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min"), (3599, "1 h 0 min"), (7500, "2 h 5 min")],
)
def test_durations_read_as_a_person_says_them(seconds, words):
    assert progress.in_words(seconds) == words


def test_nothing_is_said_of_the_time_left_before_a_job_has_ended():
    assert progress.time_left({"train": 3}, {}, [("train", 5.0)], 5.0) == ""


def test_the_time_left_counts_each_rule_by_its_own_jobs_and_what_has_run_of_them():
    took = {"cache": [1.0, 1.0], "train": [100.0]}
    # 10 caches and 2 trainings, one of them half done: 160 s of work, of which one second a second
    # was done until now.
    left = progress.time_left({"cache": 10, "train": 2}, took, [("train", 50.0)], 152.0)
    assert left == "about 3 min left"
    # Twice as much side by side.
    left = progress.time_left({"cache": 10, "train": 2}, took, [("train", 50.0)], 76.0)
    assert left == "about 1 min left"


def test_jobs_of_which_nothing_is_known_make_it_a_lower_bound():
    assert progress.time_left({"train": 6, "cache": 2}, {"cache": [1.0]}, [], 1.0).startswith(
        "at least"
    )


def test_a_long_training_does_not_stand_for_jobs_of_other_kinds():
    took = {"splits": [1.0], "floors": [3.0], "train": [3600.0]}
    left = progress.time_left({"evaluate": 20, "train": 1}, took, [], 3604.0)
    assert left == "at least 1 h 1 min left"


def test_the_first_job_of_its_kind_takes_as_long_as_it_has_run():
    # Two trainings run side by side since 10 min, three wait: at least 30 min of work for two.
    running = [("train", 600.0), ("train", 600.0)]
    left = progress.time_left({"train": 5}, {"cache": [1.0]}, running, 600.5)
    assert left == "at least 15 min left"


def test_the_module_is_read_by_the_main_process_only():
    rules = Path(__file__).parents[2] / "rules"
    (line,) = (
        line
        for file in rules.glob("*.smk")
        for line in file.read_text(encoding="utf-8").splitlines()
        if "terminal.progress" in line
    )
    assert line.startswith("    "), "every job of a cluster would import it"
