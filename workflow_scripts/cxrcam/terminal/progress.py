"""The progress of a run: a line a job, what is left, warnings and errors in full.

Snakemake's main process hands its events (`LogEvent`) to the handler. Without a terminal (a pipe, a
cluster's log) the same lines are written, without a bar and without control characters.
"""

import copy
import logging
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from statistics import fmean, median
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import OutputSettingsLoggerInterface
from tqdm import tqdm

# How Snakemake names the handler that this one stands in for. With `--logger` there is none.
USUAL_HANDLER = "DefaultStreamHandler"
# What Snakemake says in each run, as text and not as an event. Worded anew, it would be shown.
CHATTER = (
    "Assuming unrestricted shared filesystem usage",
    "Building DAG of jobs",
    "Using shell:",
    "Conda environments: ignored",
    "Singularity containers: ignored",
    "Select jobs to execute",
)
# Events without a line: versions and folders, cores, jobs chosen. `.snakemake/log` has them.
UNSHOWN = (LogEvent.WORKFLOW_STARTED, LogEvent.RESOURCES_INFO, LogEvent.JOB_STARTED)
# If more of the jobs are of rules of which none has ended, the estimate is a lower bound.
MANY = 0.5


def in_words(seconds: float) -> str:
    """A duration for a person: ``40 s``, ``4 min``, ``2 h 5 min``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def time_left(
    to_do: Mapping[str, int],
    took: Mapping[str, Sequence[float]],
    running: Collection[tuple[str, float]],
    elapsed: float,
) -> str:
    """How long the jobs that have not ended will take, in words; empty before any has ended.

    Parameters
    ----------
    to_do : mapping of str to int
        Number of jobs of each rule that have not ended, those that run included.
    took : mapping of str to sequence of float
        Seconds that each ended job of a rule took.
    running : collection of (str, float)
        Rule of each job that runs, and for how many seconds it has.
    elapsed : float
        Seconds since the first job began; as much work is done side by side later as until now.

    Returns
    -------
    str
        ``about 4 min left``, or ``at least 4 min left`` where too little is known.
    """
    ended = [seconds for times in took.values() for seconds in times]
    if not ended or not elapsed:
        return ""
    known = {rule: fmean(times) for rule, times in took.items()}
    # For a rule that has not run: the median, so that a long training does not stand for a table.
    typical = median(known.values())
    usual = {rule: known.get(rule, typical) for rule in to_do}
    for rule, seconds in running:
        if rule in usual and rule not in took:  # the first of its kind: it takes that long at least
            usual[rule] = max(usual[rule], seconds)
    work = sum(n * usual[rule] for rule, n in to_do.items())
    work -= sum(min(seconds, usual[rule]) for rule, seconds in running if rule in usual)
    side_by_side = (sum(ended) + sum(seconds for _, seconds in running)) / elapsed
    unknown = sum(n for rule, n in to_do.items() if rule not in took)
    bound = "at least" if unknown > MANY * sum(to_do.values()) else "about"
    return f"{bound} {in_words(work / side_by_side)} left"


class Terminal(LogHandlerBase):
    """Shows a run in the terminal, in place of Snakemake's own handler.

    Parameters
    ----------
    settings : OutputSettingsLoggerInterface
        Snakemake's settings of what it says.
    usual : ColorizingTextHandler
        Snakemake's own handler: what it leaves out (``--quiet``), how it words warnings and errors,
        and its colours hold here too.
    """

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def __init__(self, settings: OutputSettingsLoggerInterface, usual: logging.Handler) -> None:
        super().__init__(settings, None)
        self.usual, self.filters = usual, usual.filters
        self.setFormatter(usual.formatter)
        self.to_do: dict[str, int] = {}
        self.took: dict[str, list[float]] = {}
        self.running: dict[int, tuple[str, float]] = {}  # by number of the job: rule, when it began
        self.messages: dict[int, str] = {}  # by number of the job
        self.began = time.monotonic()
        self.done, self.total = 0, 0
        self.bar: tqdm[Any] | None = None
        self.ended = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record, or take note of it."""
        try:
            self._take(record)
        except BrokenPipeError:  # `| head`
            raise
        except Exception:  # as each handler does: no fault of a view ends a run
            self.handleError(record)

    def _take(self, record: logging.LogRecord) -> None:
        event, given = getattr(record, "event", None), record.__dict__
        if event == LogEvent.RUN_INFO:
            self._start(given["stats"])
        elif event == LogEvent.JOB_INFO:
            self.running[given["jobid"]] = (given["rule_name"], time.monotonic())
            self.messages[given["jobid"]] = given["rule_msg"] or given["rule_name"]
            self._say(self.messages[given["jobid"]], numbered=True)
        elif event == LogEvent.JOB_FINISHED:
            self._end_job(given["job_id"])
        elif event == LogEvent.PROGRESS:
            self._count(given["done"], given["total"])
        elif event in (LogEvent.JOB_ERROR, LogEvent.GROUP_ERROR):
            for job in given.get("job_error_info") or [given]:
                self.running.pop(job["jobid"], None)
            self._say(self._decorated(self._shortened(record)))
        elif event not in UNSHOWN and not self._is_chatter(record):
            self._say(self._decorated(record))

    def _is_chatter(self, record: logging.LogRecord) -> bool:
        """Whether a text is no news. After the last job, what was found stands at the end."""
        if record.levelno > logging.INFO:
            return False
        return record.getMessage().startswith(CHATTER) or 0 < self.total == self.done

    def _shortened(self, record: logging.LogRecord) -> logging.LogRecord:
        """A failure with its message and log, without its files, which can be thousands."""
        shorter = copy.copy(record)
        message = self.messages.get(record.__dict__.get("jobid", -1))
        shorter.__dict__ |= {"input": [], "output": [], "rule_msg": message}
        return shorter

    def _decorated(self, record: logging.LogRecord) -> str:
        """Snakemake's own words, in its colours where it has some."""
        text = self.format(record)
        decorate = getattr(self.usual, "decorate", None)
        return str(decorate(record, text)) if decorate and text else text

    def _start(self, jobs: Mapping[str, int]) -> None:
        """Begin the bar, where there is a terminal."""
        self.to_do = {rule: n for rule, n in jobs.items() if rule != "total"}
        self.total, self.began = jobs["total"], time.monotonic()
        self._say(f"{self.total} job{'s' * (self.total != 1)} to do.")
        if not getattr(self.usual, "can_color_tty", lambda: False)():
            return
        self.bar = tqdm(
            total=self.total,
            file=self.usual.stream,  # type: ignore[attr-defined]
            bar_format="{n_fmt} of {total_fmt} done |{bar:20}| {elapsed} so far{desc}",
            dynamic_ncols=True,
            leave=False,
        )
        threading.Thread(target=self._keep_drawing, args=(self.bar,), daemon=True).start()

    def _keep_drawing(self, bar: "tqdm[Any]") -> None:
        """Draw the bar each second: a job's line has wiped it away, or time has passed."""
        while not self.ended.wait(1):
            self.acquire()
            try:
                left = self._left()
                bar.set_description_str(f"{', ' * bool(left)}{left}", refresh=True)
            finally:
                self.release()

    def _left(self) -> str:
        """How long the rest will take, as far as can be told by now."""
        now = time.monotonic()
        running = [(rule, now - began) for rule, began in self.running.values()]
        return time_left(self.to_do, self.took, running, now - self.began)

    def _end_job(self, job: int) -> None:
        rule, began = self.running.pop(job, ("", 0.0))
        if rule in self.to_do:
            self.to_do[rule] -= 1
            self.took.setdefault(rule, []).append(time.monotonic() - began)

    def _count(self, done: int, total: int) -> None:
        self.done, self.total = done, total
        if self.bar is not None:
            self.bar.n, self.bar.total = done, total
        if done == total:
            self._close_bar()
            self._say(f"All {total} jobs done in {in_words(time.monotonic() - self.began)}.")

    def _say(self, text: str, *, numbered: bool = False) -> None:
        """Write lines above the bar; without one, a job's line tells how far the run is."""
        if numbered and self.bar is None:
            left = self._left()
            text = f"[{self.done} of {self.total} done{', ' * bool(left)}{left}] {text}"
        if text and text != "None":
            tqdm.write(text, file=self.usual.stream)  # type: ignore[attr-defined]
            self.usual.flush()

    def _close_bar(self) -> None:
        self.ended.set()
        if self.bar is not None:
            self.bar.close()

    def close(self) -> None:
        """Take the bar away."""
        self._close_bar()
        super().close()


def show_run(logger: logging.Logger, settings: OutputSettingsLoggerInterface) -> None:
    """Show this run in the terminal, in place of Snakemake's own handler.

    Nothing changes where a user asked for more (``--verbose``), for another view (``--logger``), or
    only plans (``--dry-run``).
    """
    usual = next((handler for handler in logger.handlers if handler.name == USUAL_HANDLER), None)
    if usual is None or settings.dryrun or settings.verbose or settings.debug_dag:
        return
    logger.removeHandler(usual)
    logger.addHandler(Terminal(settings, usual))
