"""Published systems beside each other: one row a design, thresholds, and the page of words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.arrays import BoolArray
from workflow_scripts.cxrcam.drawing.publication_table import MISSING, markdown_table
from workflow_scripts.cxrcam.markdown import markdown_text
from workflow_scripts.cxrcam.metrics.intervals import wilson_interval
from workflow_scripts.cxrcam.metrics.shares import pooled
from workflow_scripts.cxrcam.paper.published_systems import SYSTEMS
from workflow_scripts.cxrcam.terms import TEST, VALIDATION

#: Sensitivity for which Deep-COVID chooses its threshold.
WANTED_SENSITIVITY: Final = 0.97

#: What the column ``trained`` says where no layer is frozen.
ALL_LAYERS: Final = "all layers"

TABLE_CAPTION: Final = (
    "Published systems on the same images, beside the best classifier that cannot see lung detail. "
    "Accuracy over all runs with Wilson's 95 % interval; sensitivity and specificity to the class "
    "that is recognised; GMAC: 10^9 multiply-adds of one image; s an image: answer and maps, one "
    "image at a time, on the machine of this run."
)
ACCURACY_CAPTION: Final = (
    "Accuracy of published systems on the same images, with Wilson's 95 % interval, and of the "
    "best classifier on them that cannot see lung detail. Diamonds: as published, on other images."
)
THRESHOLD_CAPTION: Final = (
    "Deep-COVID: ROC curve and probabilities of the test images, with the threshold that was "
    f"chosen for a sensitivity of {WANTED_SENSITIVITY:.0%}."
)

COLUMNS: Final = {
    "system": "System",
    "network": "Network",
    "trained": "Layers trained",
    "mirrored": "Mirrored",
    "start": "Start",
    "input": "Input (px)",
    "task": "Task",
    "scheme": "Scheme",
    "division": "Division",
    "runs": "Runs",
    "published": "Published",
    "n": "n",
    "accuracy": "Accuracy",
    "low": "95 % from",
    "high": "to",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "floor": "Best floor",
    "floor_accuracy": "Floor",
    "above_floor": "Runs above it",
    "lungs_covered": "Lungs covered",
    "n_lungs_covered": "n covered",
    "elsewhere": "Elsewhere",
    "n_elsewhere": "n elsewhere",
    "majority_elsewhere": "Commonest class there",
    "parameters": "Parameters",
    "gmac": "GMAC",
    "seconds": "s an image",
}


def related_row(
    metrics: pd.DataFrame, positive: str, masked: pd.DataFrame, elsewhere: Sequence[pd.DataFrame]
) -> dict[str, Any]:
    """Numbers of one design over its runs together.

    Parameters
    ----------
    metrics : DataFrame
        A row a run: columns of tables/metrics.csv.
    positive : str
        Class whose sensitivity and specificity are given: the second of the task.
    masked : DataFrame
        Rows of the runs' masked.csv, each with the run's `fold`.
    elsewhere : sequence of DataFrame
        What runs say of external images: ``label`` and ``probability_<class>``.

    Returns
    -------
    dict
        Those keys of `COLUMNS` that follow from these. Sensitivity and specificity are
        means over the runs weighted by images. A run is above its
        floor where the whole interval of the gap is. NaN where nothing was measured.
    """
    share = pooled(metrics)
    if share is None:
        raise ValueError("the runs have no accuracy")
    covered = pooled(masked[masked["variant"] == "lungs_out"])
    right = np.concatenate([np.empty(0, bool), *map(_right, elsewhere)])
    labels = pd.concat([pd.Series(dtype=str), *(one["label"] for one in elsewhere)])
    best = metrics["best_floor"].mode().iloc[0]
    return {
        "runs": len(metrics),
        "n": share.n,
        "accuracy": share.value,
        "low": share.low,
        "high": share.high,
        "sensitivity": _mean(metrics[f"sensitivity_{positive}"], metrics[f"n_{positive}"]),
        "specificity": _mean(
            metrics[f"specificity_{positive}"], metrics["n"] - metrics[f"n_{positive}"]
        ),
        "floor": best,
        "floor_accuracy": _mean(metrics["best_floor_accuracy"], metrics["n"]),
        "above_floor": f"{int((metrics['gap_low'] > 0).sum())} of {len(metrics)}",
        "lungs_covered": covered.value if covered else float("nan"),
        "n_lungs_covered": covered.n if covered else 0,
        "elsewhere": float(right.mean()) if len(right) else float("nan"),
        # All runs answer the same images.
        "n_elsewhere": len(right) // max(1, len(elsewhere)),
        "majority_elsewhere": float(labels.value_counts(normalize=True).max()),
    }


def _right(predictions: pd.DataFrame) -> BoolArray:
    """Whether the likeliest class is the right one, an image a value."""
    probabilities = predictions.filter(regex="^probability_")
    likeliest = probabilities.idxmax(axis=1)
    right: BoolArray = (likeliest == "probability_" + predictions["label"]).to_numpy(bool)
    return right


def _mean(values: pd.Series, weights: pd.Series) -> float:
    """Weighted mean; NaN of nothing."""
    return float(np.average(values, weights=weights)) if weights.sum() else float("nan")


def operating_point(
    predictions: pd.DataFrame, positive: str, wanted: float = WANTED_SENSITIVITY
) -> dict[str, Any]:
    """Sensitivity and specificity at the highest threshold that reaches a wanted sensitivity.

    Parameters
    ----------
    predictions : DataFrame
        Schema `contracts.predictions_schema`, roles test and perhaps validation.
    positive : str
        Class whose probability is compared with the threshold.
    wanted : float
        Sensitivity, between 0 and 1, on the images on which the threshold is chosen: the validation
        part, or the test images where there is none.

    Returns
    -------
    dict
        ``positive``, ``chosen_on`` (role), ``threshold``, and of the test images ``sensitivity``,
        ``specificity``, each with ``…_low``, ``…_high`` (Wilson, 95 %) and ``…_n``.
    """
    roles = set(predictions["role"])
    chosen_on = VALIDATION if VALIDATION in roles else TEST
    column = f"probability_{positive}"
    choosing = predictions[(predictions["role"] == chosen_on) & (predictions["label"] == positive)]
    # The k-th largest probability: k of n positives are at or above it.
    k = int(np.ceil(wanted * len(choosing)))
    threshold = float(np.sort(choosing[column])[::-1][k - 1])
    test = predictions[predictions["role"] == TEST]
    is_positive, called = test["label"] == positive, test[column] >= threshold
    point: dict[str, Any] = {
        **{"positive": positive, "chosen_on": chosen_on, "threshold": threshold}
    }
    for name, part, right in (
        ("sensitivity", is_positive, called),
        ("specificity", ~is_positive, ~called),
    ):
        n, hits = int(part.sum()), int((part & right).sum())
        low, high = wilson_interval(hits, n)
        point |= {name: hits / n, f"{name}_low": low, f"{name}_high": high, f"{name}_n": n}
    return point


def related_page(table: pd.DataFrame, points: pd.DataFrame, dataset: str) -> str:
    """Words on each system, and below them its rows of the table, as Markdown.

    Parameters
    ----------
    table : DataFrame
        Columns the keys of `COLUMNS`; ``key`` is that of `SYSTEMS`.
    points : DataFrame
        Columns ``key``, ``label``, ``division`` and those of `operating_point`.
    dataset : str
        Name of the data set.
    """
    lines = [
        f"# Published systems on the data set {dataset}",
        "",
        "Each published number was measured on other images, so it stands beside ours, not against "
        "it. What can be compared is ours with the best floor: a classifier on the same images "
        "that cannot see lung detail. A network counts as above its floor only if the whole 95 % "
        "interval of the difference is.",
        "",
        *_above_floors(table),
        "",
    ]
    for key, system in SYSTEMS.items():
        rows = table[table["key"] == key]
        if rows.empty:
            continue
        lines += [
            f"## {system.name}",
            "",
            f"{system.source}",
            "",
            f"- **Published:** {system.published}",
            f"- **It states:** {system.states}",
            f"- **It leaves open:** {system.open}",
            f"- **Here:** {system.chosen}",
            "",
            _rows_in_markdown(rows),
        ]
        own = points[points["key"] == key] if len(points) else points
        if len(own):
            lines += [_points_in_markdown(own), ""]
    return "\n".join(lines)


def _above_floors(table: pd.DataFrame) -> list[str]:
    """How many networks lie above their floor in all runs, a line a task and division."""
    lines = []
    for (task, division), rows in table.groupby(["task", "division"], sort=False):
        counts = rows["above_floor"].str.split(" of ")
        above = int((counts.str[0] == counts.str[1]).sum())
        floor = f"{rows['floor_accuracy'].iloc[0]:.1%}"
        lines.append(
            f"- {markdown_text(f'{task}, {division}')}: {above} of {len(rows)} networks are above "
            f"the best floor, {floor}."
        )
    return lines


def _rows_in_markdown(rows: pd.DataFrame) -> str:
    """Rows of one system: what a reader compares; the rest is in the CSV file."""
    cells = [
        [
            row["label"],
            f"{row['task']}, {row['division']}",
            f"{row['accuracy']:.1%} ({row['low']:.1%} to {row['high']:.1%}, n = {row['n']:,})",
            f"{row['floor_accuracy']:.1%} ({row['floor']})",
            row["above_floor"],
            _share(row["lungs_covered"], row["n_lungs_covered"]),
            _share(row["elsewhere"], row["n_elsewhere"], row["majority_elsewhere"]),
        ]
        for row in rows.to_dict("records")
    ]
    heads = ["Network", "Images", "Accuracy", "Best floor", "Runs above it"]
    heads += ["Lungs covered", "Elsewhere"]
    return markdown_table(heads, cells, [False] * len(heads), "").lstrip()


def in_words(row: Mapping[str, Any]) -> str:
    """A network: its start and input, which of its layers learn, whether images are mirrored.

    `row` has ``network``, ``start``, ``input``, ``trained`` and ``mirrored``.
    """
    parts = [row["start"], f"{row['input']} px"]
    parts += [] if row["trained"] == ALL_LAYERS else [f"learns {row['trained']}"]
    parts += [] if row["mirrored"] else ["not mirrored"]
    return f"{row['network']} ({', '.join(parts)})"


def _share(value: float, n: int, majority: float | None = None) -> str:
    """A share, the number of images that it counts, and the share of the commonest class."""
    beside = "" if majority is None else f", commonest class {majority:.1%}"
    return f"{value:.1%} (n = {n:,}{beside})" if n else MISSING


def _points_in_markdown(points: pd.DataFrame) -> str:
    """One sentence a network on its threshold."""
    lines = [f"Threshold chosen for a sensitivity of {WANTED_SENSITIVITY:.0%}:", ""]
    for point in points.to_dict("records"):
        both = " and ".join(
            f"{name} {point[name]:.1%} ({point[f'{name}_low']:.1%} to {point[f'{name}_high']:.1%}, "
            f"n = {point[f'{name}_n']})"
            for name in ("sensitivity", "specificity")
        )
        chosen = "validation images" if point["chosen_on"] == VALIDATION else "the test images"
        lines.append(
            f"- {point['label']}, {point['division']}: {both}; chosen on {chosen}"
            f"{'' if point['chosen_on'] == VALIDATION else ' themselves, which flatters'}."
        )
    return "\n".join(lines)
