"""From raw maps of evidence to pictures: scale, and place.

A map is stored raw and brought to scale only here, by one scale for all images of a run. A map that
is rescaled image by image always shows a strong spot somewhere, even where the model saw nothing,
and cannot be compared between images.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from workflow_scripts.cxrcam.arrays import Float32Array, Float64Array

SCALE_QUANTILE: Final = 0.995
"""Share of the positive map values of a run that lie inside the drawing scale."""


def heat_scale(raw_maps: npt.ArrayLike) -> float:
    """Upper end of the drawing scale of a run: a high quantile of the positive evidence.

    A single extreme pixel does not darken all other images.

    Parameters
    ----------
    raw_maps : array-like of float, any shape
        Raw maps of all images of the run, of the class that is drawn.

    Returns
    -------
    float
        Greater than 0, in the unit of the maps (logits). It is 1.0 if no value is positive:
        then there is no evidence to draw, whatever the scale.

    Raises
    ------
    ValueError
        If a value is not finite.
    """
    values = np.asarray(raw_maps, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"a class activation map holds {values[~np.isfinite(values)][0]}")
    positive = values[values > 0.0]
    return float(np.quantile(positive, SCALE_QUANTILE)) if positive.size else 1.0


def normalise_map(raw: npt.ArrayLike, scale_max: float) -> Float32Array:
    """Express a raw map, of any shape, in units of the run's scale (`heat_scale`).

    1 is drawn in full colour, as is what lies above; what is negative speaks against the class.
    """
    return np.asarray(raw, dtype=np.float32) / np.float32(scale_max)


def log_odds(evidence: float, n_classes: int) -> float:
    """Log-odds of a class against the geometric mean of the others, from evidence for it.

    Evidence is a logit less the mean over the c classes; less the mean over the other classes it is
    c / (c - 1) times as much. With two classes: the log-odds of one against the other.
    """
    return evidence * n_classes / (n_classes - 1)


def _interpolate(raw: npt.ArrayLike, rows: Float64Array, columns: Float64Array) -> Float32Array:
    """Bilinear values of maps at fractional cell positions; beyond the edge the edge goes on.

    Parameters
    ----------
    raw : array-like of float, shape (h, w) or (n, h, w)
    rows, columns : float arrays, shape (H,) and (W,)
        Where to read, in cells.

    Returns
    -------
    ndarray of float32, shape (H, W) or (n, H, W)
    """
    maps = np.asarray(raw, dtype=np.float32)
    # Rows, then columns. Taking neighbours instead of multiplying by the (sparse) matrix keeps the
    # threads of the BLAS out of it: they cost 8 ms a map where several jobs share the cores.
    for axis, position in ((-2, rows), (-1, columns)):
        last = maps.shape[axis] - 1
        held = np.clip(position, 0.0, last)
        low = np.floor(held).astype(np.int64)
        weight = (held - low).astype(np.float32)
        weight = weight[:, None] if axis == -2 else weight
        maps = np.take(maps, low, axis) * (1 - weight) + (
            np.take(maps, np.minimum(low + 1, last), axis) * weight
        )
    return maps


def _pixel_positions(source: int, target: int) -> Float64Array:
    """Where the pixels of an image of `target` pixels lie on one of `source`, by their centres."""
    positions: Float64Array = (np.arange(target) + 0.5) * source / target - 0.5
    return positions


def upsample_map(raw: npt.ArrayLike, size: int) -> Float32Array:
    """Enlarge maps that already have the form of an image, bilinearly, to `size` pixels a side.

    Of shape (h, w) or (n, h, w). Equal to ``torch.nn.functional.interpolate(mode="bilinear",
    align_corners=False)`` when enlarging. Raw activation maps go through `place_map`, which knows
    where their cells lie.
    """
    height, width = np.shape(raw)[-2:]
    return _interpolate(raw, _pixel_positions(height, size), _pixel_positions(width, size))


def place_map(
    raw: npt.ArrayLike, size: int, *, input_size: int, stride: float, offset: float
) -> Float32Array:
    """Lay raw activation maps over their image, each cell where its receptive field is centred.

    Cell i of the last feature map is centred on input pixel ``offset + i · stride``. In a network
    of padded convolutions, as ResNet, the offset is 0: the first cell sits on the first pixel, not
    half a stride inside. Stretching the map over the image, as is common, then moves the heat by up
    to half a stride to the lower right: 16 pixels for a ResNet.

    Parameters
    ----------
    raw : array-like of float, shape (h, w) or (n, h, w)
        Raw maps.
    size : int
        Pixels a side of the picture.
    input_size : int
        Pixels a side that the network saw.
    stride : float
        Input pixels between the centres of neighbouring cells.
    offset : float
        Input pixels from the centre of the first pixel to that of the first cell.

    Returns
    -------
    ndarray of float32, shape (size, size) or (n, size, size)
        Bilinear between the cells; beyond the first and the last one their value goes on.
    """
    cells = (_pixel_positions(input_size, size) - offset) / stride
    return _interpolate(raw, cells, cells)
