"""Figures of the report: galleries of maps, curves, calibration, training history, overview.

Every function takes arrays or DataFrames and returns a matplotlib Figure drawn without pyplot;
`save_figure` writes it. Class names are taken from the data and print literally. Where several
runs (folds, repeats, seeds) are given, each is a thin line and all together a thick one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from workflow_scripts.cxrcam.figure_style import (
    BLACK,
    BLUE,
    COLUMN_WIDTH,
    GREEN,
    GREY,
    LIGHT_GREY,
    MARKERS,
    ORANGE,
    PAGE_WIDTH,
    PURPLE,
    SKY_BLUE,
    VERMILION,
    fitted,
    save_figure,
    styled,
    wrapped,
)
from workflow_scripts.cxrcam.intervals import (
    Interval,
    auroc_interval,
    average_precision_interval,
    wilson_interval,
)
from workflow_scripts.cxrcam.metrics import (
    CALIBRATION_BINS,
    calibration_bins,
    expected_calibration_error,
)
from workflow_scripts.cxrcam.overlays import (
    LESION_COLOUR,
    LUNG_COLOUR,
    OPACITY,
    colour_bar,
    overlay_with_contours,
)

__all__ = [
    "accuracy_overview_figure",
    "confusion_figure",
    "gallery",
    "history_figure",
    "precision_recall_figure",
    "reliability_figure",
    "roc_figure",
    "save_figure",
]

Floats = npt.NDArray[np.float64]

FLOOR_PREFIX: Final = "floor_"
"""Columns of the metrics table that hold what a classifier blind to the lungs reaches."""

# From white to the Okabe-Ito blue: one hue, ordered by lightness.
_SHARES = LinearSegmentedColormap.from_list("share", ["#FFFFFF", BLUE])

# Above this share a cell is dark enough to need white letters (contrast 4.5 : 1).
_WHITE_LETTERS_FROM: Final = 0.62


def _require_columns(table: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    absent = [column for column in columns if column not in table.columns]
    if absent:
        raise ValueError(f"{what} has no column {absent[0]!r}; it has {list(table.columns)}")
    if table.empty:
        raise ValueError(f"{what} is empty: there is nothing to draw")


def _by_run(table: pd.DataFrame, run: str) -> list[pd.DataFrame]:
    """Split a table into its runs; without such a column it is one run."""
    if run not in table.columns:
        return [table]
    return [part for _, part in table.groupby(run, sort=True)]


# --- Confusion matrix ------------------------------------------------------------------------


@styled
def confusion_figure(
    matrix: npt.ArrayLike, classes: Sequence[str], *, title: str = "Confusion matrix"
) -> Figure:
    """Draw a confusion matrix: share of each true class, with counts.

    Parameters
    ----------
    matrix : array-like of int, shape (k, k)
        Counts; rows are the truth. Matrices of several folds can be added before.
    classes : sequence of str, length k
        Class names in the order of the matrix.
    title : str
        Title.

    Returns
    -------
    Figure
        Cells are shaded by the share of their row; a true class without images shows "–".

    Raises
    ------
    ValueError
        If the matrix is not (k, k).
    """
    counts = np.asarray(matrix, dtype=np.int64)
    k = len(classes)
    if counts.shape != (k, k):
        raise ValueError(f"confusion matrix has shape {counts.shape} for {k} classes")
    row_sums = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, row_sums, out=np.zeros((k, k)), where=row_sums > 0)

    cell = max(0.47, min(0.85, 2.3 / k))
    # Rows of many classes are too low for three lines of a name; two longer ones stand beside.
    room, lines = (1.3, 2) if k > 4 else (0.95 if k > 3 else cell, 3)
    names = [wrapped(name, room, 7.0, lines) for name in classes]
    width = cell * k + room + 0.85
    figure = Figure(
        figsize=(width, cell * k + (1.1 + room if k > 3 else 1.45)), layout="constrained"
    )
    axes = figure.add_subplot()
    axes.imshow(shares, cmap=_SHARES, vmin=0.0, vmax=1.0)
    axes.grid(False)
    for row in range(k):
        for column in range(k):
            if row_sums[row, 0] == 0:
                text = "–"
            elif counts[row, column] == 0:
                # A bare 0: percentages of nothing would bury the confusions that do occur.
                text = "0"
            else:
                text = f"{100 * shares[row, column]:.0f} %\n{counts[row, column]}"
            ink = GREY if counts[row, column] == 0 else BLACK
            axes.text(
                column,
                row,
                text,
                ha="center",
                va="center",
                fontsize=7.0 if k > 4 else 8.0,
                fontweight="bold" if row == column else "normal",
                color="white" if shares[row, column] > _WHITE_LETTERS_FROM else ink,
            )
    axes.set_xticks(range(k), names, rotation=0 if k <= 3 else 90)
    axes.set_yticks(range(k), [f"{name}\n(n = {row_sums[i, 0]})" for i, name in enumerate(names)])
    # Thin white lines between the cells instead of a frame.
    axes.set_xticks(np.arange(1, k) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, k) - 0.5, minor=True)
    axes.grid(True, which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    for side in axes.spines.values():
        side.set_visible(True)
        side.set_color(LIGHT_GREY)
    figure.suptitle(wrapped(title, width - 0.2, 9.0, 2, bold=True))
    axes.set_title("share of the true class, number of images", fontsize=7.0, fontweight="normal")
    return figure


# --- ROC and precision-recall ----------------------------------------------------------------


def _curve_panels(titles: Sequence[str]) -> tuple[Figure, list[Axes]]:
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
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "0.25", "0.5", "0.75", "1"])
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "0.25", "0.5", "0.75", "1"])
        panels.append(axes)
    return figure, panels


def _curve_figure(
    predictions: pd.DataFrame,
    classes: Sequence[str],
    *,
    run: str,
    seed: int,
    repeats: int,
    curve: Callable[[npt.NDArray[np.bool_], Floats], tuple[Floats, Floats]],
    area: Callable[[npt.NDArray[np.bool_], Floats], float],
    interval: Callable[..., Interval],
    area_name: str,
    drawstyle: Any,  # noqa: ANN401 - matplotlib's own literal type
    chance: Callable[[float], tuple[list[float], list[float], str]],
    axis_labels: Callable[[int, int], tuple[str, str]],
    legend_corner: Callable[[float], Any],
    title: str,
) -> Figure:
    """Draw one curve figure; the two public functions differ only in what they pass."""
    names = list(classes)
    columns = [f"probability_{name}" for name in names]
    _require_columns(predictions, ["label", *columns], "the predictions table")
    # In a two-class task the curve of one class is the mirror of the other's.
    drawn = names[1:] if len(names) == 2 else names
    runs = _by_run(predictions, run)
    # An image that is tested in several repeats, or has a twin, is drawn as one unit.
    unit = next((name for name in ("group", "image_id") if name in predictions.columns), None)
    figure, panels = _curve_panels(
        [f"positive: {drawn[0]}"] if len(names) == 2 else [f"{name} vs rest" for name in drawn]
    )
    for axes, name in zip(panels, drawn, strict=True):
        column = f"probability_{name}"
        positive = (predictions["label"] == name).to_numpy(dtype=bool)
        scores = predictions[column].to_numpy(dtype=np.float64)
        n_positive, n = int(positive.sum()), len(positive)
        x_label, y_label = axis_labels(n_positive, n)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        if n_positive in (0, n):
            axes.text(
                0.5,
                0.5,
                f"not assessable:\n{'no' if n_positive == 0 else 'every'} test image\n"
                "is of this class",
                ha="center",
                va="center",
            )
            continue
        handles: list[Line2D] = []
        labels: list[str] = []
        x, y = curve(positive, scores)
        (thick,) = axes.plot(x, y, color=BLUE, linewidth=1.8, drawstyle=drawstyle, zorder=3)
        low, high = interval(
            positive,
            scores,
            groups=None if unit is None else predictions[unit].to_numpy(),
            seed=seed,
            repeats=repeats,
        )
        who = "all runs" if len(runs) > 1 else "this run"
        handles.append(thick)
        labels.append(
            f"{who}, n = {n}\n{area_name} {area(positive, scores):.3f}\n"
            f"95 % CI {low:.3f}–{high:.3f}"
        )
        if len(runs) > 1:
            areas = []
            for part in runs:
                part_positive = (part["label"] == name).to_numpy(dtype=bool)
                part_scores = part[column].to_numpy(dtype=np.float64)
                if part_positive.all() or not part_positive.any():
                    continue
                areas.append(area(part_positive, part_scores))
                x, y = curve(part_positive, part_scores)
                (thin,) = axes.plot(
                    x, y, color=SKY_BLUE, linewidth=0.8, drawstyle=drawstyle, zorder=2
                )
            if areas:
                handles.append(thin)
                labels.append(
                    f"each of {len(areas)} runs\n{area_name} {min(areas):.3f}–{max(areas):.3f}"
                )
        chance_x, chance_y, chance_label = chance(n_positive / n)
        (line,) = axes.plot(chance_x, chance_y, color=GREY, linewidth=1.0, linestyle="--", zorder=1)
        handles.append(line)
        labels.append(chance_label)
        axes.legend(handles, labels, loc=legend_corner(n_positive / n), handlelength=1.6)
    figure.suptitle(wrapped(title, figure.get_figwidth() - 0.2, 9.0, 2, bold=True))
    return figure


@styled
def roc_figure(
    predictions: pd.DataFrame,
    classes: Sequence[str],
    *,
    run: str = "run",
    seed: int = 0,
    repeats: int = 2000,
    title: str = "Receiver operating characteristic",
) -> Figure:
    """Draw ROC curves, with AUROC and its bootstrap interval in the legend.

    Parameters
    ----------
    predictions : DataFrame
        Test predictions: `label`, `probability_<class>`; optional `run` (fold, repeat or seed);
        optional `group` or `image_id`, the unit that the bootstrap draws.
    classes : sequence of str
        Class names. Two classes: one panel, the second class is positive. More: a panel a class,
        against the rest.
    run : str, default "run"
        Column that tells the runs apart.
    seed, repeats : int
        Of the bootstrap.
    title : str
        Title.

    Returns
    -------
    Figure
        Thin: each run. Thick: the predictions of all runs together. Dashed: chance.

    Raises
    ------
    ValueError
        If a column is missing, the table is empty, or a probability is not finite.
    """

    def curve(positive: npt.NDArray[np.bool_], scores: Floats) -> tuple[Floats, Floats]:
        false_positive_rate, sensitivity, _ = roc_curve(positive, scores)
        return false_positive_rate, sensitivity

    return _curve_figure(
        predictions,
        classes,
        run=run,
        seed=seed,
        repeats=repeats,
        curve=curve,
        area=lambda positive, scores: float(roc_auc_score(positive, scores)),
        interval=auroc_interval,
        area_name="AUROC",
        drawstyle="default",
        chance=lambda prevalence: ([0.0, 1.0], [0.0, 1.0], "chance, AUROC 0.5"),
        axis_labels=lambda positives, n: (
            f"1 − specificity (n = {n - positives})",
            f"sensitivity (n = {positives})",
        ),
        legend_corner=lambda prevalence: "lower right",
        title=title,
    )


@styled
def precision_recall_figure(
    predictions: pd.DataFrame,
    classes: Sequence[str],
    *,
    run: str = "run",
    seed: int = 0,
    repeats: int = 2000,
    title: str = "Precision and recall",
) -> Figure:
    """Draw precision-recall curves, with AUPRC and its bootstrap interval in the legend.

    Parameters, result and errors are those of `roc_figure`; the chance line is the share of the
    class among the test images. AUPRC is the average precision.
    """

    def curve(positive: npt.NDArray[np.bool_], scores: Floats) -> tuple[Floats, Floats]:
        precision, recall, _ = precision_recall_curve(positive, scores, drop_intermediate=True)
        return recall, precision

    return _curve_figure(
        predictions,
        classes,
        run=run,
        seed=seed,
        repeats=repeats,
        curve=curve,
        area=lambda positive, scores: float(average_precision_score(positive, scores)),
        interval=average_precision_interval,
        area_name="AUPRC",
        drawstyle="steps-post",
        chance=lambda prevalence: (
            [0.0, 1.0],
            [prevalence, prevalence],
            f"chance, prevalence {prevalence:.2f}",
        ),
        axis_labels=lambda positives, n: (
            f"recall = sensitivity (n = {positives})",
            f"precision = PPV (n = {n})",
        ),
        # The chance line of a rare class lies low; the legend must not cover it.
        legend_corner=lambda prevalence: "center left" if prevalence < 0.22 else "lower left",
        title=title,
    )


# --- Calibration -----------------------------------------------------------------------------


@styled
def reliability_figure(
    predictions: pd.DataFrame,
    classes: Sequence[str],
    *,
    run: str = "run",
    bins: int = CALIBRATION_BINS,
    title: str = "Reliability of the probabilities",
) -> Figure:
    """Draw a reliability diagram: accuracy against the probability of the predicted class.

    Parameters
    ----------
    predictions : DataFrame
        As in `roc_figure`.
    classes : sequence of str
        Class names.
    run : str, default "run"
        Column that tells the runs apart.
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
    _require_columns(predictions, ["label", *columns], "the predictions table")

    def top_label(part: pd.DataFrame) -> tuple[Floats, npt.NDArray[np.bool_]]:
        scores = part[columns].to_numpy(dtype=np.float64)
        called = np.asarray(names, dtype=object)[scores.argmax(axis=1)]
        return scores.max(axis=1), called == part["label"].to_numpy(dtype=object)

    figure = Figure(figsize=(COLUMN_WIDTH, COLUMN_WIDTH + 1.3), layout="constrained")
    axes, counts = figure.subplots(2, 1, height_ratios=(3.2, 1.0), sharex=True)
    confidence, correct = top_label(predictions)
    table = calibration_bins(confidence, correct, bins)
    used = table[table["n"] > 0]
    bounds = np.array(
        [wilson_interval(int(c), int(n)) for c, n in zip(used["correct"], used["n"], strict=True)]
    )
    accuracy = used["accuracy"].to_numpy()
    runs = _by_run(predictions, run)
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
    handles: list[Any] = [thick]
    labels = [f"{'all runs' if len(runs) > 1 else 'this run'}, n = {len(correct)}, ECE {error:.3f}"]
    if len(runs) > 1:
        errors = []
        for part in runs:
            part_confidence, part_correct = top_label(part)
            errors.append(expected_calibration_error(part_confidence, part_correct, bins))
            part_table = calibration_bins(part_confidence, part_correct, bins)
            part_table = part_table[part_table["n"] > 0]
            (thin,) = axes.plot(
                part_table["confidence"],
                part_table["accuracy"],
                color=SKY_BLUE,
                linewidth=0.8,
                zorder=2,
            )
        handles.append(thin)
        labels.append(f"each of {len(runs)} runs, ECE {min(errors):.3f}–{max(errors):.3f}")
    (perfect,) = axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.0, zorder=1)
    handles.append(perfect)
    labels.append("perfect calibration")
    # The largest of k probabilities is never below 1/k: the axis starts at that bin.
    first = math.floor(bins / len(names)) / bins
    axes.set_xlim(first - 0.01, 1.01)
    axes.set_ylim(-0.02, 1.04)
    axes.set_ylabel("accuracy (share correct)")
    # Outside: a reliability curve can pass through any corner.
    figure.legend(handles, labels, loc="outside lower center")
    counts.bar(
        table["low"],
        table["n"],
        width=1.0 / bins,
        align="edge",
        color=SKY_BLUE,
        edgecolor="white",
        linewidth=0.6,
    )
    counts.set_ylabel("images")
    counts.set_xlabel("probability of the predicted class")
    counts.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    figure.align_ylabels([axes, counts])
    figure.suptitle(wrapped(title, COLUMN_WIDTH - 0.2, 9.0, 2, bold=True))
    return figure


# --- Training history ------------------------------------------------------------------------

_ROLES: Final = (
    ("train", "training", BLUE, SKY_BLUE),
    ("validation", "validation", GREEN, "#8FD3BE"),
    ("test", "test", VERMILION, "#F0B48A"),
)


@styled
def history_figure(
    history: pd.DataFrame, *, run: str = "run", title: str = "Training history"
) -> Figure:
    """Draw loss and accuracy over the iterations, a panel for each and for each role.

    Parameters
    ----------
    history : DataFrame
        `iteration`, `role` (train, validation, test), `loss`, `accuracy`, and optionally `epoch`
        and a run column; other columns are not used.
    run : str, default "run"
        Column that tells the runs apart.
    title : str
        Title.

    Returns
    -------
    Figure
        Runs are thin, their mean is thick as far as all runs reach. Panels of a row share their
        scale, so that the gap between training and test can be seen.

    Raises
    ------
    ValueError
        If a column is missing, the table is empty, or no role is known.
    """
    _require_columns(history, ["iteration", "role", "loss", "accuracy"], "the history table")
    roles = [role for role in _ROLES if (history["role"] == role[0]).any()]
    if not roles:
        raise ValueError(
            f"the history table has the roles {sorted(map(str, history['role'].unique()))};"
            f" none of {[role[0] for role in _ROLES]}"
        )
    width = PAGE_WIDTH if len(roles) > 1 else COLUMN_WIDTH
    figure = Figure(figsize=(width, 4.2), layout="constrained")
    grid = figure.subplots(2, len(roles), sharex=True, sharey="row", squeeze=False)
    for column, (role, role_name, colour, pale) in enumerate(roles):
        runs = _by_run(history[history["role"] == role], run)
        for row, metric in enumerate(("loss", "accuracy")):
            axes = grid[row, column]
            series = [
                part.groupby("iteration")[metric].mean().dropna().sort_index() for part in runs
            ]
            series = [one for one in series if len(one)]
            if not series:
                axes.text(
                    0.5, 0.5, "not recorded", ha="center", va="center", transform=axes.transAxes
                )
                continue
            # A short series would be an invisible dot of a line.
            marker = "o" if max(map(len, series)) <= 12 else ""
            if len(series) > 1:
                for one in series:
                    axes.plot(one.index, one, color=pale, linewidth=0.7, zorder=2)
                # Runs may log at different iterations: interpolate inside each, then average
                # where all of them have values.
                together = pd.concat(series, axis=1, keys=range(len(series))).sort_index()
                filled = together.interpolate(method="index", limit_area="inside")
                mean = filled.mean(axis=1)[filled.notna().all(axis=1)]
            else:
                mean = series[0]
            axes.plot(mean.index, mean, color=colour, marker=marker, markersize=3.0, zorder=3)
            if row == 0:
                axes.set_title(role_name)
    losses = history["loss"].to_numpy(dtype=np.float64)
    grid[0, 0].set_ylabel("loss (cross-entropy, nats)")
    grid[0, 0].set_ylim(bottom=min(0.0, float(np.nanmin(losses))) if losses.size else 0.0)
    grid[1, 0].set_ylabel("accuracy (share correct)")
    grid[1, 0].set_ylim(top=1.02)
    unit = "iteration (batches seen)"
    if "epoch" in history.columns:
        whole = history[history["epoch"] >= 1]
        per_epoch = (whole["iteration"] / whole["epoch"]).to_numpy(dtype=np.float64)
        if per_epoch.size and np.ptp(per_epoch) < 1e-6 * per_epoch.max():
            unit = f"iteration ({per_epoch[0]:.0f} batches an epoch)"
    for axes in grid[1]:
        axes.set_xlabel(unit)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    n_runs = len(_by_run(history, run))
    if n_runs > 1:
        # Outside, in grey for all panels: a curve can pass through any corner.
        figure.legend(
            [Line2D([], [], color=GREY, linewidth=1.8), Line2D([], [], color=GREY, linewidth=0.7)],
            [f"mean of {n_runs} runs", "each run"],
            loc="outside lower center",
            ncols=2,
        )
    figure.suptitle(wrapped(title, width - 0.2, 9.0, 2, bold=True))
    return figure


# --- Overview of accuracies ------------------------------------------------------------------

# Height of a line of the overview in inches: 7 pt letters, and room for the floors below a dot.
_LINE: Final = 0.2

# Floors lie a little lower than the model's dot, in lines, so that neither hides the other.
_FLOOR_DROP: Final = 0.3


def _floor_marker(index: int) -> dict[str, Any]:
    """Shape and colour of a floor: hollow, so that it never looks like a model's dot."""
    colours = (VERMILION, ORANGE, GREEN, PURPLE, SKY_BLUE, BLACK)
    return {
        "linestyle": "none",
        "color": colours[index % len(colours)],
        "marker": MARKERS[1 + index % (len(MARKERS) - 1)],
        "markerfacecolor": "white",
        "markersize": 4.5,
    }


@styled
def accuracy_overview_figure(
    table: pd.DataFrame, *, title: str = "Accuracy and its floor"
) -> Figure:
    """Draw the accuracy of every run with its interval, beside what blind classifiers reach.

    Parameters
    ----------
    table : DataFrame
        tables/metrics.csv: `task`, `scheme`, `n`, `correct`; optional `dataset`, `fold`, `seed`
        (name the run), `majority_share`, and any number of columns that begin with "floor_"
        (accuracy of a classifier that cannot see the lungs, on the same split; NaN where it is
        not measured).

    title : str
        Title.

    Returns
    -------
    Figure
        A forest plot grouped by task and scheme. Dot and bar: accuracy with Wilson 95 % interval;
        dashed: share of the majority class; other shapes: floors. A group without a
        measured floor says so.

    Raises
    ------
    ValueError
        If a column is missing or the table is empty.
    """
    _require_columns(table, ["task", "scheme", "n", "correct"], "the metrics table")
    keys = [name for name in ("dataset", "task", "scheme") if name in table.columns]
    if "dataset" in keys and table["dataset"].nunique() == 1:
        keys.remove("dataset")
    floors = [str(name) for name in table.columns if str(name).startswith(FLOOR_PREFIX)]
    floors = [name for name in floors if pd.to_numeric(table[name]).notna().any()]
    groups = list(table.groupby(keys, sort=False, dropna=False))
    rows = len(table) + len(groups)
    figure = Figure(
        figsize=(PAGE_WIDTH, _LINE * (rows + 0.5 * len(groups)) + 1.4), layout="constrained"
    )
    axes = figure.add_subplot()
    positions: list[float] = []
    names: list[str] = []
    numbers: list[str] = []
    lowest = 1.0
    y = 0.0
    for key, runs in groups:
        header = y
        measured = False
        for _, record in runs.iterrows():
            y -= 1.0
            n, correct = int(record["n"]), int(record["correct"])
            low, high = wilson_interval(correct, n)
            accuracy = correct / n
            axes.plot([low, high], [y, y], color=BLUE, linewidth=1.4, zorder=3)
            axes.plot(accuracy, y, color=BLUE, marker="o", markersize=4.5, zorder=4)
            lowest = min(lowest, low)
            share = record.get("majority_share")
            if share is not None and pd.notna(share):
                axes.plot(
                    [share, share], [y - 0.5, y + 0.5], color=GREY, linestyle=(0, (3, 2)), lw=1.0
                )
                lowest = min(lowest, float(share))
            for index, name in enumerate(floors):
                value = pd.to_numeric(record[name])
                if pd.isna(value):
                    continue
                measured = True
                lowest = min(lowest, float(value))
                axes.plot(value, y - _FLOOR_DROP, zorder=5, **_floor_marker(index))
            which = [
                f"{name} {record[name]}"
                for name in ("fold", "repeat", "seed")
                if name in record.index and pd.notna(record[name])
            ]
            positions.append(y)
            names.append(fitted(", ".join([*which, f"n = {n}"]), 2.0, 7.0))
            numbers.append(f"{accuracy:.3f} ({low:.3f}–{high:.3f})")
        # The heading stands in the free line above its runs, from the left edge of the plot.
        axes.text(
            0.0,
            header,
            "  ·  ".join(fitted(part, 1.5, 7.5, bold=True) for part in key),
            transform=axes.get_yaxis_transform(),
            fontsize=7.5,
            fontweight="bold",
            va="center",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
        )
        if not measured:
            axes.text(
                1.0,
                header,
                "floor not yet measured",
                transform=axes.get_yaxis_transform(),
                fontsize=7.0,
                fontstyle="italic",
                color=VERMILION,
                ha="right",
                va="center",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
            )
        y -= 1.5
    axes.set_ylim(y + 0.8, 0.7)
    axes.set_xlim(max(0.0, math.floor((lowest - 0.02) * 20) / 20), 1.005)
    axes.set_yticks(positions, names)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axis_label = "accuracy on the test images (share correct)"
    if floors:
        axis_label += "\nfloor: the same split, by a simple classifier that cannot read the lungs"
    axes.set_xlabel(axis_label)
    # The numbers themselves, as in a forest plot.
    right = axes.twinx()
    right.set_ylim(axes.get_ylim())
    right.set_yticks(positions, numbers)
    right.tick_params(axis="y", length=0)
    right.grid(False)
    right.spines["left"].set_visible(False)

    handles: list[Any] = [
        Line2D([], [], color=BLUE, marker="o", markersize=4.0, linewidth=1.2),
    ]
    labels = ["model, with Wilson 95 % interval"]
    if "majority_share" in table.columns:
        handles.append(Line2D([], [], color=GREY, linestyle=(0, (3, 2)), linewidth=1.0))
        labels.append("always the majority class")
    for index, name in enumerate(floors):
        handles.append(Line2D([], [], **_floor_marker(index)))
        labels.append(
            "floor: " + fitted(name.removeprefix(FLOOR_PREFIX).replace("_", " "), 1.5, 7.0)
        )
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    figure.suptitle(wrapped(title, PAGE_WIDTH - 0.2, 9.0, 2, bold=True))
    return figure


# --- Gallery of maps -------------------------------------------------------------------------


def _chosen(records: pd.DataFrame, most: int) -> pd.DataFrame:
    """Choose and sort: mistakes first, each part by falling confidence.

    Where both kinds exist, neither takes more than half while the other still has images:
    a gallery of mistakes only would pass for the whole.
    """
    wrong = records[records["predicted"] != records["label"]]
    right = records[records["predicted"] == records["label"]]
    wrong = wrong.sort_values("probability", ascending=False, kind="stable")
    right = right.sort_values("probability", ascending=False, kind="stable")
    n_wrong = min(len(wrong), max(most // 2, most - len(right)))
    return pd.concat([wrong.head(n_wrong), right.head(most - n_wrong)])


@styled
def gallery(
    images: npt.ArrayLike,
    heats: npt.ArrayLike,
    records: pd.DataFrame,
    *,
    class_name: str,
    scale_max: float,
    map_class: str | None = None,
    columns: int = 5,
    most: int = 10,
    opacity: float = OPACITY,
    lung_masks: Sequence[npt.ArrayLike | None] | None = None,
    lesion_masks: Sequence[npt.ArrayLike | None] | None = None,
    total: int | None = None,
    wrong: int | None = None,
    title: str | None = None,
) -> Figure:
    """Draw test images of one class with their maps below, mistakes first.

    Parameters
    ----------
    images : array-like of uint8, shape (n, s, s)
        X-rays.
    heats : array-like of float, shape (n, s, s)
        Heat in [0, 1] on the scale of the run.
    records : DataFrame of n rows
        `image_id`, `label`, `predicted`, `probability` (of the predicted class), in the order of
        the images. Rows of another label are left out.
    class_name : str
        True class of the images that are shown.
    scale_max : float
        Raw class activation at the hot end of the shared colour bar.
    map_class : str, optional
        Class that all maps explain; default: each explains the predicted class of its image.
    columns : int, default 5
        Images in a row.
    most : int, default 10
        Most images; up to half of them are mistakes if there are enough correct ones.
    opacity : float
        As in `overlays.overlay`.
    lung_masks, lesion_masks : sequence of (s, s) array-like or None, optional
        Outlines to draw over the maps.
    total, wrong : int, optional
        Test images of the class, and mistakes among them, for the heading. Without them the
        heading makes no claim about images that are not shown.
    title : str, optional
        First line of the heading; default: the class and the number of images.

    Returns
    -------
    Figure
        Pairs of original (above) and map (below), each with a sign and a word for right or wrong.

    Raises
    ------
    ValueError
        If numbers of rows differ, a column is missing, or no image is of the class.
    """
    _require_columns(
        records, ["image_id", "label", "predicted", "probability"], "the gallery's table"
    )
    pictures, heat = np.asarray(images), np.asarray(heats)
    if not len(pictures) == len(heat) == len(records):
        raise ValueError(
            f"{len(pictures)} images, {len(heat)} maps and {len(records)} records;"
            " the gallery needs one map and one record an image"
        )
    table = records.reset_index(drop=True)
    table = table[table["label"] == class_name]
    if table.empty:
        raise ValueError(f"no image of the gallery is of class {class_name!r}")
    shown = _chosen(table, most)
    columns = max(1, min(columns, len(shown)))
    rows = math.ceil(len(shown) / columns)

    # Placed by hand, in inches: 2 panels and 3 lines of text a row, and a strip for the bar.
    margin, gap, caption, head, foot = 0.12, 0.08, 0.47, 0.5, 0.62
    width = PAGE_WIDTH
    panel = min(1.7, (width - 2 * margin - (columns - 1) * gap) / columns)
    height = head + rows * (2 * panel + 0.03 + caption) + foot
    figure = Figure(figsize=(width, height))

    def axes_at(left: float, top: float, wide: float, high: float) -> Axes:
        axes = figure.add_axes(
            (left / width, 1 - (top + high) / height, wide / width, high / height)
        )
        axes.set_axis_off()
        return axes

    for place, (index, record) in enumerate(shown.iterrows()):
        number = int(str(index))
        row, column = divmod(place, columns)
        left = margin + column * (panel + gap)
        top = head + row * (2 * panel + 0.03 + caption)
        right_or_wrong = record["predicted"] == record["label"]
        axes_at(left, top, panel, panel).imshow(pictures[number], cmap="gray", vmin=0, vmax=255)
        mapped = overlay_with_contours(
            pictures[number],
            heat[number],
            opacity,
            lung_mask=None if lung_masks is None else lung_masks[number],
            lesion_mask=None if lesion_masks is None else lesion_masks[number],
        )
        axes_at(left, top + panel + 0.03, panel, panel).imshow(mapped)
        under = top + 2 * panel + 0.03
        verdict = "✓ correct" if right_or_wrong else "✗ called "
        if not right_or_wrong:
            verdict += fitted(record["predicted"], panel - 0.56, 7.0, bold=True)
        for text, offset, weight in (
            (fitted(record["image_id"], panel - 0.02, 7.0), 0.03, "normal"),
            (verdict, 0.15, "normal" if right_or_wrong else "bold"),
            (f"probability {record['probability']:.3f}", 0.27, "normal"),
        ):
            figure.text(
                left / width,
                1 - (under + offset) / height,
                text,
                fontsize=7.0,
                fontweight=weight,
                va="top",
            )
    of_total = "" if total is None else f" of {total} test"
    heading = (
        title if title is not None else f"True class {class_name}: {len(shown)}{of_total} images"
    )
    n_mistakes = int((shown["predicted"] != shown["label"]).sum())
    if 0 < n_mistakes < len(shown):
        mistakes = "1 mistake" if n_mistakes == 1 else f"{n_mistakes} mistakes"
        order = f"{mistakes} first, then correct ones, each by falling probability"
    else:
        order = f"{'mistakes' if n_mistakes else 'correct ones'} only, by falling probability"
    if total is None or len(shown) < total:
        order += "; chosen, not a random sample"
    if total is not None and wrong is not None:
        order += f" ({wrong} of all {total} are mistakes)"
    for text, offset, size, weight, colour in (
        (fitted(heading, width - 2 * margin, 9.0, bold=True), 0.1, 9.0, "bold", BLACK),
        (f"{order[0].upper()}{order[1:]}.", 0.29, 7.0, "normal", GREY),
    ):
        figure.text(
            margin / width,
            1 - offset / height,
            text,
            fontsize=size,
            fontweight=weight,
            color=colour,
            va="top",
        )
    bar_top = height - foot + 0.12
    bar = axes_at(margin, bar_top, 2.0, 0.13)
    bar.imshow(colour_bar(256, 1, opacity), aspect="auto", extent=(0, 1, 0, 1))
    for x, text, side in (
        (margin, "≤ 0", "left"),
        (margin + 2.0, f"≥ {scale_max:.3g}", "right"),
    ):
        figure.text(x / width, 1 - (bar_top + 0.16) / height, text, fontsize=7.0, ha=side, va="top")
    explained = "the predicted class" if map_class is None else fitted(map_class, 1.2, 7.0)
    note = f"class activation for {explained}, one scale for the whole run"
    outlines = [
        (name, "#" + bytes(colour).hex())
        for name, masks, colour in (
            ("lung outline", lung_masks, LUNG_COLOUR),
            ("lesion outline", lesion_masks, LESION_COLOUR),
        )
        if masks is not None and any(masks[int(str(i))] is not None for i in shown.index)
    ]
    figure.text((margin + 2.1) / width, 1 - bar_top / height, note, fontsize=7.0, va="top")
    figure.text(
        1 - margin / width,
        1 - bar_top / height,
        "research use only",
        fontsize=7.0,
        ha="right",
        va="top",
        color=GREY,
    )
    if outlines:
        figure.legend(
            handles=[Patch(facecolor="none", edgecolor=colour) for _, colour in outlines],
            labels=[name for name, _ in outlines],
            loc="upper left",
            bbox_to_anchor=((margin + 2.05) / width, 1 - (bar_top + 0.12) / height),
            ncols=2,
            borderaxespad=0.0,
            handlelength=1.4,
            handleheight=0.6,
        )
    return figure
