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
from workflow_scripts.cxrcam.drawing.tables import by_run, require_columns
from workflow_scripts.cxrcam.metrics.calibration_bins import (
    CALIBRATION_BINS,
    calibration_bins,
    expected_calibration_error,
)
from workflow_scripts.cxrcam.metrics.intervals import wilson_interval


@styled
def reliability_figure(
    predictions: pd.DataFrame,
    classes: Sequence[str],
    *,
    bins: int = CALIBRATION_BINS,
    title: str = "Reliability of the probabilities",
) -> Figure:
    """Draw a reliability diagram: accuracy against the probability of the predicted class.

    Parameters
    ----------
    predictions : DataFrame
        Test predictions: `label`, `probability_<class>`; optional `run` (fold, repeat or seed).
    classes : sequence of str
        Class names.
    bins : int, default 15
        Equal-width bins, as in the expected calibration error.
    title : str
        Title.

    Returns
    -------
    Figure
        Above: each run thin, all together thick with Wilson 95 % intervals, the diagonal of
        perfect calibration dashed, the error (ECE) in the legend. Below: images a bin.

    Raises
    ------
    ValueError
        If a column is missing or the table is empty.

    References
    ----------
    Guo et al. 2017; Wilson intervals in the manner of Bröcker & Smith 2007.
    """
    names = list(classes)
    columns = [f"probability_{name}" for name in names]
    require_columns(predictions, ["label", *columns], "the predictions table")
    figure = Figure(figsize=(COLUMN_WIDTH, COLUMN_WIDTH + 1.3), layout="constrained")
    axes, counts = figure.subplots(2, 1, height_ratios=(3.2, 1.0), sharex=True)
    runs = by_run(predictions)
    lines = _draw_all(axes, predictions, names, bins, "all runs" if len(runs) > 1 else "this run")
    if len(runs) > 1:
        lines |= _draw_each(axes, runs, names, bins)
    (perfect,) = axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.0, zorder=1)
    lines["perfect calibration"] = perfect
    # The largest of k probabilities is never below 1/k: the axis starts at that bin.
    first = math.floor(bins / len(names)) / bins
    axes.set_xlim(first - 0.01, 1.01)
    axes.set_ylim(-0.02, 1.04)
    axes.set_ylabel("accuracy (share correct)")
    # Outside: a reliability curve can pass through any corner.
    figure.legend(list(lines.values()), list(lines), loc="outside lower center")
    _draw_counts(counts, calibration_bins(*_top_label(predictions, names), bins), bins)
    figure.align_ylabels([axes, counts])
    figure.suptitle(wrapped(title, COLUMN_WIDTH - 0.2, 9.0, 2, bold=True))
    return figure


def _draw_all(
    axes: Axes, predictions: pd.DataFrame, names: Sequence[str], bins: int, name: str
) -> dict[str, Any]:
    """Draw all predictions together with their intervals; line and label for the legend."""
    confidence, correct = _top_label(predictions, names)
    table = calibration_bins(confidence, correct, bins)
    used = table[table["n"] > 0]
    bounds = np.array(
        [wilson_interval(int(c), int(n)) for c, n in zip(used["correct"], used["n"], strict=True)]
    )
    accuracy = used["accuracy"].to_numpy()
    thick = axes.errorbar(
        used["confidence"],
        accuracy,
        yerr=np.clip(np.abs(bounds.T - accuracy), 0.0, None),
        color=BLUE,
        marker="o",
        markersize=3.5,
        linewidth=1.6,
        elinewidth=0.9,
        capsize=1.5,
        zorder=3,
    )
    error = expected_calibration_error(confidence, correct, bins)
    return {f"{name}, n = {len(correct)}, ECE {error:.3f}": thick}


def _draw_each(
    axes: Axes, runs: Sequence[pd.DataFrame], names: Sequence[str], bins: int
) -> dict[str, Any]:
    """Draw each run as a thin line; one of them with the label of all."""
    errors = []
    for part in runs:
        confidence, correct = _top_label(part, names)
        errors.append(expected_calibration_error(confidence, correct, bins))
        table = calibration_bins(confidence, correct, bins)
        used = table[table["n"] > 0]
        (thin,) = axes.plot(
            used["confidence"], used["accuracy"], color=SKY_BLUE, linewidth=0.8, zorder=2
        )
    return {f"each of {len(runs)} runs, ECE {min(errors):.3f}–{max(errors):.3f}": thin}


def _draw_counts(axes: Axes, table: pd.DataFrame, bins: int) -> None:
    """Draw how many images each bin holds."""
    axes.bar(
        table["low"],
        table["n"],
        width=1.0 / bins,
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
