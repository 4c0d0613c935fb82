"""One X-ray of each class with the map of each method beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from workflow_scripts.cxrcam.arrays import Float32Array, UInt8Array
from workflow_scripts.cxrcam.configuration.map_methods import TITLES
from workflow_scripts.cxrcam.drawing.style import fitted, styled
from workflow_scripts.cxrcam.figures.picture_grid import PictureGrid
from workflow_scripts.cxrcam.maps.overlays import overlay
from workflow_scripts.cxrcam.maps.placement import heat_scale, normalise_map
from workflow_scripts.cxrcam.maps.raw_maps import RawMaps
from workflow_scripts.cxrcam.maps.run_pictures import PICTURE_SIDE, read_xray

# Lengths in inches.
_LEFT: Final = 0.44
"""Room for class names of two lines, turned."""
_LARGEST_PICTURE: Final = 1.3
_BELOW: Final = 0.15
"""A line of text below each row."""
_FOOT: Final = 0.72


@styled
def map_method_figure(
    images: UInt8Array,
    evidence: Float32Array,
    methods: Sequence[str],
    classes: Sequence[str],
    captions: Sequence[str],
    lung_masks: Sequence[npt.ArrayLike | None],
    lesion_masks: Sequence[npt.ArrayLike | None],
) -> Figure:
    """Draw an X-ray a row, and beside it the map of each method.

    Parameters
    ----------
    images : uint8 array, shape (k, s, s)
        X-rays.
    evidence : float32 array, shape (k, m, s, s)
        Placed maps, each method in units of a scale of its own.
    methods : sequence of str, length m
        Names of the methods, for the columns.
    classes : sequence of str, length k
        True class of each image.
    captions : sequence of str, length k
        What the network said of each image, in a few words.
    lung_masks, lesion_masks : sequence of (s, s) array-like or None, length k
        Outlines to draw over the maps.

    Returns
    -------
    Figure
    """
    names = ["X-ray", *methods]
    grid = PictureGrid.make(
        len(images),
        len(names),
        labels=names,
        left=_LEFT,
        foot=_FOOT,
        below=_BELOW,
        largest=_LARGEST_PICTURE,
    )
    for row, picture in enumerate(images):
        grid.name_class(row, classes[row])
        left, upper = grid.corner(row, 0)
        grid.text(
            left, upper + grid.side + 0.03, fitted(captions[row], grid.width - left - 0.1, 7.0)
        )
        grid.show(picture, row, 0)
        for column in range(len(methods)):
            drawn = overlay(
                picture,
                evidence[row, column],
                lung_mask=lung_masks[row],
                lesion_mask=lesion_masks[row],
            )
            grid.show(drawn, row, 1 + column)
    meaning = "for the predicted class; each method has a scale of its own"
    grid.draw_bar(0.52, "full colour", meaning)
    _write_foot(grid, lung_masks, lesion_masks)
    return grid.figure


def compared_maps_figure(
    maps: RawMaps,
    records: pd.DataFrame,
    index: pd.DataFrame,
    classes: Sequence[str],
    methods: Sequence[str],
    max_pixels: int,
) -> Figure:
    """Draw the first image of each class with the map of each method, as `map_method_figure`.

    Maps of n images and m methods, values of shape (n, m, h, w), and `records` of the same images
    as from `prediction_table.read_test_predictions`. All images give each method its scale, so that
    a faint map looks faint; classes without an image are left out.
    """
    labels = records["label"].to_numpy()
    chosen = [int(np.flatnonzero(labels == name)[0]) for name in classes if name in labels]
    shown = records.iloc[chosen].to_dict("records")
    xrays = [read_xray(index, row["image_id"], PICTURE_SIDE, max_pixels) for row in shown]
    heat = [
        normalise_map(
            maps.of_images(chosen).placed(np.full(len(chosen), k), PICTURE_SIDE),
            heat_scale(maps.values[:, k]),
        )
        for k in range(len(methods))
    ]
    return map_method_figure(
        np.stack([xray["grey"] for xray in xrays]),
        np.stack(heat, axis=1),
        [TITLES[method] for method in methods],
        [row["label"] for row in shown],
        [
            f"{row['image_id']}: called {row['predicted']}, probability {row['probability']:.3f}"
            for row in shown
        ],
        [xray["lung_mask"] for xray in xrays],
        [xray["lesion_mask"] for xray in xrays],
    )


def _write_foot(
    grid: PictureGrid,
    lung_masks: Sequence[npt.ArrayLike | None],
    lesion_masks: Sequence[npt.ArrayLike | None],
) -> None:
    """Say what the lines on the maps enclose."""
    lines = "Lines: half (thin) and a quarter (thick) of what is positive, dashed where faint"
    for words, masks in (("lungs in blue", lung_masks), ("lesions in green", lesion_masks)):
        if any(mask is not None for mask in masks):
            lines += f"; {words}"
    grid.text(_LEFT, grid.height - 0.2, fitted(lines, grid.width - _LEFT, 7.0))
