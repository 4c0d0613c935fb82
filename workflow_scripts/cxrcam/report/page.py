"""The report as HTML: everything that comes from data is escaped by Jinja2."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.networks.weights.starting_weights import starts_in_words
from workflow_scripts.cxrcam.report.cells import Link, Table
from workflow_scripts.cxrcam.report.headline import Bar
from workflow_scripts.cxrcam.report.matrix import check_matrix
from workflow_scripts.cxrcam.report.pictures import OUTSIDE_AREA, Gallery, sureness_in_words
from workflow_scripts.cxrcam.report.provenance import jobs_table, versions_table
from workflow_scripts.cxrcam.report.tables import PREVALENCE
from workflow_scripts.cxrcam.report.templating import TEMPLATES, notice, page_environment
from workflow_scripts.cxrcam.verdict.check import IN_WORDS, SYMBOLS

STATIC: Final = ("base.css", "report.css", "report.js")


@dataclass(frozen=True)
class Figure:
    """A picture with its text; `href` is the file, relative to the page."""

    title: str
    alt: str
    href: str


@dataclass(frozen=True)
class Design:
    """The figures of one task and scheme; `confusion` is the matrix in words."""

    task: str
    scheme: str
    numbers: str
    figures: Sequence[Figure]
    confusion: Table
    is_headline: bool


@dataclass(frozen=True)
class Report:
    """All that the page shows; what is None or empty was not made, and the page says so.

    Attributes
    ----------
    dataset : str
    is_drawn : bool
        Whether the images are phantoms.
    verdict : mapping
        audit/verdict.json.
    bars : sequence of Bar
        The headline, the same elsewhere, and its floors.
    runs : Table or None
    overview : Figure or None
        Accuracy of every run at a glance.
    designs : sequence of Design
    gallery : Gallery or None
    gallery_of : str
        The runs that it shows.
    duplicates, map_methods : Figure or None
    duplicates_page : str
        Link to the page of all copies.
    sources : sequence of (str, Table)
        What was found, and the counts.
    subgroups : Figure or None
        The headline's numbers in each group of test images.
    subgroup_tables : sequence of Table
        These numbers, and the largest gaps between groups; empty where no groups are known.
    slices : str
        Groups of images that nobody named, in a sentence.
    slices_page : str or None
        Link to their page.
    columns : Table or None
        Class by what else is known of the images.
    splits, leaks, external : Table or None
    n_suspects : int
    suspects_page : str
        Images that stand out, and the link to their page.
    counted_labels : sequence of (str, int, int)
        Task, labels that are counted as wrong, and of how many.
    labels_page : str
        Link to the page of suspect labels.
    n_excluded, n_relabelled : int
        Images that a reader left out, and gave another label.
    n_quarantined : int
    evidence : mapping of str to str
        Link to each file that a check names, where there is one.
    files : sequence of Link
        Further files to open.
    size : str
        Of all files of the report, in words.
    network : str
        The headline's network and what it starts from, in words.
    methods : sequence of str
        Sentences for the methods section of a publication.
    configuration : str or None
        As YAML.
    """

    dataset: str
    is_drawn: bool
    verdict: Mapping[str, Any]
    bars: Sequence[Bar]
    runs: Table | None
    overview: Figure | None
    designs: Sequence[Design]
    gallery: Gallery | None
    gallery_of: str
    duplicates: Figure | None
    duplicates_page: str
    map_methods: Figure | None
    sources: Sequence[tuple[str, Table]]
    subgroups: Figure | None
    subgroup_tables: Sequence[Table]
    slices: str
    slices_page: str | None
    columns: Table | None
    splits: Table | None
    leaks: Table | None
    external: Table | None
    n_suspects: int
    suspects_page: str
    counted_labels: Sequence[tuple[str, int, int]]
    labels_page: str
    n_excluded: int
    n_relabelled: int
    n_quarantined: int
    evidence: Mapping[str, str]
    files: Sequence[Link]
    size: str
    network: str
    methods: Sequence[str]
    configuration: str | None


def gap_check(verdict: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The check that sets the headline against its best floor; None where there is none."""
    headline = verdict["headline"]
    if headline is None:
        return None
    subject = f"{headline['task']}, {headline['scheme']}"
    wanted = ("better than a blind classifier", subject)
    return next((c for c in verdict["checks"] if (c["name"], c["subject"]) == wanted), None)


def render_report(report: Report) -> str:
    """The page.

    Parameters
    ----------
    report : Report

    Returns
    -------
    str
        HTML. Links and pictures are relative to the page, and nothing is loaded from a network.
    """
    starts = report.verdict["starts"]
    # What is as it should be stands in the line of the network.
    usual = all(start["kind"] == "imagenet" for start in starts.values())
    return (
        page_environment()
        .get_template("index.html")
        .render(
            report=report,
            notice=notice(report.is_drawn),
            prevalence=PREVALENCE,
            gap=gap_check(report.verdict),
            starts=[] if usual else starts_in_words(starts),
            sureness=sureness_in_words(),
            outside_area=OUTSIDE_AREA,
            matrix=check_matrix(report.verdict, report.evidence),
            words=IN_WORDS,
            symbols=SYMBOLS,
        )
    )


def render_provenance(
    dataset: str, is_drawn: bool, made: Sequence[tuple[str, str]], benchmarks: Path
) -> str:
    """The page of what differs from one making to the next; `made` as from `provenance.making`."""
    tables = [versions_table(), jobs_table(benchmarks)]
    return (
        page_environment()
        .get_template("provenance.html")
        .render(dataset=dataset, made=made, tables=tables, notice=notice(is_drawn))
    )


def made_script(made: Sequence[tuple[str, str]]) -> str:
    """Script that writes when, where and how the report was made onto its page.

    Apart from the page, which two makings give the same bytes. It fills the element `made`; the
    commit stands on the page of provenance only.
    """
    text = json.dumps(" ".join(f"{name}: {value}." for name, value in made[:3]))
    return f'document.getElementById("made").textContent = {text};\n'


def write_static(folder: Path) -> None:
    """Copy style and script, which do not change, beside the page."""
    for name in STATIC:
        with atomic_path(folder / name) as temporary:
            shutil.copyfile(TEMPLATES / name, temporary)
