"""The tables of the report, from the tables of the workflow."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from workflow_scripts.cxrcam.audit.suspect_labels import FEWEST_COUNTED
from workflow_scripts.cxrcam.report.cells import (
    NONE,
    Cell,
    Link,
    Table,
    interval_cell,
    is_number,
    number_cell,
)


def runs_table(metrics: pd.DataFrame, maps: Sequence[Sequence[Link]]) -> Table:
    """One row a training run: what it reached, and what classifiers reach that see no lungs.

    Parameters
    ----------
    metrics : DataFrame
        tables/metrics.csv.
    maps : sequence of sequences of Link
        Pictures of the maps of each run, in the order of the rows.

    Returns
    -------
    Table
    """
    columns = [
        *("Task", "Design", "Fold", "Seed", "Test images", "Accuracy (95 %)", "Best floor"),
        *("Gap to it (95 %)", "AUROC (95 %)", "Calibration error", "Maps"),
    ]
    rows = []
    for run, links in zip(metrics.to_dict("records"), maps, strict=True):
        floor = run.get("best_floor_accuracy")
        name = str(run.get("best_floor", "")).replace("_", " ")
        rows.append(
            [
                Cell(str(run["task"])),
                Cell(str(run["scheme"])),
                Cell(fold_in_words(run), float(run["fold"])),
                Cell(str(run["seed"]), float(run["seed"])),
                Cell(f"{run['n']:,}", float(run["n"])),
                interval_cell(run["accuracy"], run["accuracy_low"], run["accuracy_high"]),
                Cell(f"{floor:.3f} {name}", float(floor))
                if isinstance(floor, float) and is_number(floor)
                else number_cell(None),
                interval_cell(run.get("gap"), run.get("gap_low"), run.get("gap_high"), sign=True),
                interval_cell(
                    run.get("macro_auroc"), run.get("macro_auroc_low"), run.get("macro_auroc_high")
                ),
                number_cell(run.get("expected_calibration_error")),
                Cell("" if links else NONE, links=links),
            ]
        )
    return Table("Every training run on its test images", columns, rows)


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
        for role, part in table.groupby("role", sort=False):
            counts = part["label"].value_counts()
            rows.append(
                [
                    Cell(str(split["task"])),
                    Cell(str(split["scheme"])),
                    Cell(str(split["fold"]), float(split["fold"])),
                    Cell(str(role).replace("_", " ")),
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
    columns = ("Task", "Design", "Fold", "Part", "Grouped", *(k.capitalize() for k in kinds))
    return Table("Images with a twin, or their own patient, in training", columns, rows)


def _leaked_cell(row: Mapping[str, Any]) -> Cell:
    if not is_number(row.get("n_leaked")):
        reason = row.get("reason")
        return Cell(reason if isinstance(reason, str) else NONE, -1.0)
    return Cell(f"{int(row['n_leaked']):,} of {int(row['n_images']):,}", float(row["n_leaked"]))


def source_tables(sources: Mapping[str, Any]) -> list[tuple[str, Table]]:
    """For each task, what is found of class and source, and the counts.

    Parameters
    ----------
    sources : mapping
        audit/sources.json.
    """
    parts = []
    for task, found in sources.items():
        names = list(found["sources"])
        rows = [
            [Cell(name), *(Cell(f"{n:,}", float(n)) for n in counts)]
            for name, counts in zip(found["classes"], found["counts"], strict=True)
        ]
        table = Table(f"Images of each class by source, {task}", ("Class", *names), rows)
        parts.append((str(found["verdict"]), table))
    return parts


def external_rows(external: pd.DataFrame) -> Table:
    """Accuracy on images from elsewhere, as audit/external.csv has it."""
    rows = [
        [
            number_cell(value) if isinstance(value, float) else Cell(str(value))
            for value in row.values()
        ]
        for row in external.to_dict("records")
    ]
    columns = [str(name).replace("_", " ").capitalize() for name in external.columns]
    return Table("Every run on every other data set", columns, rows)


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
