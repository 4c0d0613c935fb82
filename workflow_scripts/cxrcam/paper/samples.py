"""Which test images the paper's figures and tables show, and what is said of one."""

from collections.abc import Mapping, Sequence

import pandas as pd

from workflow_scripts.cxrcam.errors import InputError

_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")


def typical_images(records: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """A typical test image of each class: of those called rightly the one of median probability.

    The surest one would be the prettiest, and the least like the others. Where none was called
    rightly, any. `records` are as from `prediction_table.read_test_predictions`; one row a class.
    """
    chosen = []
    for name in classes:
        rows = records[records["label"] == name]
        rows = rows[rows["correct"]] if rows["correct"].any() else rows
        rows = rows.sort_values(["probability", "image_id"])
        chosen.append(rows.iloc[[len(rows) // 2]])
    return pd.concat(chosen)


def asked_image(
    tables: Mapping[str, pd.DataFrame], task: str, classes: Sequence[str], image_id: str | None
) -> pd.Series:
    """Row of the configured image, or the first test image of the last class.

    A task may leave out the class of the configured image (``paper.image``); then another one is
    shown. `tables` are as from `prediction_table.read_test_predictions`, by task.

    Raises
    ------
    InputError
        If it is a test image of no task.
    """
    records = tables[task]
    rows = records[records["image_id"] == image_id]
    if not rows.empty:
        return rows.iloc[0]
    if image_id is None or any((table["image_id"] == image_id).any() for table in tables.values()):
        return records[records["label"] == classes[-1]].iloc[0]
    few = ", ".join(map(repr, records["image_id"].head(3)))
    raise InputError(
        f"paper.image is {image_id!r}, which is no test image of this design: name one that "
        f"the network was not trained on, for example {few}."
    )


def prediction_of(row: pd.Series, classes: Sequence[str]) -> pd.DataFrame:
    """Table of what the network says of one image, as `asked_image` gives it."""
    return pd.DataFrame(
        {
            "Image": [row["image_id"]],
            "True label": [row["label"]],
            "Predicted label": [row["predicted"]],
            **{f"P({name})": [float(row[f"probability_{name}"])] for name in classes},
        }
    )


def prediction_caption(number: int, task: str, scheme: str, n_classes: int) -> str:
    """Caption of table `number`, from 1, which is that of a task."""
    return (
        f"Table {_ROMAN[number - 1] if number <= len(_ROMAN) else number}. Prediction of the "
        f"{n_classes}-class network ({task}, {scheme}) for one test image. P: softmax "
        "probability, not calibrated."
    )
