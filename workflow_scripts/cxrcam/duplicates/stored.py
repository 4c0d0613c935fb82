"""Fingerprints of images as the cache jobs stored them, ready to be searched for duplicates."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from workflow_scripts.cxrcam.contracts import DHASH_BYTES, THUMBNAIL_SIDE

UInt8Array = npt.NDArray[np.uint8]


class Fingerprints(NamedTuple):
    """Of n images, in the order of their names; the arguments of the searches, in their order.

    Attributes
    ----------
    image_ids, pixel_sha256 : list of str, length n
    dhash : uint8 array, shape (n, 32)
    thumbnails : uint8 array, shape (n, 32, 32)
    """

    image_ids: list[str]
    pixel_sha256: list[str]
    dhash: UInt8Array
    thumbnails: UInt8Array


def stored_fingerprints(facts: pa.Table) -> Fingerprints:
    """Fingerprints of the readable images of a table with the schema `contracts.FACTS`."""
    readable = facts.filter(facts["quarantine_reason"].is_null()).sort_by("image_id")

    def array(column: str, *shape: int) -> UInt8Array:
        joined = b"".join(readable[column].to_pylist())
        return np.frombuffer(joined, dtype=np.uint8).reshape(len(readable), *shape)

    return Fingerprints(
        readable["image_id"].to_pylist(),
        readable["pixel_sha256"].to_pylist(),
        array("dhash", DHASH_BYTES),
        array("thumbnail", THUMBNAIL_SIDE, THUMBNAIL_SIDE),
    )
