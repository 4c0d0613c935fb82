"""What is stale after a change: cases, planned in copies of a finished project."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.workflow.small_project import Project

Plans = dict[str, "Future[set[str]]"]


@dataclass(frozen=True)
class Case:
    """One change and the jobs that must follow."""

    claim: str
    change: Callable[[Project], None]
    expected: set[str]
    arguments: tuple[str, ...] = ()


@contextmanager
def planned(
    finished: Project, cases: Sequence[Case], folder: Path, jobs_of: Callable[..., set[str]]
) -> Iterator[Plans]:
    """Plans of all cases by claim: two dry runs at a time, as each is one process.

    `jobs_of` tells the jobs that would run in a project, given Snakemake's further arguments.
    """

    def plan(number: int, case: Case) -> set[str]:
        project = finished.copy(folder / str(number))
        case.change(project)
        try:
            return jobs_of(project, *case.arguments)
        finally:
            shutil.rmtree(project.folder)

    with ThreadPoolExecutor(2) as pool:
        yield {case.claim: pool.submit(plan, number, case) for number, case in enumerate(cases)}
        pool.shutdown(cancel_futures=True)


def assert_plan(case: Case, plans: Plans) -> None:
    """Exactly the jobs that the case expects would run."""
    jobs = plans[case.claim].result()
    needless, missing = jobs - case.expected, case.expected - jobs
    assert not needless, f"would run, but is not stale: {needless}"
    assert not missing, f"is stale, but would not run: {missing}"
