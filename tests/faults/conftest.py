"""What the tests saw is printed at the end, also where several processes ran them (`-n`)."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    shown = [
        text
        for report in terminalreporter.stats.get("passed", [])
        for name, text in report.user_properties
        if name == "shown"
    ]
    if shown:
        terminalreporter.section("faults survived")
        for line in sorted(shown):
            terminalreporter.write_line(line)
