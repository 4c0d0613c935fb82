"""Difference hashes of thumbnails: for variants of images that exist as thumbnails only."""

from __future__ import annotations

import numpy as np

from workflow_scripts.cxrcam.arrays import Float32Array, UInt8Array
from workflow_scripts.cxrcam.data.fingerprints import (
    HASH_BITS,
    HASH_BYTES,
    HASH_SIDE,
    THUMBNAIL_SIDE,
    difference_bits,
)
from workflow_scripts.cxrcam.duplicates.thumbnail_correlation import (
    THUMBNAIL_CHUNK,
    check_thumbnails,
)
from workflow_scripts.cxrcam.duplicates.thumbnail_views import Thumbnails
from workflow_scripts.cxrcam.workers import ALONE, Workers, slices


def thumbnail_dhashes(thumbnails: Thumbnails, workers: Workers = ALONE) -> UInt8Array:
    """256-bit difference hashes of thumbnails.

    Some bits differ from those of the full image (`fingerprints.dhash256`), which is shrunk by
    another filter. The hash of the mirrored and of the inverted thumbnail is exact, whichever of
    two equal neighbours comes first.

    Parameters
    ----------
    thumbnails : ndarray of uint8, shape (n, 32, 32)
        As from `fingerprints.thumbnail`, or variants of them.
    workers : Workers
        Threads that share the work.

    Returns
    -------
    ndarray of uint8, shape (n, 32)
        Hashes, most significant bit first.

    Raises
    ------
    ValueError
        Wrong shape or dtype.
    """
    check_thumbnails(thumbnails)
    hashes = np.empty((len(thumbnails), HASH_BYTES), np.uint8)

    def hash_some(rows: slice) -> None:
        bits = difference_bits(_hash_images(thumbnails[rows]))
        hashes[rows] = np.packbits(bits.reshape(len(bits), HASH_BITS), axis=1)

    workers.do(hash_some, slices(len(thumbnails), THUMBNAIL_CHUNK))
    return hashes


def _hash_images(thumbnails: UInt8Array) -> Float32Array:
    """Shrink thumbnails from 32 x 32 to 16 x 17 by area; in whole numbers, shape (n, 16, 17).

    Whole numbers, so that equal neighbours stay equal, whichever way round they are added up.
    The largest, 2 x 32 x 255, is exact in float32, whose products are the fastest.
    """
    width = HASH_SIDE + 1
    # In units of 1/17 of a thumbnail pixel: inputs are 17 wide, outputs 32.
    edges_in = np.arange(THUMBNAIL_SIDE + 1) * width
    edges_out = np.arange(width + 1) * THUMBNAIL_SIDE
    overlap = np.minimum(edges_in[1:, None], edges_out[None, 1:]) - np.maximum(
        edges_in[:-1, None], edges_out[None, :-1]
    )
    weights = np.maximum(overlap, 0).astype(np.float32)
    values = thumbnails.astype(np.float32)
    small: Float32Array = (values[:, ::2] + values[:, 1::2]) @ weights
    return small
