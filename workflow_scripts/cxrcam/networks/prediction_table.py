"""Predictions of a network as the table that all later stages read."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.cxrcam.contracts import predictions_schema
from workflow_scripts.cxrcam.files import atomic_path


def write_predictions(
    path: Path,
    images: pd.DataFrame,
    classes: Sequence[str],
    logits: npt.NDArray[np.float32],
    probabilities: npt.NDArray[np.float32],
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
    columns += [pa.array(logits[:, k]) for k in range(len(classes))]
    columns += [pa.array(probabilities[:, k]) for k in range(len(classes))]
    with atomic_path(path) as temporary:
        schema = predictions_schema(list(classes))
        pq.write_table(pa.Table.from_arrays(columns, schema=schema), temporary)
