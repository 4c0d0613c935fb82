"""Predictions of a network as the tables that all later stages read."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.cxrcam.arrays import Float32Array
from workflow_scripts.cxrcam.contracts import (
    covered_schema,
    features_schema,
    predictions_schema,
)
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.terms import TEST


def write_predictions(
    path: Path,
    images: pd.DataFrame,
    classes: Sequence[str],
    logits: Float32Array,
    probabilities: Float32Array,
) -> None:
    """Write predictions, whole or not at all.

    Parameters
    ----------
    path : Path
        Parquet file, schema `contracts.predictions_schema`.
    images : DataFrame of n rows
        ``image_id``, ``label``, ``role``.
    classes : sequence of str, length c
    logits, probabilities : float32 array, shape (n, c)
        Columns in the order of `classes`.
    """
    columns = [pa.array(images[name], pa.string()) for name in ("image_id", "label", "role")]
    columns += [pa.array(numbers) for numbers in (*logits.T, *probabilities.T)]
    schema = predictions_schema(list(classes))
    with atomic_path(path) as temporary:
        pq.write_table(pa.Table.from_arrays(columns, schema=schema), temporary)


def write_features(path: Path, image_ids: Sequence[str], features: Float32Array) -> None:
    """Write what the last layer of a network gets of each image, whole or not at all.

    Parameters
    ----------
    path : Path
        Parquet file, schema `contracts.features_schema`.
    image_ids : sequence of str, length n
    features : float32 array, shape (n, k)
    """
    schema = features_schema(features.shape[1])
    if features.shape[1]:
        flat = pa.array(np.ascontiguousarray(features).ravel())
        lists = pa.FixedSizeListArray.from_arrays(flat, features.shape[1])
    else:
        lists = pa.array([[]] * len(features), pa.list_(pa.float32()))
    table = pa.Table.from_arrays([pa.array(image_ids, pa.string()), lists], schema=schema)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary)


def read_features(path: str | Path) -> pd.DataFrame:
    """Read what the last layer of a network got of its n test images.

    Returns
    -------
    DataFrame of float32, shape (n, k)
        By ``image_id``, in the order of the predictions; k is 0 where there are no such numbers.
    """
    table = pq.read_table(path)
    numbers = table["features"].combine_chunks().flatten().to_numpy()
    return pd.DataFrame(
        numbers.reshape(len(table), -1 if len(numbers) else 0),
        pd.Index(table["image_id"].to_pylist(), name="image_id"),
    )


def read_test_predictions(
    predictions: str | Path, classes: Sequence[str], split: str | Path | None = None
) -> pd.DataFrame:
    """Read what a run said of its test images.

    Parameters
    ----------
    predictions : str or Path
    classes : sequence of str
    split : str or Path, optional
        Division of the same run, from which ``group`` is taken.

    Returns
    -------
    DataFrame
        One row a test image, by ``image_id``: the columns of the file, ``called`` (position of the
        likeliest class), ``predicted`` (its name), ``probability`` (its own), ``correct`` and, with
        a division, ``group``.
    """
    table = pd.read_parquet(predictions)
    test = table[table["role"] == TEST].sort_values("image_id", ignore_index=True)
    probabilities = test[[f"probability_{name}" for name in classes]].to_numpy(dtype=np.float64)
    called = probabilities.argmax(axis=1)
    test = test.assign(
        called=called,
        predicted=pd.Series([classes[k] for k in called], dtype="str"),
        probability=probabilities.max(axis=1),
    )
    test["correct"] = test["predicted"] == test["label"]
    if split is None:
        return test
    groups = pd.read_parquet(split, columns=["image_id", "group"])
    return test.merge(groups, on="image_id", how="left", validate="one_to_one")


def write_covered(
    path: Path,
    parts: Sequence[tuple[str, Sequence[str], Float32Array]],
    classes: Sequence[str],
) -> None:
    """Write what a network says of images with a part taken away, whole or not at all.

    Parameters
    ----------
    path : Path
        Parquet file, schema `contracts.covered_schema`.
    parts : sequence of (str, sequence of str, float32 array of shape (n, c))
        Name of the variant, ids of the images, probabilities.
    classes : sequence of str, length c
    """
    schema = covered_schema(list(classes))
    tables = [
        pa.Table.from_arrays(
            [
                pa.repeat(variant, len(image_ids)),
                pa.array(image_ids, pa.string()),
                *map(pa.array, probabilities.T),
            ],
            schema=schema,
        )
        for variant, image_ids, probabilities in parts
    ]
    with atomic_path(path) as temporary:
        pq.write_table(pa.concat_tables([schema.empty_table(), *tables]), temporary)
