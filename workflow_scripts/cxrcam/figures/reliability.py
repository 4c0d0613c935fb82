"""The reliability diagram: whether a probability of 0.9 is right nine times in ten."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from workflow_scripts.cxrcam.arrays import BoolArray, Float64Array
from workflow_scripts.cxrcam.drawing.style import (
    BLUE,
    COLUMN_WIDTH,
    GREY,
    SKY_BLUE,
    styled,
    wrapped,
)
from workflow_scripts.cxrcam.metrics.calibration_bins import (
    CALIBRATION_BINS,
    calibration_bins,
    expected_calibration_error,
)
from workflow_scripts.cxrcam.metrics.intervals import wilson_interval


@styled
def reliability_figure(predictions: pd.DataFrame, classes: Sequence[str], *, title: str) -> Figure:
    """Draw a reliability diagram: accuracy against the probability of the predicted class.

    Parameters
    ----------
    predictions : DataFrame
        Test predictions: `image_id`, `label`, `probability_<class>`, `run`.
    classes : sequence of str
    title : str

    Returns
    -------
    Figure
        Above: each run thin, all together thick with Wilson 95 % intervals, the diagonal of
        perfect calibration dashed, the error (ECE) in the legend. Below: images in each of the
        equal-width bins of that error.

    References
    ----------
    Guo et al. 2017; Wilson intervals in the manner of Bröcker & Smith 2007.
    """
    names = list(classes)
    figure = Figure(figsize=(COLUMN_WIDTH, COLUMN_WIDTH + 1.3), layout="constrained")
    axes, counts = figure.subplots(2, 1, height_ratios=(3.2, 1.0), sharex=True)
    runs = [part for _, part in predictions.groupby("run")]
    lines = _draw_all(
        axes, predictions, names, f"{len(runs)} runs pooled" if len(runs) > 1 else "this run"
    )
    if len(runs) > 1:
        lines |= _draw_each(axes, runs, names)
    (perfect,) = axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.0, zorder=1)
    lines["perfect calibration"] = perfect
    # The largest of k probabilities is never below 1/k: the axis starts at that bin.
    first = math.floor(CALIBRATION_BINS / len(names)) / CALIBRATION_BINS
    axes.set_xlim(first - 0.01, 1.01)
    axes.set_ylim(-0.02, 1.04)
    axes.set_ylabel("accuracy (share correct)")
    # Outside: a reliability curve can pass through any corner.
    figure.legend(list(lines.values()), list(lines), loc="outside lower center")
    _draw_counts(counts, calibration_bins(*_top_label(predictions, names)))
    figure.align_ylabels([axes, counts])
    figure.suptitle(wrapped(title, COLUMN_WIDTH - 0.2, 9.0, 2, bold=True))
    return figure


def _draw_all(
    axes: Axes, predictions: pd.DataFrame, names: Sequence[str], name: str
) -> dict[str, Any]:
    """Draw all predictions together with their intervals; line and label for the legend."""
    confidence, correct = _top_label(predictions, names)
    table = calibration_bins(confidence, correct)
    used = table[table["n"] > 0]
    # Seeds answer the same images, which say no more for being asked again.
    once = predictions["image_id"].nunique() / len(predictions)
    low, high = np.transpose(
        [
            wilson_interval(round(right * once), max(1, round(n * once)))
            for right, n in zip(used["correct"], used["n"], strict=True)
        ]
    )
    accuracy = used["accuracy"].to_numpy()
    thick = axes.errorbar(
        used["confidence"],
        accuracy,
        yerr=np.clip([accuracy - low, high - accuracy], 0.0, None),
        color=BLUE,
        marker="o",
        markersize=3.5,
        linewidth=1.6,
        elinewidth=0.9,
        capsize=1.5,
        zorder=3,
    )
    error = expected_calibration_error(confidence, correct)
    return {f"{name}, {len(correct):,} answers, ECE {error:.3f}": thick}


def _draw_each(axes: Axes, runs: Sequence[pd.DataFrame], names: Sequence[str]) -> dict[str, Any]:
    """Draw each run as a thin line; one of them with the label of all."""
    errors = []
    for part in runs:
        confidence, correct = _top_label(part, names)
        errors.append(expected_calibration_error(confidence, correct))
        table = calibration_bins(confidence, correct)
        used = table[table["n"] > 0]
        (thin,) = axes.plot(
            used["confidence"], used["accuracy"], color=SKY_BLUE, linewidth=0.8, zorder=2
        )
    return {f"each of {len(runs)} runs, ECE {min(errors):.3f}–{max(errors):.3f}": thin}


def _draw_counts(axes: Axes, table: pd.DataFrame) -> None:
    """Draw how many images each bin holds."""
    axes.bar(
        table["low"],
        table["n"],
        width=1.0 / CALIBRATION_BINS,
        align="edge",
        color=SKY_BLUE,
        edgecolor="white",
        linewidth=0.6,
    )
    axes.set_ylabel("images")
    axes.set_xlabel("probability of the predicted class")
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))


def _top_label(predictions: pd.DataFrame, names: Sequence[str]) -> tuple[Float64Array, BoolArray]:
    """Probability of each image's predicted class, and whether the image is of that class."""
    scores = predictions[[f"probability_{name}" for name in names]].to_numpy(dtype=np.float64)
    called = np.asarray(names, dtype=object)[scores.argmax(axis=1)]
    return scores.max(axis=1), called == predictions["label"].to_numpy(dtype=object)
