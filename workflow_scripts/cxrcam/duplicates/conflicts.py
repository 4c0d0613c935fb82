"""Pairs of one picture that bear different labels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.terms import EXACT, OTHER_EXPOSURE


def label_conflicts(
    pairs: pd.DataFrame, labels_a: Mapping[str, str], labels_b: Mapping[str, str]
) -> pd.DataFrame:
    """Pairs of one picture that bear different labels.

    Parameters
    ----------
    pairs : DataFrame
        As from `search.find_cross_duplicates` or `search.find_duplicates`.
    labels_a, labels_b : mapping of str to str
        Label by image id, for ``image_id_a`` and ``image_id_b``; one and the same mapping for
        pairs within a data set. Classes that are called differently in two data sets must have
        been given the same name before.

    Returns
    -------
    DataFrame
        Those rows of `pairs`, other exposures left out (two X-rays of one patient may differ),
        with ``label_a`` and ``label_b``; the closest matches first
        (identical images, then by falling correlation).

    Raises
    ------
    ValueError
        An image has no label.
    """
    pairs = pairs[pairs["kind"] != OTHER_EXPOSURE]
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
    closest_first = conflicts.assign(is_exact=conflicts["kind"] == EXACT).sort_values(
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
