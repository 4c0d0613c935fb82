"""The page of new images that were asked for several findings: images by findings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from workflow_scripts.cxrcam.new_images.answers import ABSTAIN
from workflow_scripts.cxrcam.report.answers.page import believed, quarantine_table
from workflow_scripts.cxrcam.report.cells import NONE, Cell, Link, Table
from workflow_scripts.cxrcam.report.templating import page_environment, trained_notice


@dataclass(frozen=True)
class FindingsPage:
    """All that the page shows.

    Attributes
    ----------
    dataset, asked : str
        Data set of the networks, and what `predict_images` named.
    verdict : mapping
        audit/verdict.json.
    table : DataFrame
        `image`, `copy_note`, and of each finding `probability_…`, `answer_…`, `reason_…`.
    quarantine : DataFrame
        `image` and `reason` of files that could not be read.
    pages : mapping of str to Link
        Page of each finding, with its maps.
    files : sequence of Link
    verdict_link : Link
    is_drawn : bool
        Whether the networks were trained on phantoms only.
    """

    dataset: str
    asked: str
    verdict: Mapping[str, Any]
    table: pd.DataFrame
    quarantine: pd.DataFrame
    pages: Mapping[str, Link]
    files: Sequence[Link]
    verdict_link: Link
    is_drawn: bool = False


def findings_answers(page: FindingsPage) -> Table:
    """One row an image: the probability of each finding, or that the networks abstain."""
    rows = []
    for row in page.table.to_dict("records"):
        first = next(iter(page.pages))
        # Without a probability the image itself is at fault, whatever it is asked for.
        fault = row[f"reason_{first}"] if pd.isna(row[f"probability_{first}"]) else ""
        remarks = "; ".join(filter(None, (fault, row["copy_note"])))
        cells = [_cell(row, name) for name in page.pages]
        rows.append([Cell(row["image"]), *cells, Cell(remarks or NONE)])
    return Table("What the networks say of each image", ["Image", *page.pages, "Remarks"], rows)


def _cell(row: Mapping[Any, Any], name: str) -> Cell:
    probability = row[f"probability_{name}"]
    if pd.isna(probability):
        return Cell("abstains", -1.0)
    unsure = " (abstains)" if row[f"answer_{name}"] == ABSTAIN else ""
    return Cell(f"{probability:.3f}{unsure}", float(probability))


def render_findings(page: FindingsPage) -> str:
    """The page as HTML; links are relative to it, and nothing is loaded from a network."""
    return (
        page_environment()
        .get_template("findings.html")
        .render(
            page=page,
            table=findings_answers(page),
            quarantine=quarantine_table(page.quarantine),
            believed=believed(page.verdict),
            of_findings={row["finding"]: row for row in page.verdict["findings"]},
            notice=trained_notice(page.is_drawn),
        )
    )
