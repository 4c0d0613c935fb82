"""Inputs are counted by kind, and the counts printed at the end.

`--every-input` tries all of them (`make test-faults`); without it the slow kinds are thinned out.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TRIED = pytest.StashKey[Counter]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--every-input", action="store_true", help="fuzz tests: all inputs")


@pytest.fixture
def every(request: pytest.FixtureRequest) -> int:
    """Of the kinds that take long, each `every`-th input is tried."""
    return 1 if request.config.getoption("--every-input") else 5


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TRIED] = Counter()


@pytest.fixture
def tried(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Function that counts one input of a kind."""
    counts = request.config.stash[TRIED]

    def count(kind: str, n: int = 1) -> None:
        counts[kind] += n

    return count


@pytest.fixture
def total(request: pytest.FixtureRequest) -> int:
    """Inputs counted so far."""
    return request.config.stash[TRIED].total()


@pytest.fixture(autouse=True)
def nothing_is_written_elsewhere(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """A working directory that must be as empty afterwards as it was."""
    folder: Path = tmp_path_factory.mktemp("here")
    monkeypatch.chdir(folder)
    yield
    assert list(folder.iterdir()) == []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The test of the count comes when all others have counted."""
    items.sort(key=lambda item: item.name == "test_at_least_2000_inputs_were_tried")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Of several processes (`-n`), one has counted; it tells the one that prints."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["tried"] = dict(session.config.stash[TRIED])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node) -> None:
    node.config.stash[TRIED].update(node.workeroutput.get("tried", {}))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    counts = config.stash[TRIED]
    if counts:
        terminalreporter.section("inputs tried")
        for kind, n in sorted(counts.items()):
            terminalreporter.write_line(f"{n:6d}  {kind}")
        terminalreporter.write_line(f"{counts.total():6d}  in all")
