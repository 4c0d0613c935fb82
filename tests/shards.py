"""Cache shards of pixels that are in memory."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from workflow_scripts.cxrcam.data.cache import shard_writer


def write_shard(
    path: Path, image_ids: Sequence[str], pixels: np.ndarray, metadata: Mapping[str, object]
) -> None:
    """One shard of uint8 pixels, shape (n, size, size)."""
    with shard_writer(path, pixels.shape[1], metadata) as write:
        write(image_ids, pixels)
