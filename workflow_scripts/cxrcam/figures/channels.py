"""The channels of the last feature maps that speak most for each class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.figure import Figure

from workflow_scripts.cxrcam.arrays import Float32Array, Float64Array, Int64Array, UInt8Array
from workflow_scripts.cxrcam.drawing.style import styled
from workflow_scripts.cxrcam.figures.picture_grid import PictureGrid
from workflow_scripts.cxrcam.maps.overlays import OPACITY, overlay
from workflow_scripts.cxrcam.maps.placement import heat_scale, normalise_map

# Lengths in inches.
_LEFT: Final = 0.44
"""Room for class names of two lines, turned."""
_LARGEST_PICTURE: Final = 1.3
_BELOW: Final = 0.28
"""Two lines of text below each picture."""


@styled
def channel_figure(
    images: UInt8Array,
    activations: Float32Array,
    contributions: Float64Array,
    channels: Int64Array,
    classes: Sequence[str],
) -> Figure:
    """Draw the strongest channels of each class over a sample image of it, a row a class.

    Parameters
    ----------
    images : uint8 array, shape (k, s, s)
        A sample image of each class.
    activations : float array, shape (k, top, s, s)
        Raw activation of the channels on that image, placed over it by
        `placement.place_map`.
    contributions : float array, shape (k, top)
        What each channel adds to the logit of the class: its mean activation times its weight.
    channels : int array, shape (k, top)
        Numbers of the channels, from 0.
    classes : sequence of str
        Class names.

    Returns
    -------
    Figure
        All activations share one scale, so that a weak channel looks weak.
    """
    top = channels.shape[1]
    scale_max = heat_scale(activations)
    heat = normalise_map(activations, scale_max)
    names = ["sample image", "strongest", "2nd", "3rd"]
    names = names[: 1 + top] + [f"{rank}th" for rank in range(4, top + 1)]
    grid = PictureGrid.make(
        len(images),
        1 + top,
        labels=names,
        left=_LEFT,
        foot=0.62,
        below=_BELOW,
        largest=_LARGEST_PICTURE,
    )
    # Three digits of the largest, and as many decimals for all.
    largest = float(np.abs(contributions).max())
    decimals = max(0, 2 - math.floor(math.log10(largest))) if largest > 0 else 0
    for row, picture in enumerate(images):
        grid.name_class(row, classes[row])
        grid.show(picture, row, 0)
        for column in range(top):
            grid.show(overlay(picture, heat[row, column], OPACITY), row, 1 + column)
            # A true minus sign, and a plus: direction is what matters here.
            amount = f"{contributions[row, column]:+.{decimals}f}".replace("-", "−")
            left, upper = grid.corner(row, 1 + column)
            grid.text(left, upper + grid.side + 0.03, f"channel {channels[row, column]}")
            grid.text(left, upper + grid.side + 0.15, f"{amount} logits")
    grid.draw_bar(0.36, f"≥ {scale_max:.3g}", "activation of the channel (no unit)")
    return grid.figure


def channel_caption(
    contributions: Float64Array,
    classes: Sequence[str],
    *,
    model: str,
    source: str,
    n_channels: int,
) -> str:
    """Caption of `channel_figure` that stands alone.

    Parameters
    ----------
    contributions, classes
        As there.
    model : str
        Network that the channels belong to.
    source : str
        Images over which the contributions were averaged or read, and the samples shown.
    n_channels : int
        Channels of the layer.
    """
    top = contributions.shape[1]
    return (
        f"The {top} strongest of {n_channels} channels of the last feature maps of {model} for each"
        f" of {len(classes)} classes ({', '.join(classes)}), over a sample image of the class."
        f" Images: {source}. Below each picture: number of the channel (from 0) and what it adds to"
        " the logit of the class, its mean activation times its weight in the last layer"
        f" ({contributions.min():.3g} to {contributions.max():.3g} logits). Colours show the"
        " channel's activation before weighting, on one scale for all pictures; lines enclose the"
        " smallest regions that hold half (thin) and a quarter (thick) of it."
    )


def channel_table_caption(run: str) -> str:
    """Caption of the table of `channels.strongest_channels` of a run."""
    return (
        f"Strongest channels of the last feature map of each class ({run}). Contribution: mean of "
        "weight × pooled activation over the test images of the class, in units of the logit; "
        "share: of all positive contributions to that logit."
    )
