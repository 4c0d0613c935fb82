"""Labels that the images speak against, found without any network.

Each image is judged by a forest that was grown without it, its copies and its patient: the floor
that sees a thumbnail. First come copies of one picture that bear different labels, then images by
the forest's probability of the label given, less the mean of the images of that label (so that a
rare class does not look suspect as a whole), where another class stands better in the same measure.
A list for a reader: nothing is left out by itself, and many of these labels are right.

Of 2,100 real X-rays (COVID-19 Radiography Database, three classes) with 5 % of the labels flipped,
at random or in one class, 92 % to 98 % of the first 50 were flipped ones, 71 % to 90 % of the first
100, and the 200 that are listed held 81 % to 99 % of them (three seeds each). Of the 1,400 of
Normal and COVID, which thumbnails tell apart less well: 58 % to 74 %, 43 % to 49 % (70 were
flipped), and 80 % to 86 %. Forests take 3 to 8 s, and are grown for the floors anyway. The
probability alone, without the mean of its class, misses most of what is flipped in a rare class.

How many there are is counted as confident learning does (Northcutt, Jiang & Chuang 2021, J Artif
Intell Res 70:1373-1411): labels of images of which another class is as likely as it is, on average,
of the images that bear it. No check is made of it: of 400 to 2,100 images without a flipped label
1 % to 3 % are counted so, with 5 % flipped 3 % to 9 %; of 120 phantoms, whose classes thumbnails
tell apart badly, 11 % without any (`benchmarks/suspect_labels.py`).
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.arrays import BoolArray, Float64Array, Int64Array
from workflow_scripts.cxrcam.terms import OTHER_EXPOSURE

JUDGED: Final = (
    "image_id",
    "label",
    "likelier_label",
    "probability",
    "deviation",
    "is_counted",
)
"""Columns of `judged_labels`: `probability` of the label given, `deviation` from the mean of that
label, `is_counted` by confident learning."""

COLUMNS: Final = (
    "task",
    "image_id",
    "label",
    "likelier_label",
    "probability",
    "network_probability",
    "reason",
)
"""Columns of audit/suspect_labels.csv."""

BY_TREES: Final = "trees on a thumbnail"

FEWEST_COUNTED: Final = 400
"""Images of a task from which on the count of wrong labels says something."""

MOST_ROWS: Final = 200
"""Rows of a task, beside copies with two labels."""


def judged_labels(
    image_ids: Sequence[str],
    labels: Sequence[str],
    classes: Sequence[str],
    probabilities: Float64Array,
) -> pd.DataFrame:
    """What a classifier that was trained without them says of the labels of images.

    Parameters
    ----------
    image_ids, labels : sequence of str, length n
        Labels are among `classes`.
    classes : sequence of str, length k
    probabilities : float array, shape (n, k)
        Each row from a model that saw neither the image nor one of its group; NaN where there is
        none.

    Returns
    -------
    DataFrame
        `JUDGED`, one row an image in the order given; none where probabilities are missing.
    """
    if np.isnan(probabilities).any():
        return pd.DataFrame(columns=[*JUDGED])
    given = np.array([classes.index(label) for label in labels], dtype=np.int64)
    rows = np.arange(len(given))
    own = probabilities[rows, given]
    # A class without an image keeps a threshold that none reaches.
    means = np.array(
        [own[given == k].mean() if (given == k).any() else 2.0 for k in range(len(classes))]
    )
    beyond = probabilities - means
    return pd.DataFrame(
        {
            "image_id": list(image_ids),
            "label": list(labels),
            "likelier_label": np.asarray(classes, dtype=object)[beyond.argmax(axis=1)],
            "probability": own,
            "deviation": beyond[rows, given],
            "is_counted": _is_counted(probabilities, beyond, given),
        }
    )


def _is_counted(probabilities: Float64Array, beyond: Float64Array, given: Int64Array) -> BoolArray:
    """Off the diagonal of the confident joint."""
    reached = np.where(beyond >= 0, probabilities, -1.0)
    is_counted: BoolArray = (reached.max(axis=1) >= 0) & (reached.argmax(axis=1) != given)
    return is_counted


def copies_with_two_labels(pairs: pd.DataFrame, labels: Mapping[str, str]) -> pd.DataFrame:
    """Images of which a copy bears another label.

    Parameters
    ----------
    pairs : DataFrame
        As from `duplicates.search.find_duplicates`. Two exposures of one patient are two pictures,
        and may rightly bear two labels.
    labels : mapping of str to str
        By image; those of other images are not known.

    Returns
    -------
    DataFrame
        ``image_id``, ``label``, ``likelier_label``, ``reason``; each image once, the two of a pair
        one after the other. Neither label is known to be right.
    """
    rows: dict[str, tuple[str, str, str, str]] = {}
    pictures = pairs[pairs["kind"] != OTHER_EXPOSURE]
    for a, b in zip(pictures["image_id_a"], pictures["image_id_b"], strict=True):
        one, other = labels.get(a), labels.get(b)
        if one is not None and other is not None and one != other:
            rows.setdefault(a, (a, one, other, f"its copy {b} is labelled {other}"))
            rows.setdefault(b, (b, other, one, f"its copy {a} is labelled {one}"))
    columns = ["image_id", "label", "likelier_label", "reason"]
    return pd.DataFrame([*rows.values()], columns=columns)


def suspect_labels(
    judged: pd.DataFrame, pairs: pd.DataFrame, labels: Mapping[str, str]
) -> pd.DataFrame:
    """What a reader should look at of one task, the most suspect first.

    Parameters
    ----------
    judged : DataFrame
        As from `judged_labels`.
    pairs, labels
        Copies, as in `copies_with_two_labels`.

    Returns
    -------
    DataFrame
        `COLUMNS` without ``task`` and ``network_probability``: copies with two labels, then at most
        `MOST_ROWS` others.
    """
    copies = copies_with_two_labels(pairs, labels)
    own = judged.set_index("image_id")["probability"]
    copies["probability"] = own.reindex(copies["image_id"]).to_numpy(dtype=np.float64)
    others = judged[judged["likelier_label"] != judged["label"]]
    others = others[~others["image_id"].isin(copies["image_id"])]
    others = others.sort_values(["deviation", "image_id"], kind="stable").head(MOST_ROWS)
    columns = ["image_id", "label", "likelier_label", "probability", "reason"]
    tables = [copies[columns], others.assign(reason=BY_TREES)[columns]]
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


def network_probabilities(predictions: Sequence[pd.DataFrame], labels: pd.Series) -> pd.Series:
    """What networks say of the labels of images that they were not trained on.

    Parameters
    ----------
    predictions : sequence of DataFrame
        Test images of each run, with ``image_id`` and ``probability_<class>``.
    labels : Series of str
        Label of each image that is asked for, by ``image_id``.

    Returns
    -------
    Series of float
        Mean over the runs, in the order of `labels`; NaN where no run has the image.
    """
    found = [pd.Series(dtype=float)]
    for table in predictions:
        known = table[table["image_id"].isin(labels.index)]
        own = [row[f"probability_{labels[row['image_id']]}"] for _, row in known.iterrows()]
        found.append(pd.Series(own, index=known["image_id"].tolist(), dtype=float))
    every = pd.concat(found)
    means: pd.Series = every.groupby(every.index).mean().reindex(labels.index)
    return means
