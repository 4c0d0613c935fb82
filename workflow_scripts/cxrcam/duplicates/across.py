"""Images that two data sets share: an external test set is no test where it was trained on.

Public chest X-ray collections borrow from each other, sometimes under another label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Unpack

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.arrays import Int64Array, UInt8Array
from workflow_scripts.cxrcam.duplicates.search import (
    LARGEST_COMPLETE_GROUP,
    MatchCriteria,
    find_duplicates,
)


def find_cross_duplicates(
    ids_a: Sequence[str],
    sha_a: Sequence[str],
    dhash_a: UInt8Array,
    thumbs_a: UInt8Array,
    ids_b: Sequence[str],
    sha_b: Sequence[str],
    dhash_b: UInt8Array,
    thumbs_b: UInt8Array,
    threads: int = 1,
    **criteria: Unpack[MatchCriteria],
) -> pd.DataFrame:
    """Find the images of one data set that show the same picture as images of another.

    Both are searched together, and pairs within a data set are dropped. The same image id may stand
    in both.

    Parameters
    ----------
    ids_a, ids_b : sequence of str, lengths n and m
        Names of the images, unique within each data set.
    sha_a, sha_b : sequence of str
        As from `fingerprints.pixel_sha256`.
    dhash_a, dhash_b : ndarray of uint8, shapes (n, 32) and (m, 32)
        As from `fingerprints.dhash256`.
    thumbs_a, thumbs_b : ndarray of uint8, shapes (n, 32, 32) and (m, 32, 32)
        As from `fingerprints.thumbnail`.
    threads : int
        The result does not depend on their number.
    **criteria
        `radius`, `minimum_correlation` and `kinds`, as for `duplicates.confirmed_pairs`.

    Returns
    -------
    DataFrame
        Columns of `duplicates.find_duplicates`: ``image_id_a`` is of the first data set,
        ``image_id_b`` of the second; sorted by their order there. All pairs, but where an image
        has more than 100 identical copies in a data set: there, each image of either side is
        paired with the first copy of the other only. No image with a twin is left out.

    Raises
    ------
    ValueError
        Inputs of different lengths, an id twice in one data set, or as for
        `duplicates.confirmed_pairs`.
    """
    for name, ids, others in (
        ("first", ids_a, (sha_a, dhash_a, thumbs_a)),
        ("second", ids_b, (sha_b, dhash_b, thumbs_b)),
    ):
        if any(len(other) != len(ids) for other in others):
            counts = ", ".join(str(len(other)) for other in (ids, *others))
            raise ValueError(
                f"the {name} data set has {counts} ids, pixel hashes, difference hashes and"
                " thumbnails: one of each is needed"
            )
        if len(set(ids)) < len(ids):
            twice = pd.Series(ids)[pd.Series(ids).duplicated()].iloc[0]
            raise ValueError(f"the {name} data set has image id {twice!r} twice")
    copies_a, copies_b = _copies(sha_a), _copies(sha_b)
    # Only the first of identical images is searched, under its row; no group is then too large for
    # `find_duplicates` to report it pair by pair.
    first_a = np.array([rows[0] for rows in copies_a], np.int64)
    first_b = np.array([rows[0] for rows in copies_b], np.int64)
    found = find_duplicates(
        [str(group) for group in range(len(first_a) + len(first_b))],
        [sha_a[row] for row in first_a] + [sha_b[row] for row in first_b],
        np.concatenate([dhash_a[first_a], dhash_b[first_b]]),
        np.concatenate([thumbs_a[first_a], thumbs_b[first_b]]),
        threads,
        **criteria,
    )
    ends = found[["image_id_a", "image_id_b"]].astype(np.int64).to_numpy()
    across = (ends[:, 0] < len(first_a)) & (ends[:, 1] >= len(first_a))
    source, rows_a, rows_b = _spread(ends[across] - [0, len(first_a)], copies_a, copies_b)
    pairs = (
        found[across]
        .iloc[source]
        .assign(
            image_id_a=pd.Series(list(ids_a), dtype="str").iloc[rows_a].to_numpy(),
            image_id_b=pd.Series(list(ids_b), dtype="str").iloc[rows_b].to_numpy(),
        )
    )
    order = np.lexsort((rows_b, rows_a))
    return (
        pairs.astype({"image_id_a": "str", "image_id_b": "str"}).iloc[order].reset_index(drop=True)
    )


def label_conflicts(
    pairs: pd.DataFrame, labels_a: Mapping[str, str], labels_b: Mapping[str, str]
) -> pd.DataFrame:
    """Pairs of one picture that bear different labels.

    Parameters
    ----------
    pairs : DataFrame
        As from `find_cross_duplicates`, or from `duplicates.find_duplicates`.
    labels_a, labels_b : mapping of str to str
        Label by image id, for ``image_id_a`` and ``image_id_b``; one and the same mapping for
        pairs within a data set. Classes that are called differently in two data sets must have
        been given the same name before.

    Returns
    -------
    DataFrame
        Those rows of `pairs`, with ``label_a`` and ``label_b``; the closest matches first
        (identical images, then by falling correlation).

    Raises
    ------
    ValueError
        An image has no label.
    """
    labelled = pairs.copy()
    for side, labels in (("a", labels_a), ("b", labels_b)):
        ids = pairs[f"image_id_{side}"].tolist()
        missing = [image_id for image_id in ids if image_id not in labels]
        if missing:
            raise ValueError(f"image {missing[0]!r} of the pairs of duplicates has no label")
        labelled[f"label_{side}"] = pd.Series(
            [labels[image_id] for image_id in ids], index=pairs.index, dtype="str"
        )
    conflicts = labelled[labelled["label_a"] != labelled["label_b"]]
    closest_first = conflicts.assign(is_exact=conflicts["kind"] == "exact").sort_values(
        ["is_exact", "correlation", "image_id_a", "image_id_b"],
        ascending=[False, False, True, True],
        kind="stable",
    )
    return closest_first.drop(columns="is_exact").reset_index(drop=True)


def in_turn(conflicts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Label conflicts of several comparisons in one table, so that its head has some of each.

    Parameters
    ----------
    conflicts : mapping of str to DataFrame
        By the data set that ``image_id_b`` is of: as from `label_conflicts`.

    Returns
    -------
    DataFrame
        Rows of all, with ``data_set_b``: the first of each comparison, then the second of each.
    """
    tables = [table.assign(data_set_b=name) for name, table in conflicts.items()]
    turns = np.concatenate([np.arange(len(table)) for table in tables])
    together = pd.concat(tables, ignore_index=True)
    return together.iloc[np.argsort(turns, kind="stable")].reset_index(drop=True)


def _copies(pixel_sha256s: Sequence[str]) -> list[list[int]]:
    """Rows of identical images, each list and the lists in order of appearance."""
    rows: dict[str, list[int]] = {}
    for row, sha in enumerate(pixel_sha256s):
        rows.setdefault(sha, []).append(row)
    return list(rows.values())


def _spread(
    groups: Int64Array, copies_a: list[list[int]], copies_b: list[list[int]]
) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Replace pairs of groups by pairs of rows: number of the pair, row in a, row in b."""
    spread = [
        (pair, row_a, row_b)
        for pair, (a, b) in enumerate(groups.tolist())
        for row_a, row_b in _row_pairs(copies_a[a], copies_b[b])
    ]
    table = np.array(spread, np.int64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]


def _row_pairs(rows_a: list[int], rows_b: list[int]) -> Iterator[tuple[int, int]]:
    if max(len(rows_a), len(rows_b)) <= LARGEST_COMPLETE_GROUP:
        yield from ((a, b) for a in rows_a for b in rows_b)
    else:
        yield from ((rows_a[0], b) for b in rows_b)
        yield from ((a, rows_b[0]) for a in rows_a[1:])
