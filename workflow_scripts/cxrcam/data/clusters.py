"""Clusters: images that hang together by pairs, however long the chain."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from workflow_scripts.cxrcam.arrays import Int64Array


def cluster_labels(n: int, pairs: Int64Array) -> Int64Array:
    """Label each of n images with the smallest row number that it is connected to.

    `pairs` are row numbers of duplicates, shape (k, 2). Being duplicates is taken as transitive; an
    image without duplicates bears its own row number.
    """
    pairs = np.asarray(pairs, np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    count, component = connected_components(graph, directed=False)
    smallest = np.full(count, n, np.int64)
    np.minimum.at(smallest, component, np.arange(n))
    labels: Int64Array = smallest[component]
    return labels
