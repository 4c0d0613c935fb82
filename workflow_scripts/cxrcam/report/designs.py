"""What the report shows of each design and of each check: numbers in words, figures and links."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import pandas as pd

from workflow_scripts.cxrcam.report.cells import Link, interval_cell
from workflow_scripts.cxrcam.report.enclosed import enclose
from workflow_scripts.cxrcam.report.page import Design, Figure
from workflow_scripts.cxrcam.report.tables import confusion_table

FIGURE_WORDS: Final = {
    "history": "Training history",
    "confusion": "Confusion matrix",
    "roc": "Receiver operating characteristic",
    "precision_recall": "Precision and recall",
    "reliability": "Reliability: how often the network is right when it says so",
}
"""What each kind of figure of a design shows."""

# Title and text for who does not see the picture, by the stem of its file.
_PLAIN: Final = {
    "accuracy": (
        "Accuracy of every run with its interval, and its floors",
        "Accuracy of every run beside its floors; the numbers stand in the table of runs",
    ),
    "subgroups": (
        "The network in each group of test images, with 95 % intervals",
        "A dot with its interval for each group; the numbers stand in the table below",
    ),
    "map_methods": (
        "Other ways to make a map",
        "The same X-rays with maps by several methods, side by side",
    ),
}
_CAPTIONED: Final = {
    "duplicates": "Clusters of near-duplicates, those that do most harm first",
}


def designs_of(
    summary: pd.DataFrame,
    metrics: Sequence[Mapping[str, Any]],
    runs: Sequence[Mapping[str, Any]],
    shown: Mapping[str, Any],
    folder: Path,
    reweighted: Iterable[tuple[str, str, str]] = (),
) -> list[Design]:
    """Each design of summary.csv.

    Parameters
    ----------
    summary : DataFrame
    metrics : sequence of mappings
        metrics.json of every run.
    runs : sequence of mappings
        `task` and `scheme` of each of them.
    shown : mapping
        `task` and `scheme` of the headline.
    folder : Path
        That of the page.
    reweighted : iterable of (str, str, str)
        Task, scheme and what was weighted of designs whose probabilities are those at other
        shares of the classes.
    """
    designs = []
    weighted = {(task, scheme): what for task, scheme, what in reweighted}
    for row in summary.to_dict("records"):
        task, scheme, numbers = row["task"], row["scheme"], _numbers_of(row)
        if what := weighted.get((task, scheme)):
            numbers += f"; trained with {what}: probabilities at other shares than the data's"
        figures = [
            Figure(
                words,
                f"{words} of {task}, {scheme}: {numbers}",
                enclose(folder.parent / f"figures/{kind}-{task}-{scheme}.svg", folder),
            )
            for kind, words in FIGURE_WORDS.items()
        ]
        is_headline = (task, scheme) == (shown["task"], shown["scheme"])
        own = [
            of_run
            for of_run, run in zip(metrics, runs, strict=True)
            if (run["task"], run["scheme"]) == (task, scheme)
        ]
        matrix = confusion_table(own, f"{task}, {scheme}")
        designs.append(Design(task, scheme, numbers, figures, matrix, is_headline))
    return designs


def _numbers_of(summary: Mapping[Any, Any]) -> str:
    """What a design reached, in a line."""
    accuracy = interval_cell(
        *(summary[f"pooled_accuracy{end}"] for end in ("", "_low", "_high"))
    ).text
    runs = f"{summary['n_runs']} run{'' if summary['n_runs'] == 1 else 's'}"
    several = summary["n_runs"] > 1
    text = f"accuracy {accuracy}, n = {summary['pooled_n']:,} in {runs}"
    auroc = summary.get("macro_auroc_mean")
    if pd.isna(auroc):
        return text
    return f"{text}; AUROC {auroc:.3f}{', mean of the runs' if several else ''}"


def map_links(gallery: str, folder: Path) -> list[Link]:
    """Links to the pictures of the maps of a run, in its folder, called as the class."""
    files = sorted(Path(gallery).glob("*.png"))
    return [Link(unquote(file.stem), enclose(file, folder)) for file in files]


def plain(file: str | None, folder: Path) -> Figure | None:
    """A picture that the page itself has words for; None, or empty, where it was not made."""
    return Figure(*_PLAIN[Path(file).stem], enclose(file, folder)) if file else None


def captioned(file: str, caption_file: str, folder: Path) -> Figure:
    """A picture whose caption stands in a file of its own, and on the page below it."""
    caption = Path(caption_file).read_text(encoding="utf-8").strip()
    title = _CAPTIONED[Path(file).stem]
    return Figure(caption, f"{title}, as the caption says", enclose(file, folder))


def evidence_links(checks: Iterable[Mapping[str, Any]], folder: Path) -> dict[str, str]:
    """Link to each file that a check names, relative to the data set's folder.

    Patterns that stand for several files are no links, nor is what this run did not need.
    """
    files = {check["file"]: folder.parent / check["file"] for check in checks}
    return {name: enclose(file, folder) for name, file in files.items() if file.is_file()}
