"""What a run took and with what it was made: when, where, versions, commit, seconds and memory."""

import csv
import os
import platform
import re
import shlex
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from workflow_scripts.cxrcam.machine import has_gpu
from workflow_scripts.cxrcam.report.cells import Cell, Table, number_cell

PROJECT: Final = Path(__file__).parents[3]
"""Where the code lies."""

LIBRARIES: Final = (
    *("snakemake", "torch", "torchvision", "numpy", "scipy", "scikit-learn", "pandas"),
    *("pyarrow", "pillow", "pydicom", "tifffile", "imagecodecs", "simplejpeg"),
    *("matplotlib", "safetensors", "grad-cam"),
)

# Folders in which the name of a file tells the rule.
_FOLDERS_OF_RULES: Final = frozenset({"runs", "cam", "audit", "tables", "index", "paper"})


COMMAND: Final = "CXRCAM_COMMAND"
"""Environment variable that hands the command line on to the jobs, see `command_in_words`."""

_SECRET: Final = re.compile(r"(--\S*(?:secret|password|token|key)\S*?[= ])\S+", re.IGNORECASE)


def command_in_words(arguments: Sequence[str]) -> str:
    """The command that started a run, for who reads its report: without what is secret.

    Parameters
    ----------
    arguments : sequence of str
        What stood behind ``snakemake``.
    """
    return _SECRET.sub(r"\1...", shlex.join(["snakemake", *arguments]))


def _processor() -> str:
    """What the processor calls itself; its kind where it does not say."""
    facts = Path("/proc/cpuinfo")
    text = facts.read_text(encoding="utf-8") if facts.exists() else ""
    name = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return name[1] if name else platform.machine()


def machine_in_words() -> str:
    """System, processor, cores, memory, and whether there is a GPU; not the machine's name."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    gpu = "with GPU" if has_gpu() else "no GPU"
    return f"{platform.system()}, {_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {gpu}"


def making(command: str | None) -> list[tuple[str, str]]:
    """When, where and by which command a report is written, at this moment."""
    return [
        ("Written", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"),
        ("Machine", machine_in_words()),
        ("Command", command or "not known"),
        ("Commit of the code", commit_of(PROJECT) or "not known (no repository)"),
    ]


def library_versions() -> list[tuple[str, str]]:
    """Versions of Python and of the libraries that decide results, by name."""
    found = [("Python", platform.python_version())]
    for library in LIBRARIES:
        try:
            found.append((library, version(library)))
        except PackageNotFoundError:
            found.append((library, "not installed"))
    return found


def versions_table() -> Table:
    """Versions of Python and of the libraries that decide results."""
    found = library_versions()
    return Table(
        "Versions that the report was made with",
        ("Library", "Version"),
        [[Cell(name), Cell(text)] for name, text in found],
    )


def commit_of(folder: Path) -> str | None:
    """Commit of the code, with a word where files differ from it; None outside a repository."""
    git = shutil.which("git")
    if git is None or not (folder / ".git").exists():
        return None

    def ask(*arguments: str) -> str | None:
        done = subprocess.run(  # noqa: S603  # arguments are our own
            [git, "-C", str(folder), *arguments], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else None

    commit = ask("rev-parse", "HEAD")
    if commit is None:
        return None
    changed = ask("status", "--porcelain", "--untracked-files=no")
    return f"{commit}, with changes that are not committed" if changed else commit


def jobs_table(benchmarks: Path) -> Table:
    """Seconds and memory of the jobs, added up over those that make files of one name.

    Parameters
    ----------
    benchmarks : Path
        results/benchmarks/<dataset>, which holds one TSV file a job; may be absent.
    """
    seconds: dict[str, list[float]] = defaultdict(list)
    memory: dict[str, list[float]] = defaultdict(list)
    for file in sorted(benchmarks.rglob("*.tsv")):
        parts = file.relative_to(benchmarks).with_suffix("").parts
        # runs/two_class/holdout/fold-1/seed-0/train is a job of "runs: train"; of the other
        # folders the file names the shard, the fold or the design.
        name = f"{parts[0]}: {parts[-1]}" if parts[0] in _FOLDERS_OF_RULES else parts[0]
        with file.open(newline="", encoding="utf-8") as handle:
            for row in csv.DictReader(handle, delimiter="\t"):
                seconds[name].append(_number(row.get("s")))
                memory[name].append(_number(row.get("max_rss")))
    rows = [
        [
            Cell(name),
            Cell(str(len(seconds[name])), float(len(seconds[name]))),
            number_cell(sum(seconds[name]), 1),
            number_cell(max(seconds[name]), 1),
            number_cell(max(memory[name]), 0),
        ]
        for name in sorted(seconds, key=lambda name: -sum(seconds[name]))
    ]
    columns = ("Jobs", "Number", "Seconds, all", "Seconds, longest", "Memory, most (MiB)")
    return Table("Seconds and memory of the jobs", columns, rows)


def _number(text: str | None) -> float:
    """A number of a benchmark file; 0 for what Snakemake could not measure."""
    try:
        return float(text or 0)
    except ValueError:
        return 0.0
