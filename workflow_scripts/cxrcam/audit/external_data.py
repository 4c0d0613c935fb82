"""Results on images from elsewhere: which of them may be used, and how the models do there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.metrics.classification import classification_metrics
from workflow_scripts.cxrcam.metrics.tables import flatten_metrics

EXTERNAL_ROLE: Final = "external"
"""Role of such images in a table of predictions."""

INTERNAL_COLUMNS: Final = {
    "internal_n": "n",
    "internal_accuracy": "accuracy",
    "internal_accuracy_low": "accuracy_low",
    "internal_accuracy_high": "accuracy_high",
    "internal_macro_auroc": "macro_auroc",
}
"""What is repeated of a run's own row of tables/metrics.csv, for comparison."""


def images_of_classes(images: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Images of an external data set that a task is about."""
    return images[images["label"].isin(list(classes))]


def without_overlap(images: pd.DataFrame, overlap: pd.DataFrame) -> pd.DataFrame:
    """Leave out images that show what the models may have seen.

    With an image that the data set of the models has too goes its whole group, that is what else
    shows the same patient, or the same picture once more: the patient of a copy is a patient of
    both data sets.

    Parameters
    ----------
    images : DataFrame
        Index of the external data set: ``image_id``, ``group`` and further columns; all its
        images, as a group can hold other classes.
    overlap : DataFrame
        As from `duplicates.search.find_cross_duplicates`; ``image_id_b`` is external.

    Returns
    -------
    DataFrame
        Rows of `images` that remain, in their order.
    """
    shared = images["group"][images["image_id"].isin(overlap["image_id_b"])]
    return images[~images["group"].isin(shared)]


def lacking_reasons(tests: Sequence[Mapping[str, Any]]) -> list[str | None]:
    """`lacking_reason` of each test of a task on a data set; None where it can be made."""
    testable: dict[str, dict[str, None]] = {}
    for test in tests:
        testable.setdefault(test["data_set"], {}).update(
            {} if test["missing"] else {test["task"]: None}
        )
    return [
        lacking_reason(test["missing"], list(testable[test["data_set"]]))
        if test["missing"]
        else None
        for test in tests
    ]


def external_row(
    predictions: pd.DataFrame,
    classes: Sequence[str],
    internal: Mapping[str, Any],
    *,
    removed: int,
    groups: Sequence[str],
    seed: np.random.SeedSequence,
) -> dict[str, Any]:
    """Columns of audit/external.csv of one run that was tested on one external data set.

    Parameters
    ----------
    predictions : DataFrame of n rows
        Schema `contracts.predictions_schema`.
    classes : sequence of str
        Of the task.
    internal : mapping
        The run's row of tables/metrics.csv.
    removed : int
        Images of these classes that were left out as overlap.
    groups : sequence of str, length n
        Group of each image, which the bootstrap keeps together.
    seed : numpy.random.SeedSequence
        Of the bootstrap.

    Returns
    -------
    dict
        ``reason`` (why there is no number; empty if there is one), ``n_removed``, the
        `INTERNAL_COLUMNS`, then `metrics.tables.flatten_metrics`. If a class is left without an
        image, only ``n`` of those.
    """
    left = predictions["label"].value_counts()
    lost = [name for name in classes if name not in left]
    if lost:
        reason = f"no image of {_named(lost)} is left without the {removed:,} removed as overlap"
        return untested_row(reason, internal, n=len(predictions), removed=removed)
    metrics = classification_metrics(
        predictions["label"].to_numpy(),
        predictions[[f"probability_{name}" for name in classes]].to_numpy(dtype=np.float64),
        classes,
        groups=np.asarray(groups),
        seed=seed,
    )
    return {**_first_columns("", internal, removed), **flatten_metrics(metrics)}


def untested_row(
    reason: str, internal: Mapping[str, Any], *, n: int, removed: int
) -> dict[str, Any]:
    """Columns of audit/external.csv of one run that could not be tested; see `external_row`."""
    numbers = {"n": n, "majority_share": None, "accuracy": None}
    return {**_first_columns(reason, internal, removed), **numbers}


def lacking_reason(missing: Sequence[str], testable: Sequence[str]) -> str:
    """Why a task cannot be tested on a data set that lacks classes of it.

    Parameters
    ----------
    missing : sequence of str
        Classes without an image.
    testable : sequence of str
        Tasks that can be tested on it.
    """
    return f"it has no image of {_named(missing)}; tasks that it can test: {', '.join(testable)}"


def _first_columns(reason: str, internal: Mapping[str, Any], removed: int) -> dict[str, Any]:
    own = {column: internal[name] for column, name in INTERNAL_COLUMNS.items()}
    return {"reason": reason, "n_removed": removed, **own}


def _named(classes: Sequence[str]) -> str:
    return " and ".join(map(repr, classes))
