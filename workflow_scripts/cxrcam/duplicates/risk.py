"""Copies in the order in which a reader should look at them, and those that a reader rejected."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.data.clusters import cluster_labels
from workflow_scripts.cxrcam.data.listing.image_files import DatasetError
from workflow_scripts.cxrcam.data.listing.text_tables import read_text_table
from workflow_scripts.cxrcam.terms import EXACT, OTHER_EXPOSURE

COLUMNS: Final = (
    "cluster",
    "image_id_a",
    "label_a",
    "data_set_b",
    "image_id_b",
    "label_b",
    "kind",
    "correlation",
    "overlap",
    "inliers",
)
"""Columns of audit/duplicates.csv."""


def copies_by_risk(
    pairs: Mapping[str, pd.DataFrame], labels: Mapping[str, Mapping[str, str]]
) -> pd.DataFrame:
    """All pairs in clusters, those that do most harm first.

    Parameters
    ----------
    pairs : mapping of str to DataFrame
        By the data set of ``image_id_b``. The first is also that of every ``image_id_a``: its pairs
        are from `search.find_duplicates`, those of others from `search.find_cross_duplicates`.
    labels : mapping of str to mapping
        Label of each image of each data set.

    Returns
    -------
    DataFrame
        `COLUMNS`, then those of the transform. A cluster, numbered from 1, is what hangs together
        by pairs. Clusters, and pairs within each, stand in this order: two labels for one picture;
        images of two data sets; the weakest correlation first.

    Raises
    ------
    ValueError
        An image has no label.
    """
    own = next(iter(pairs))
    table = pd.concat(
        [found.assign(data_set_b=name) for name, found in pairs.items()], ignore_index=True
    )
    names = {"a": [own] * len(table), "b": table["data_set_b"].tolist()}
    for side, data_sets in names.items():
        ids = table[f"image_id_{side}"].tolist()
        found = [labels[of].get(image) for of, image in zip(data_sets, ids, strict=True)]
        if None in found:
            raise ValueError(
                f"image {ids[found.index(None)]!r} of the pairs of duplicates has no label"
            )
        table[f"label_{side}"] = pd.Series(found, index=table.index, dtype="str")
    # A data set's name holds no line break.
    ends = [
        [f"{of}\n{image}" for of, image in zip(data_sets, table[f"image_id_{side}"], strict=True)]
        for side, data_sets in names.items()
    ]
    codes, uniques = pd.factorize(np.array(ends, dtype=object).T.ravel())
    clusters = cluster_labels(len(uniques), codes.reshape(-1, 2))
    table["cluster"] = clusters[codes.reshape(-1, 2)[:, 0]] if len(table) else []
    # Two exposures of one patient are two pictures, and may rightly bear two labels.
    table["one_label"] = ~has_two_labels(table)
    table["one_set"] = table["data_set_b"] == own
    table["is_exact"] = table["kind"] == EXACT
    risk = ["one_label", "one_set", "is_exact", "correlation", "image_id_a", "image_id_b"]
    table = table.sort_values(risk, kind="stable", ignore_index=True)
    table["cluster"] = pd.factorize(table["cluster"])[0] + 1
    table = table.sort_values("cluster", kind="stable", ignore_index=True)
    transform = [name for name in table.columns if name.startswith("transform_")]
    return table[[*COLUMNS, *transform]]


def has_two_labels(pairs: pd.DataFrame) -> pd.Series:
    """Of each pair of `copies_by_risk`: whether one picture bears two labels."""
    differ: pd.Series = (pairs["label_a"] != pairs["label_b"]) & (pairs["kind"] != OTHER_EXPOSURE)
    return differ


def without_rejected(
    pairs: pd.DataFrame,
    file: str | Path,
    own: str,
    other: str,
    log: logging.Logger,
    part: str = "",
) -> pd.DataFrame:
    """Leave out pairs that a reader looked at and found to be no copies.

    Parameters
    ----------
    pairs : DataFrame
        As from `search.find_duplicates`, or `search.find_cross_duplicates`.
    file : path
        Table with ``image_id_a`` and ``image_id_b``, in any order where both are of one data set,
        and ``data_set_b`` where that is not `own`: rows of audit/duplicates.csv.
    own, other : str
        Data sets of ``image_id_a`` and ``image_id_b``. Rows on other data sets are passed over.
    log : Logger
        Is told how many were left out, and warned of rows that name no pair.
    part : str
        Prefix that the names of images of `own` have in `pairs` but not in the table: that of a
        data set of a union.

    Returns
    -------
    DataFrame
        The other pairs.

    Raises
    ------
    DatasetError
        The table lacks a column, or names images that are identical.
    """
    columns, rows = read_text_table(Path(file), "table not_copies")
    if missing := [name for name in ("image_id_a", "image_id_b") if name not in columns]:
        raise DatasetError(
            f"The table not_copies {str(file)!r} has no column {' and no column '.join(missing)}: "
            "give it rows of audit/duplicates.csv, with its first line."
        )
    place: dict[tuple[str, str], int] = {}
    for number, (a, b) in enumerate(zip(pairs["image_id_a"], pairs["image_id_b"], strict=True)):
        place[a, b] = number
        if own == other:
            place[b, a] = number
    rejected, unknown = set(), []
    for number, row in rows.items():
        if (row.get("data_set_b") or own) != other:
            continue
        given = (row["image_id_a"], row["image_id_b"])
        # write_csv puts an apostrophe before what a spreadsheet would take for a formula.
        a, b = (name.removeprefix("'") for name in given)
        before_b = part if own == other else ""
        pair = place.get(
            (part + given[0], before_b + given[1]), place.get((part + a, before_b + b))
        )
        if pair is None:
            unknown.append(f"row {number}: {a!r} and {b!r}")
        elif pairs["kind"].iloc[pair] == EXACT:
            raise DatasetError(
                f"Row {number} of {file} (not_copies) names {a!r} and {b!r}, which are the same "
                "pixel for pixel: take the row out."
            )
        else:
            rejected.add(pair)
    log.info("Left out %d pairs that %s (not_copies) rejects.", len(rejected), file)
    if unknown:
        log.warning(
            "%d rows of %s (not_copies) name no pair that the search finds, the first in %s.",
            len(unknown),
            file,
            unknown[0],
        )
    return pairs.drop(pairs.index[sorted(rejected)]).reset_index(drop=True)
