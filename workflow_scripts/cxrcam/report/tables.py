"""The tables of the report, from the tables of the workflow."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import pandas as pd

from workflow_scripts.cxrcam.audit.suspect_labels import FEWEST_COUNTED
from workflow_scripts.cxrcam.metrics.intervals import wilson_interval
from workflow_scripts.cxrcam.metrics.subgroups import FEWEST_SHOWN
from workflow_scripts.cxrcam.report.cells import (
    NONE,
    Cell,
    Link,
    Table,
    interval_cell,
    is_number,
    number_cell,
    without_constant,
)
from workflow_scripts.cxrcam.terms import ROLES

MOST_IN_A_MATRIX: Final = 10
"""Classes of a confusion matrix in words; of more, nobody reads the zeros."""

PREVALENCE: Final = 0.1
"""Share of images with the class, at which the page first shows the predictive value."""


def runs_table(
    metrics: pd.DataFrame,
    maps: Mapping[tuple[str, str, int, int], Sequence[Link]],
    classes: Mapping[str, Sequence[str]],
) -> Table:
    """One row a training run: what it reached, and what classifiers reach that see no lungs.

    Parameters
    ----------
    metrics : DataFrame
        tables/metrics.csv.
    maps : mapping
        Pictures of the maps by task, scheme, fold and seed, of the runs that have some here.
    classes : mapping of str to sequence of str
        By task. Where there are two, sensitivity and specificity are those of the second.

    Returns
    -------
    Table
        What is the same in all rows stands in the caption.
    """
    runs = metrics.to_dict("records")
    columns = [
        *("Run", "Test images", "Accuracy (95 %)", "Sensitivity (95 %)", "Specificity (95 %)"),
        *("PPV", "Best floor", "Gap to it (95 %)", "AUROC (95 %)", "ECE, not calibrated", "Maps"),
    ]
    rows = []
    for run, name in zip(runs, _names_of_runs(runs), strict=True):
        links = maps.get((run["task"], run["scheme"], run["fold"], run["seed"]), ())
        rows.append(
            [
                Cell(name),
                Cell(f"{run['n']:,}", float(run["n"])),
                interval_cell(run["accuracy"], run["accuracy_low"], run["accuracy_high"]),
                *_rate_cells(run, classes[str(run["task"])]),
                _floor_cell(run),
                interval_cell(run.get("gap"), run.get("gap_low"), run.get("gap_high"), sign=True),
                interval_cell(
                    run.get("macro_auroc"), run.get("macro_auroc_low"), run.get("macro_auroc_high")
                ),
                number_cell(run.get("expected_calibration_error")),
                Cell("" if links else NONE, links=links),
            ]
        )
    return without_constant(Table("Every training run on its test images", columns, rows))


def _names_of_runs(runs: Sequence[Mapping[Any, Any]]) -> list[str]:
    """Task, design, fold and seed of each run, without what is the same in all of several."""
    parts = [
        (str(run["task"]), str(run["scheme"]), f"fold {fold_in_words(run)}", f"seed {run['seed']}")
        for run in runs
    ]
    differ = [len({*part}) > 1 for part in zip(*parts, strict=True)]
    if not any(differ):
        differ = [True] * len(differ)
    return [
        ", ".join(p for p, is_shown in zip(own, differ, strict=True) if is_shown) for own in parts
    ]


def _floor_cell(run: Mapping[Any, Any]) -> Cell:
    floor = run.get("best_floor_accuracy")
    if not is_number(floor):
        return number_cell(None)
    name = str(run.get("best_floor", "")).replace("_", " ")
    return Cell(f"{floor:.3f} {name}", float(floor))


def _rate_cells(run: Mapping[Any, Any], classes: Sequence[str]) -> list[Cell]:
    """Sensitivity, specificity and predictive value of the second of two classes."""
    positive = classes[1]
    sensitivity, specificity = (
        run.get(f"{of}_{positive}") for of in ("sensitivity", "specificity")
    )
    if len(classes) > 2 or not is_number(sensitivity) or not is_number(specificity):
        return [number_cell(None)] * 3
    n_positive = int(run[f"n_{positive}"])
    cells = []
    for rate, n in ((sensitivity, n_positive), (specificity, int(run["n"]) - n_positive)):
        cells.append(interval_cell(rate, *wilson_interval(round(rate * n), n)))
    found = sensitivity * PREVALENCE
    named = found + (1.0 - specificity) * (1.0 - PREVALENCE)
    value = number_cell(found / named if named else None)
    return [*cells, replace(value, rates=(sensitivity, specificity))]


def confusion_table(metrics: Sequence[Mapping[str, Any]], name: str) -> Table:
    """The confusion matrix of a design, all of its runs together; of many classes the mistakes.

    Parameters
    ----------
    metrics : sequence of mappings
        metrics.json of each run.
    name : str
        Task and scheme.
    """
    classes = metrics[0]["classes"]
    counts = [
        [sum(run["confusion_matrix"][i][k] for run in metrics) for k in range(len(classes))]
        for i in range(len(classes))
    ]
    if len(classes) > MOST_IN_A_MATRIX:
        return _mistakes_table(classes, counts, name)
    rows = [
        [
            Cell(f"is {label}"),
            *(Cell(f"{n:,}", float(n)) for n in of_label),
            number_cell(of_label[k] / sum(of_label) if sum(of_label) else None),
        ]
        for k, (label, of_label) in enumerate(zip(classes, counts, strict=True))
    ]
    columns = ("Image", *(f"named {label}" for label in classes), "Sensitivity")
    return Table(f"Confusion matrix of {name}, answers of all runs", columns, rows)


def _mistakes_table(classes: Sequence[str], counts: Sequence[Sequence[int]], name: str) -> Table:
    """What is taken for what, the most frequent mistake first."""
    total = sum(map(sum, counts))
    right = sum(of_label[k] for k, of_label in enumerate(counts))
    mistakes = [
        (n, i, k) for i, row in enumerate(counts) for k, n in enumerate(row) if n and i != k
    ]
    rows = [
        [
            Cell(classes[i]),
            Cell(classes[k]),
            Cell(f"{n:,}", float(n)),
            number_cell(n / sum(counts[i])),
        ]
        for n, i, k in sorted(mistakes, key=lambda one: -one[0])
    ]
    caption = f"Mistakes of {name}, answers of all runs: {right:,} of {total:,} are right"
    return Table(caption, ("Is", "Named", "Images", "Share of the class"), rows)


def fold_in_words(run: Mapping[Any, Any]) -> str:
    """Number of a run's fold and, where it tests on a source that was left out, which one."""
    source = run.get("held_out")
    return f"{run['fold']}, {source}" if isinstance(source, str) else str(run["fold"])


def splits_table(
    splits: Sequence[Mapping[str, Any]],
    tables: Iterable[pd.DataFrame],
    classes: Mapping[str, Sequence[str]],
) -> Table:
    """One row a part of a division: how many images of each class it has.

    Parameters
    ----------
    splits : sequence of mappings
        `task`, `scheme` and `fold` of each division.
    tables : iterable of DataFrame
        Their split files, in the same order.
    classes : mapping of str to sequence of str
        By task.
    """
    names = dict.fromkeys(name for of_task in classes.values() for name in of_task)
    rows = []
    for split, table in zip(splits, tables, strict=True):
        for role in ROLES:
            part = table[table["role"] == role]
            if part.empty:
                continue
            counts = part["label"].value_counts()
            rows.append(
                [
                    Cell(str(split["task"])),
                    Cell(str(split["scheme"])),
                    Cell(str(split["fold"]), float(split["fold"])),
                    Cell(role.replace("_", " ")),
                    Cell(f"{len(part):,}", float(len(part))),
                    Cell(f"{part['group'].nunique():,}", float(part["group"].nunique())),
                    *(
                        Cell(f"{counts.get(name, 0):,}", float(counts.get(name, 0)))
                        for name in names
                    ),
                ]
            )
    columns = ("Task", "Design", "Fold", "Part", "Images", "Groups", *names)
    return Table("Which images are used for what: number of images of each part", columns, rows)


def leaks_table(leaks: pd.DataFrame) -> Table:
    """One row a part of a division: how many of its images have a twin in training.

    Parameters
    ----------
    leaks : DataFrame
        audit/leaks.csv. Parts without images are left out.
    """
    kinds = list(dict.fromkeys(leaks["kind"]))
    names = [kind.replace("_", " ").capitalize() for kind in kinds]
    rows = []
    for key, part in leaks.groupby(["task", "scheme", "fold", "grouped", "role"], sort=False):
        if part["n_images"].max() == 0:
            continue
        task, scheme, fold, grouped, role = key
        found: dict[str, dict[str, Any]] = {
            row["kind"]: {str(name): value for name, value in row.items()}
            for row in part.to_dict("records")
        }
        rows.append(
            [
                Cell(str(task)),
                Cell(str(scheme)),
                Cell(str(fold), float(str(fold))),
                Cell(str(role).replace("_", " ")),
                Cell("yes" if grouped else "no"),
                *(_leaked_cell(found.get(kind, {})) for kind in kinds),
            ]
        )
    columns = ("Task", "Design", "Fold", "Part", "Grouped", *names)
    return Table("Images with a twin, or their own patient, in training", columns, rows)


def _leaked_cell(row: Mapping[str, Any]) -> Cell:
    if not is_number(row.get("n_leaked")):
        reason = row.get("reason")
        return Cell(reason if isinstance(reason, str) else NONE, -1.0)
    return Cell(f"{int(row['n_leaked']):,} of {int(row['n_images']):,}", float(row["n_leaked"]))


def source_tables(
    sources: Mapping[str, Any], small_groups: bool = False
) -> list[tuple[str, Table]]:
    """For each task, what is found of class and source, and the counts.

    Parameters
    ----------
    sources : mapping
        audit/sources.json.
    small_groups : bool
        Whether sources of fewer than `FEWEST_SHOWN` images are shown.
    """
    parts = []
    for task, found in sources.items():
        sizes = [sum(of_source) for of_source in zip(*found["counts"], strict=True)]
        shown = [k for k, n in enumerate(sizes) if n >= FEWEST_SHOWN or small_groups]
        names = [found["sources"][k] for k in shown]
        rows = [
            [Cell(name), *(Cell(f"{counts[k]:,}", float(counts[k])) for k in shown)]
            for name, counts in zip(found["classes"], found["counts"], strict=True)
        ]
        caption = f"Images of each class by source, {task}"
        if len(shown) < len(sizes):
            caption += f", without sources of fewer than {FEWEST_SHOWN} images"
        table = Table(caption, ("Class", *names), rows)
        parts.append((str(found["verdict"]), table))
    return parts


def columns_table(columns: Mapping[str, Any]) -> Table | None:
    """What is found of class and each column of the index; None where there is no column.

    Parameters
    ----------
    columns : mapping
        audit/columns.json.
    """
    rows = [
        [
            Cell(task),
            Cell(name),
            Cell(f"{len(found['values'])}" if found["values"] else NONE),
            *(
                interval_cell(*(found[f"{number}{end}"] for end in ("", "_low", "_high")))
                for number in ("cramers_v", "accuracy")
            ),
            number_cell(found["majority_accuracy"]),
            Cell(found["verdict"] if found["finding"] == "not judged" else found["finding"]),
        ]
        for task, of_task in columns.items()
        for name, found in of_task.items()
    ]
    names = ("Task", "Column", "Values", "Cramér's V", "Right by this alone", "Guessing", "Found")
    return Table("Class by view, age, sex and other columns", names, rows) if rows else None


def subgroup_tables(table: pd.DataFrame) -> list[Table]:
    """Numbers of each group of images, and the largest gaps; none where no groups are known.

    Parameters
    ----------
    table : DataFrame
        audit/subgroups.csv.
    """
    if table.empty:
        return []
    is_gap = table["against"].notna()
    of_groups = table[~is_gap].fillna({"group": NONE})
    metrics = of_groups["metric"].dropna().unique().tolist()
    rows = []
    for (column, group), own in of_groups.groupby(["column", "group"], sort=False):
        n = own["n"].iloc[0]
        cells = {
            row["metric"]: interval_cell(row["value"], row["low"], row["high"])
            for row in own.to_dict("records")
        }
        rows.append(
            [
                Cell(str(column)),
                Cell(str(group)),
                Cell(f"{int(n):,}", float(n)) if pd.notna(n) else Cell(NONE, -1.0),
                *(cells.get(metric, Cell(NONE, -1.0)) for metric in metrics),
                Cell("; ".join(own["reason"].dropna().unique())),
            ]
        )
    headings = [_metric_in_words(metric) for metric in metrics]
    groups = Table(
        "The headline in each group of test images, with 95 % intervals",
        ("Trait", "Group", "Images", *headings, "Note"),
        rows,
    )
    gaps = [
        [
            Cell(str(row["column"])),
            Cell(_metric_in_words(row["metric"])),
            Cell(f"{row['group']} over {row['against']}"),
            interval_cell(row["value"], row["low"], row["high"], sign=True),
            number_cell(row["at_most"]),
        ]
        for row in table[is_gap].to_dict("records")
    ]
    columns = ("Trait", "Number", "Groups", "Gap", "Possible up to")
    caption = (
        "The surest gap between groups, or if none is sure the largest; intervals for all pairs"
    )
    return [groups, Table(caption, columns, gaps)] if gaps else [groups]


def _metric_in_words(metric: str) -> str:
    words = metric.replace("_", " ").replace("auroc", "AUROC")
    return words[:1].upper() + words[1:]


def external_table(external: pd.DataFrame) -> Table:
    """One row a run and other data set: its accuracy there and here.

    Parameters
    ----------
    external : DataFrame
        audit/external.csv.
    """
    rows = []
    for run in external.to_dict("records"):
        removed = f" ({run['n_removed']:,} more are here, too)" if run["n_removed"] else ""
        n = int(run["n"]) if is_number(run["n"]) else 0
        there = _with_interval(run, "accuracy")
        if not is_number(run["accuracy"]):
            there = Cell(str(run["reason"]), there.order)
        rows.append(
            [
                Cell(str(run["data_set"])),
                Cell(f"{run['task']}, {run['scheme']}"),
                Cell(f"{run['fold']}, {run['seed']}"),
                Cell(f"{n:,}{removed}", float(n)),
                there,
                _with_interval(run, "internal_accuracy"),
                number_cell(run["majority_share"]),
                _with_interval(run, "macro_auroc"),
            ]
        )
    columns = (
        *("Data set", "Design", "Fold, seed", "Images", "Accuracy (95 %)", "Here (95 %)"),
        *("Commonest class", "AUROC (95 %)"),
    )
    return Table("Every run on every other data set, beside its test images here", columns, rows)


def _with_interval(run: Mapping[Any, Any], name: str) -> Cell:
    return interval_cell(run.get(name), run.get(f"{name}_low"), run.get(f"{name}_high"))


def counted_labels(judged: pd.DataFrame) -> list[tuple[str, int, int]]:
    """Of each task with enough images: labels that are counted as wrong, and of how many.

    `judged` has the columns of `contracts.JUDGED_LABELS`.
    """
    counts = judged.groupby("task", sort=False)["is_counted"].agg(["sum", "size"])
    return [
        (str(task), int(wrong), int(n))
        for task, wrong, n in counts.itertuples()
        if n >= FEWEST_COUNTED
    ]
