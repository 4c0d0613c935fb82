"""Which channels of the last feature map speak for a class.

With global average pooling and one linear layer the logit is a sum over channels,

    logit_c = b_c + sum over k of w_ck g_k,    g_k = mean over (x, y) of f_k(x, y)

so that w_ck g_k is what channel k contributes to it (Zhou et al., CVPR 2016).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from workflow_scripts.cxrcam.arrays import Int64Array

Floats = npt.NDArray[np.floating]

COLUMNS = ["class", "rank", "channel", "contribution", "share"]


def strongest_channels(
    pooled: Floats,
    weights: Floats,
    labels: Int64Array,
    classes: Sequence[str],
    top: int,
) -> pd.DataFrame:
    """Channels with the largest mean contribution to the logit of a class, over its own images.

    Parameters
    ----------
    pooled : float array, shape (n, k)
        Pooled features g.
    weights : float array, shape (c, k)
        Last layer.
    labels : int array, shape (n,)
        True class of each image.
    classes : sequence of str, length c
    top : int
        Channels of each class to return.

    Returns
    -------
    DataFrame
        Columns `COLUMNS`: ``contribution`` in units of the logit, ``share`` of the sum of all
        positive contributions to that class. Classes without images have no rows.
    """
    rows = []
    for number, name in enumerate(classes):
        members = labels == number
        if not members.any():
            continue
        contribution = pooled[members].mean(axis=0, dtype=np.float64) * weights[number]
        positive = contribution[contribution > 0].sum()
        order = np.argsort(-contribution, kind="stable")[:top]
        rows += [
            {
                "class": name,
                "rank": rank,
                "channel": int(channel),
                "contribution": float(contribution[channel]),
                "share": float(max(contribution[channel], 0.0) / positive) if positive > 0 else 0.0,
            }
            for rank, channel in enumerate(order, start=1)
        ]
    return pd.DataFrame(rows, columns=COLUMNS)


def speaking_samples(
    table: pd.DataFrame,
    pooled: Floats,
    weights: Floats,
    labels: Int64Array,
    classes: Sequence[str],
) -> dict[str, int]:
    """Position of the image of each class on which its channels in the table say most for it."""
    samples = {}
    for name, rows in table.groupby("class", sort=False):
        number, channels = list(classes).index(str(name)), rows["channel"].to_numpy()
        said = pooled[:, channels] @ weights[number, channels]
        samples[str(name)] = int(np.where(labels == number, said, -np.inf).argmax())
    return samples
