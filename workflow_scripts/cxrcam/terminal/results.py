"""What a finished run has found: the lines that it ends with in the terminal.

For the rules: only the standard library and what they have imported already.
"""

import csv
import json
import os
import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.cxrcam.configuration.resolution import read_yaml
from workflow_scripts.cxrcam.networks.weights.starting_weights import starts_in_words

MOST_FILES = 8
"""If a target makes more files, only its pages are named."""


def read_rows(table: Path) -> list[dict[str, str]]:
    """Rows of a CSV table, each by the names of its columns."""
    with table.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def accuracy_in_words(table: Path, findings: Collection[str]) -> list[str]:
    """Accuracy of each design.

    Parameters
    ----------
    table : Path
        tables/summary.csv.
    findings : collection of str
        Tasks that are one finding of a network with several, which accuracy says little of: left
        out.
    """
    rows = [row for row in read_rows(table) if row["task"] not in findings]
    if not rows:
        return []
    lines = [f"\nTest accuracy, all runs of a design together (95 % interval), from {table}:"]
    for row in rows:
        accuracy, low, high = (float(row[f"pooled_accuracy{end}"]) for end in ("", "_low", "_high"))
        lines.append(
            f"  {row['task']:<14} {row['scheme']:<18} {accuracy:.3f} ({low:.3f} to {high:.3f}), "
            f"n = {row['pooled_n']} in {row['n_runs']} run{'s' * (row['n_runs'] != '1')}"
        )
    return lines


def findings_in_words(verdict: Mapping[str, Any]) -> list[str]:
    """AUROC of each finding in audit/verdict.json; nothing where networks tell classes apart."""
    headline, lines = verdict["headline"], []
    for row in verdict.get("findings") or []:
        interval = ""
        if row["auroc_low"] is not None:
            interval = f"({row['auroc_low']:.2f} to {row['auroc_high']:.2f})"
        lines.append(
            f"  {row['finding']:<24} {row['auroc']:.2f} {interval:<14}  floor "
            f"{row['floor_auroc']:.2f}  {row['n_present']} of {row['n']}  {row['answer']}"
        )
    if not lines:
        return []
    return [
        f"\nAUROC (95 % interval) of {headline['task']}, {headline['scheme']}, and its best floor:",
        *lines,
    ]


def verdict_in_words(file: Path) -> list[str]:
    """The audit's answer and its three points, and what networks started from.

    Parameters
    ----------
    file : Path
        audit/verdict.json. One of an earlier version, which said less, may still lie there.
    """
    verdict = json.loads(file.read_text(encoding="utf-8"))
    meaning = verdict.get("meaning", verdict["sentence"])
    points = {"against": "Against it", "unknown": "Unknown", "next": "What to do next"}
    return [
        *findings_in_words(verdict),
        f"\nCan it be believed? {verdict['answer']} {meaning}",
        *(
            f"  {name}: {' '.join(verdict[key])}"
            for key, name in points.items()
            if verdict.get(key)
        ),
        f"Each check: {file.with_suffix('.md')}",
        *(f"\n{sentence}" for sentence in starts_in_words(verdict.get("starts", {}))),
    ]


def mended_command(files: Sequence[Path], given: Mapping[str, Any], cores: int | str) -> str:
    """Command of the second study.

    Parameters
    ----------
    files : sequence of Path
        The configuration files of the first study, then the overlay with what is mended. Those in
        this folder are named from here.
    given : mapping
        What ``--config`` gave the first study. What the overlay sets itself is left out, and so
        are new images.
    cores : int or str
        As given to ``--cores``.
    """
    here = Path.cwd()
    names = [str(file.relative_to(here) if file.is_relative_to(here) else file) for file in files]
    kept = [
        f"{key}={json.dumps(value)}"
        for key, value in given.items()
        if key not in ("dataset", "external", "predict_images")
    ]
    words = ["--configfile", *names, *(["--config", *kept] if kept else [])]
    return f"snakemake --cores {cores} {shlex.join(words)}"


def mend_in_words(verdict: Path, overlay: Path, command: str) -> list[str]:
    """How to run the second study, where its overlay fits the verdict; else how to get one.

    Parameters
    ----------
    verdict : Path
        audit/verdict.json.
    overlay : Path
        audit/mended.yaml, which may be absent, or older than the verdict.
    command : str
        From `mended_command`.
    """
    if overlay.exists() and overlay.stat().st_mtime >= verdict.stat().st_mtime:
        if read_yaml(overlay):
            return [
                f"\nWhat the tool can mend: {overlay}. The second study, beside this one:",
                f"  {command}",
            ]
        return [f"\nNothing is left that the tool can mend; what you can do: {overlay}"]
    checks = json.loads(verdict.read_text(encoding="utf-8"))["checks"]
    if any(check.get("mend") for check in checks):
        return ["\nThe same command with `-- mend` at its end writes what the tool can mend."]
    return []


def cost_in_words(table: Path) -> list[str]:
    """Numbers of the first study beside those of the second, of each design that both have.

    Parameters
    ----------
    table : Path
        tables/mended.csv, from `verdict.cost.cost_table`.
    """
    lines = [f"\nWhat did it cost? From {table}:"]
    studies: dict[tuple[str, str], set[str]] = {}
    for row in read_rows(table):
        studies.setdefault((row["task"], row["scheme"]), set()).add(row["data_set"])
    rows = [row for row in read_rows(table) if len(studies[row["task"], row["scheme"]]) == 2]
    width = max((len(row["data_set"]) for row in rows), default=0)
    for row in rows:
        accuracy, low, high, floor, external = (
            f"{float(row[column]):.3f}" if row[column] else "-"
            for column in (
                "accuracy",
                "accuracy_low",
                "accuracy_high",
                "best_floor_accuracy",
                "external_accuracy",
            )
        )
        gap = f"{100 * float(row['gap']):+z.0f} points" if row["gap"] else "unknown"
        lines.append(
            f"  {row['data_set']:<{width}}  {row['task']}, {row['scheme']}: accuracy {accuracy} "
            f"({low} to {high}), best floor {row['best_floor']} {floor}, gap {gap}, external "
            f"{external}, {row['failed_checks']} checks failed{'. ' * bool(row['answer'])}"
            f"{row['answer']}"
        )
    return lines


def new_images_in_words(page: Path, table: Path, n_given: int) -> list[str]:
    """How many of the new images have a row in the table of answers, and their page."""
    return [
        f"\n{len(read_rows(table))} of {n_given} new images could be read; what the networks say "
        f"of them (research use only): {page}"
    ]


def made_in_words(target: str, files: Sequence[str]) -> list[str]:
    """Files that a target has made; of many only the pages, which are to be opened first."""
    pages = [file for file in files if file.endswith((".html", ".md"))]
    named = files if len(files) <= MOST_FILES else pages
    lines = [f"\nMade by {target}:", *(f"  {file}" for file in named)]
    if n_others := len(files) - len(named):
        lines.append(f"  {n_others} other files in {os.path.commonpath(files)}")
    if target == "viewer":  # a browser runs no network from a file
        folder = shlex.quote(os.path.commonpath(files))
        lines.append(f"To open it: python -m workflow_scripts.cxrcam.viewer.serve {folder}")
    return lines
