"""Clusters: images that hang together by pairs, however long the chain."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from workflow_scripts.cxrcam.arrays import Int64Array


def cluster_labels(n: int, pairs: Int64Array) -> Int64Array:
    """Label each image with the smallest row number that it is connected to.

    Parameters
    ----------
    n : int
        Number of images.
    pairs : ndarray of int64, shape (k, 2)
        Row numbers of duplicates, 0 to n - 1. Being duplicates is taken as transitive.

    Returns
    -------
    ndarray of int64, shape (n,)
        Labels; an image without duplicates bears its own row number.

    Raises
    ------
    ValueError
        A row number is out of range.
    """
    pairs = np.asarray(pairs, np.int64).reshape(-1, 2)
    if len(pairs) and (pairs.min() < 0 or pairs.max() >= n):
        raise ValueError(f"pairs name rows from {pairs.min()} to {pairs.max()} of {n} images")
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    count, component = connected_components(graph, directed=False)
    smallest = np.full(count, n, np.int64)
    np.minimum.at(smallest, component, np.arange(n))
    labels: Int64Array = smallest[component]
    return labels
