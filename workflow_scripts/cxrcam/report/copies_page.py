"""The page of copies: every cluster, the riskiest first, each pair with one laid over the other."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from PIL import Image

from workflow_scripts.cxrcam.arrays import UInt8Array
from workflow_scripts.cxrcam.duplicates.risk import has_two_labels
from workflow_scripts.cxrcam.report.templating import jpeg_uri, notice, page_environment

#: Pairs of one cluster, and in all, that are drawn. Every pair stands in audit/duplicates.csv.
MOST_OF_CLUSTER: Final = 4
MOST_PAIRS: Final = 1000

_SIDE: Final = 192
_GAP: Final = 4


@dataclass(frozen=True)
class _Pair:
    """What the page shows of a pair; `picture` is a data URI."""

    row: dict[Hashable, Any]
    two_labels: bool
    picture: str


def drawn_pairs(copies: pd.DataFrame) -> pd.DataFrame:
    """Rows of `duplicates.risk.copies_by_risk` that the page draws."""
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
        _Pair(row, two, _data_uri(picture))
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
            side=_SIDE,
            gap=_GAP,
            notice=notice(is_drawn),
        )
    )


def _data_uri(pictures: UInt8Array) -> str:
    """Three pictures side by side as a JPEG within the page."""
    small = [
        np.asarray(Image.fromarray(one).resize((_SIDE, _SIDE), Image.Resampling.BOX))
        for one in pictures
    ]
    gap = np.full((_SIDE, _GAP), 128, np.uint8)
    row = np.hstack([small[0], gap, small[1], gap, small[2]])
    return jpeg_uri(Image.fromarray(row))
