"""What frozen layers compute of each image, kept like pixels: once, in Parquet, as plain bytes."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch

from workflow_scripts.cxrcam.arrays import UInt8Array
from workflow_scripts.cxrcam.data.cache import CacheError, read_rows, rows_writer

VIEWS = ("plain", "mirrored")
"""Horizontal flips cannot be made from features: both views are kept."""


def _as_bytes(features: torch.Tensor) -> UInt8Array:
    """Bytes of a tensor, shape (n, bytes a row)."""
    flat = features.detach().cpu().contiguous().reshape(len(features), -1)
    return flat.view(torch.uint8).numpy()


def write_features(
    path: Path,
    image_ids: Sequence[str],
    views: Sequence[torch.Tensor],
    made_with: str,
    content_fingerprint: str,
) -> None:
    """Write the features of some images.

    Parameters
    ----------
    views : two tensors, shape (n, ...), float32 or bfloat16
        In the order of `VIEWS`.
    made_with : str
        Fingerprint of the layers, the same for all shards.
    content_fingerprint : str
        Of the shard of pixels, see `cache.content_fingerprint`.
    """
    about = {
        "shape": json.dumps(list(views[0].shape[1:])),
        "dtype": str(views[0].dtype).removeprefix("torch."),
        "made_with": made_with,
        "content_fingerprint": content_fingerprint,
    }
    columns = {name: _as_bytes(view) for name, view in zip(VIEWS, views, strict=True)}
    widths = {name: rows.shape[1] for name, rows in columns.items()}
    with rows_writer(path, widths, about) as write:
        write(image_ids, columns)


def read_features(shards: Sequence[Path], image_ids: Sequence[str]) -> torch.Tensor:
    """Features of some images, in the order asked for.

    Returns
    -------
    tensor, shape (2, n, ...)
        Plain and mirrored view.

    Raises
    ------
    CacheError
        A shard that is damaged or unlike the others, or an image that no shard has.
    """
    about = [pq.read_schema(shard).metadata for shard in shards]
    kinds = {(m[b"shape"], m[b"dtype"], m[b"made_with"]) for m in about}
    if len(kinds) != 1:
        raise CacheError(
            f"The feature files beside {shards[0]} were made by different layers: delete their "
            "folder, and run again."
        )
    shape = json.loads(about[0][b"shape"])
    dtype = getattr(torch, about[0][b"dtype"].decode())
    width = int(np.prod(shape)) * dtype.itemsize
    views = [torch.from_numpy(read_rows(shards, image_ids, view, width)) for view in VIEWS]
    return torch.stack([view.view(dtype).reshape(len(image_ids), *shape) for view in views])
