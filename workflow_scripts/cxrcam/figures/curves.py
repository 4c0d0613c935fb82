"""ROC and precision-recall curves.

Every run (fold, repeat or seed) is a thin line, the predictions of all runs together a thick one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from workflow_scripts.cxrcam.arrays import BoolArray, Float64Array
from workflow_scripts.cxrcam.drawing.style import (
    BLUE,
    COLUMN_WIDTH,
    GREY,
    PAGE_WIDTH,
    SKY_BLUE,
    styled,
    wrapped,
)
from workflow_scripts.cxrcam.metrics.intervals import (
    bootstrap_interval,
    weighted_auroc,
    weighted_average_precision,
)
from workflow_scripts.cxrcam.metrics.ranking import class_log_odds

Metrics = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class _CurveKind:
    """What tells a ROC curve and a precision-recall curve apart."""

    points: Callable[[BoolArray, Float64Array], tuple[Float64Array, Float64Array]]
    """x and y of the curve, from truth and scores."""
    area: Callable[[BoolArray, Float64Array], float]
    """Area under it, from truth and scores."""
    weighted_area: Callable[..., Float64Array]
    """The same for many resamples at once, see `intervals.bootstrap_interval`."""
    area_name: str
    """As legends write it; in lower case the name of the number in metrics.json."""
    drawstyle: Any  # matplotlib's own literal type
    chance: Callable[[float], tuple[list[float], str]]
    """Height of the chance line at x = 0 and x = 1 and its label, from the share of positives."""
    axis_labels: Callable[[int, int], tuple[str, str]]
    """Labels of x and y, from the numbers of positives and negatives."""
    legend_corner: Callable[[float], Any]
    """Where the legend hides least, from the share of positives."""


def _roc_points(positive: BoolArray, scores: Float64Array) -> tuple[Float64Array, Float64Array]:
    false_positive_rate, sensitivity, _ = roc_curve(positive, scores)
    return false_positive_rate, sensitivity


def _precision_recall_points(
    positive: BoolArray, scores: Float64Array
) -> tuple[Float64Array, Float64Array]:
    precision, recall, _ = precision_recall_curve(positive, scores, drop_intermediate=True)
    return recall, precision


_ROC: Final = _CurveKind(
    points=_roc_points,
    area=roc_auc_score,
    weighted_area=weighted_auroc,
    area_name="AUROC",
    drawstyle="default",
    chance=lambda prevalence: ([0.0, 1.0], "chance, AUROC 0.5"),
    axis_labels=lambda positives, negatives: (
        f"1 − specificity (n = {negatives})",
        f"sensitivity (n = {positives})",
    ),
    legend_corner=lambda prevalence: "lower right",
)

_PRECISION_RECALL: Final = _CurveKind(
    points=_precision_recall_points,
    area=average_precision_score,
    weighted_area=weighted_average_precision,
    area_name="AUPRC",
    drawstyle="steps-post",
    chance=lambda prevalence: ([prevalence] * 2, f"chance, prevalence {prevalence:.2f}"),
    axis_labels=lambda positives, negatives: (
        f"recall = sensitivity (n = {positives})",
        f"precision = PPV (n = {positives + negatives})",
    ),
    # The chance line of a rare class lies low; the legend must not cover it.
    legend_corner=lambda prevalence: "center left" if prevalence < 0.22 else "lower left",
)


@styled
def roc_figure(
    predictions: pd.DataFrame, classes: Sequence[str], *, title: str, metrics: Metrics = ()
) -> Figure:
    """Draw ROC curves, with AUROC and its bootstrap interval in the legend.

    Parameters
    ----------
    predictions : DataFrame
        Test predictions: `label`, `probability_<class>`, `run`, and `group`, the unit that the
        bootstrap draws.
    classes : sequence of str
        Two classes: one panel, the second class is positive. More: a panel a class, against the
        rest.
    title : str
    metrics : sequence of mappings, optional
        metrics.json of each run. The interval of a single run is the one that stands there: a
        second bootstrap would give another.

    Returns
    -------
    Figure
        Thin: each run. Thick: the predictions of all runs pooled. Dashed: chance.
    """
    return _curve_figure(_ROC, predictions, classes, title, metrics)


@styled
def precision_recall_figure(
    predictions: pd.DataFrame, classes: Sequence[str], *, title: str, metrics: Metrics = ()
) -> Figure:
    """Draw precision-recall curves, with AUPRC and its bootstrap interval in the legend.

    Parameters and result are those of `roc_figure`; the chance line is the share of the class among
    the test images. AUPRC is the average precision.
    """
    return _curve_figure(_PRECISION_RECALL, predictions, classes, title, metrics)


def _curve_figure(
    kind: _CurveKind,
    predictions: pd.DataFrame,
    classes: Sequence[str],
    title: str,
    metrics: Metrics,
) -> Figure:
    """Draw a panel for each class, or for the second of two."""
    names = list(classes)
    odds = class_log_odds(predictions[[f"probability_{name}" for name in names]])
    predictions = predictions.assign(**{f"odds_{name}": odds[:, k] for k, name in enumerate(names)})
    # In a two-class task the curve of one class is the mirror of the other's.
    two = len(names) == 2
    drawn = names[1:] if two else names
    figure, panels = _panels([f"positive: {name}" if two else f"{name} vs rest" for name in drawn])
    for axes, name in zip(panels, drawn, strict=True):
        _draw_curves(axes, kind, name, predictions, metrics)
    figure.suptitle(wrapped(title, figure.get_figwidth() - 0.2, 9.0, 2, bold=True))
    return figure


def _panels(titles: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """Make one square panel for two classes, else one panel a class, three in a row."""
    columns = min(3, len(titles))
    rows = math.ceil(len(titles) / columns)
    if columns == 1:
        headings = [wrapped(name, 2.8, 8.5, 2, bold=True) for name in titles]
        size = (COLUMN_WIDTH, COLUMN_WIDTH + 0.35)
    else:
        headings = [wrapped(name, 1.85, 8.5, 2, bold=True) for name in titles]
        two_lines = any("\n" in heading for heading in headings)
        size = (PAGE_WIDTH * columns / 3, (2.65 if two_lines else 2.5) * rows + 0.3)
    figure = Figure(figsize=size, layout="constrained")
    panels = []
    for index, heading in enumerate(headings):
        axes = figure.add_subplot(rows, columns, index + 1)
        axes.set_title(heading)
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.set_aspect("equal")
        ticks = ["0", "0.25", "0.5", "0.75", "1"]
        axes.set_xticks([float(tick) for tick in ticks], ticks)
        axes.set_yticks([float(tick) for tick in ticks], ticks)
        panels.append(axes)
    return figure, panels


def _truth_and_scores(predictions: pd.DataFrame, name: str) -> tuple[BoolArray, Float64Array]:
    """Whether each image is of the class, and the class's log-odds."""
    positive = (predictions["label"] == name).to_numpy(dtype=bool)
    return positive, predictions[f"odds_{name}"].to_numpy(dtype=np.float64)


def _draw_curves(
    axes: Axes, kind: _CurveKind, name: str, predictions: pd.DataFrame, metrics: Metrics
) -> None:
    """Draw the curves of one class: all runs together, each run, chance, and the legend."""
    positive, scores = _truth_and_scores(predictions, name)
    n_positive, n = int(positive.sum()), len(positive)
    x_label, y_label = kind.axis_labels(n_positive, n - n_positive)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    if n_positive in (0, n):
        whose = "no" if n_positive == 0 else "every"
        text = f"not assessable:\n{whose} test image\nis of this class"
        axes.text(0.5, 0.5, text, ha="center", va="center")
        return
    runs = [part for _, part in predictions.groupby("run")]
    if len(runs) == 1 and metrics:
        low, high = metrics[0]["per_class"][name][f"{kind.area_name.lower()}_interval"]
    else:
        low, high = bootstrap_interval(
            kind.weighted_area, positive, scores, groups=predictions["group"].to_numpy(), seed=0
        )
    thick = axes.plot(
        *kind.points(positive, scores),
        color=BLUE,
        linewidth=1.8,
        drawstyle=kind.drawstyle,
        zorder=3,
    )
    legend = {
        f"{f'{len(runs)} runs pooled' if len(runs) > 1 else 'this run'}, {n:,} answers\n"
        f"{kind.area_name} {kind.area(positive, scores):.3f}\n95 % CI {low:.3f}–{high:.3f}": thick
    }
    if len(runs) > 1:
        legend |= _draw_each(axes, kind, name, runs)
    prevalence = n_positive / n
    heights, chance_label = kind.chance(prevalence)
    legend[chance_label] = axes.plot(
        [0.0, 1.0], heights, color=GREY, linewidth=1.0, linestyle="--", zorder=1
    )
    handles = [line for (line,) in legend.values()]
    axes.legend(handles, list(legend), loc=kind.legend_corner(prevalence), handlelength=1.6)


def _draw_each(
    axes: Axes, kind: _CurveKind, name: str, runs: Sequence[pd.DataFrame]
) -> dict[str, list[Line2D]]:
    """Draw the curve of each run that can be assessed; label and line for the legend."""
    areas: list[float] = []
    thin: list[Line2D] = []
    for part in runs:
        positive, scores = _truth_and_scores(part, name)
        if positive.all() or not positive.any():
            continue
        areas.append(kind.area(positive, scores))
        thin = axes.plot(
            *kind.points(positive, scores),
            color=SKY_BLUE,
            linewidth=0.8,
            drawstyle=kind.drawstyle,
            zorder=2,
        )
    if not areas:
        return {}
    areas_text = f"{kind.area_name} {min(areas):.3f}–{max(areas):.3f}"
    return {f"each of {len(areas)} runs\n{areas_text}": thin}
