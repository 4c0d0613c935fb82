"""The page of copies: every cluster, the riskiest first, each pair with one laid over the other."""

import csv
import io
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from PIL import Image

from workflow_scripts.cxrcam.arrays import UInt8Array
from workflow_scripts.cxrcam.duplicates.risk import has_two_labels
from workflow_scripts.cxrcam.report.templating import Embedded, embedded, notice, page_environment

#: Pairs that are drawn. Every pair stands in audit/duplicates.csv.
MOST_PAIRS: Final = 200
#: Of one cluster, where there are more pairs than that.
MOST_OF_CLUSTER: Final = 4

DECISION: Final = ("image_id_a", "data_set_b", "image_id_b")
"""Columns of a table of `not_copies`."""

_GAP: Final = 4


@dataclass(frozen=True)
class _Pair:
    """What the page shows of a pair; `picture` is a data URI, `named` its row of `not_copies`."""

    row: dict[Hashable, Any]
    two_labels: bool
    picture: Embedded
    named: str


def drawn_pairs(copies: pd.DataFrame) -> pd.DataFrame:
    """Rows of `duplicates.risk.copies_by_risk` that the page draws."""
    if len(copies) <= MOST_PAIRS:
        return copies
    of_cluster = copies.groupby("cluster").cumcount()
    return copies[of_cluster < MOST_OF_CLUSTER].head(MOST_PAIRS)


def render_copies(
    copies: pd.DataFrame,
    pictures: Iterable[UInt8Array],
    *,
    own: str,
    external: Sequence[str],
    searched: int,
    is_drawn: bool = False,
) -> str:
    """Write the page.

    Parameters
    ----------
    copies : DataFrame
        As from `duplicates.risk.copies_by_risk`.
    pictures : iterable of uint8 array, shape (3, size, size)
        As from `figures.duplicates.pair_pictures`, of the rows of `drawn_pairs`.
    own : str
        Data set of the left images.
    external : sequence of str
        Data sets that it was compared with.
    searched : int
        Its number of images.
    is_drawn : bool
        Whether they are phantoms.

    Returns
    -------
    str
        HTML with all pictures within it.
    """
    drawn = drawn_pairs(copies)
    two_labels = has_two_labels(drawn)
    pairs = [
        _Pair(row, two, _embedded(picture), _csv_row(row[name] for name in DECISION))
        for row, two, picture in zip(drawn.to_dict("records"), two_labels, pictures, strict=True)
    ]
    n_pairs = copies["cluster"].value_counts()
    clusters: dict[int, list[_Pair]] = {}
    for pair in pairs:
        clusters.setdefault(pair.row["cluster"], []).append(pair)
    return (
        page_environment()
        .get_template("copies.html")
        .render(
            own=own,
            external=external,
            searched=searched,
            n_clusters=len(n_pairs),
            n_two_labels=int(has_two_labels(copies).sum()),
            kinds=copies["kind"].value_counts().sort_index().to_dict(),
            clusters=[(number, found, n_pairs[number]) for number, found in clusters.items()],
            most=MOST_PAIRS,
            head=_csv_row(DECISION),
            notice=notice(is_drawn),
        )
    )


def _csv_row(cells: Iterable[object]) -> str:
    """A line of a CSV table."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def _embedded(pictures: UInt8Array) -> Embedded:
    """Three pictures side by side, at their own size, as a JPEG within the page."""
    gap = np.full((pictures.shape[1], _GAP), 128, np.uint8)
    return embedded(Image.fromarray(np.hstack([pictures[0], gap, pictures[1], gap, pictures[2]])))
