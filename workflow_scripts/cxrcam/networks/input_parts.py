"""What a network sees of the images in the cache: all, or what is left when a part is covered."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from workflow_scripts.cxrcam.arrays import Float32Array, Int64Array, UInt8Array
from workflow_scripts.cxrcam.data.cache import read_pixels_within
from workflow_scripts.cxrcam.data.mask_cache import masks_of
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.images.covering import MASKING_VARIANTS, covered_pixels

_AT_ONCE: Final = 1024  # images that are covered in memory at a time


def covered_predictions(
    probabilities_of: Callable[[UInt8Array], Float32Array],
    pixels: UInt8Array,
    image_ids: Sequence[str],
    asked: Int64Array,
    masks: Path,
) -> list[tuple[str, list[str], Float32Array]]:
    """What a network says of images with a part taken away, in each way to do so.

    Pixels are uint8, shape (n, size, size), and may be larger than the memory; `asked` are the
    positions of the images to cover. Where lung masks are needed, images without one are left out.
    The result is as `prediction_table.write_covered` takes it.
    """
    parts = []
    for start in range(0, len(asked), _AT_ONCE):
        rows = asked[start : start + _AT_ONCE]
        names = np.asarray(image_ids, dtype=object)[rows]
        has_lungs, lungs = masks_of(masks, names.tolist(), "lung", pixels.shape[1])
        for variant in MASKING_VARIANTS:
            chosen = has_lungs if variant.needs_lung_masks else np.ones(len(rows), dtype=bool)
            if chosen.any():
                images = covered_pixels(pixels[rows[chosen]], variant.name, lungs[chosen])
                parts.append((variant.name, names[chosen].tolist(), probabilities_of(images)))
    return parts


def read_network_input(
    shards: Sequence[Path],
    image_ids: Sequence[str],
    size: int,
    part: str,
    masks: str | None,
    memory_mb: float = math.inf,
) -> UInt8Array:
    """Pixels of some images as a network sees them, in the order asked for.

    Parameters
    ----------
    size : int
        Pixels a side in the cache.
    part : str
        As in `covering.covered_pixels`.
    masks : str or None
        File of the masks (`mask_cache`); may be None where `part` does not need lung masks.
    memory_mb : float
        As in `cache.read_pixels_within`; what is covered is kept in memory all the same.

    Returns
    -------
    uint8 array, shape (n, size, size)

    Raises
    ------
    InputError
        If an image has no lung mask, or none that can be read, and `part` needs one.
    """
    pixels = read_pixels_within(shards, image_ids, size, memory_mb)
    if not any(known.name == part and known.needs_lung_masks for known in MASKING_VARIANTS):
        return covered_pixels(pixels, part, None)
    if masks is None:
        raise ValueError(f"{part} needs the file of the masks")
    has_lungs, lungs = masks_of(Path(masks), image_ids, "lung", size)
    if not has_lungs.all():
        first = image_ids[int(np.flatnonzero(~has_lungs)[0])]
        raise InputError(
            f"The network sees {part} (input of its scheme), but {(~has_lungs).sum()} of "
            f"{len(image_ids)} images have no lung mask that can be read, for example {first!r}: "
            "mend the masks, or choose centre_black or border_only."
        )
    return covered_pixels(pixels, part, lungs)
