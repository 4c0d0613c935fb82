"""Tables and the figure of `benchmarks.maps`."""

from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.map_measures import NETWORK, OWN, PLACES
from workflow_scripts.cxrcam.map_tests.similarity import (
    COMPARISON_SIDE,
    compare_maps,
    random_pair_floor,
)
from workflow_scripts.cxrcam.maps.placement import place_map
from workflow_scripts.cxrcam.metrics.time_to_target import mean_with_interval
from workflow_scripts.cxrcam.seeds import generator

DESIGN = ["data", "difficulty", "task", "images", "epochs", "rate"]
KEY = ["data", "difficulty", "task", "arm", "images", "epochs", "rate", "seed"]
LEAST_SEEDS = 3  # Student's t of two seeds has an interval twelve times their half difference
ANSWERS = (
    *("accuracy, test", "balanced accuracy, test", "calibration error, test"),
    *("accuracy, external", "balanced accuracy, external", "seconds of training", "GMAC an image"),
)
TESTS = (
    *("spearman, all layers untrained", "spearman, other images", "spearman, mirror image"),
    *("insertion advantage over random", "deletion advantage over random"),
    *("road advantage over random", "road advantage over centre"),
)
ArraysOf = Callable[[dict[str, Any]], Path]


def over_some_seeds(values: Sequence[float]) -> tuple[float, float | None, float | None]:
    """Mean and its 95 % interval, which fewer than three seeds do not have."""
    mean, low, high = mean_with_interval(values)
    return (mean, low, high) if len(values) >= LEAST_SEEDS else (mean, None, None)


def over_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """Mean over the seeds with its 95 % interval (Student's t), one row an arm, map and measure."""
    columns = [*DESIGN, "arm", "map", "measure"]
    rows = []
    for names, group in table.groupby(columns, sort=False, dropna=False):
        mean, low, high = over_some_seeds(group["value"].tolist())
        rows.append(
            dict(zip(columns, names, strict=True))
            | {"seeds": len(group), "value": mean, "low": low, "high": high}
            | {"chance": group["chance"].mean()}
        )
    return pd.DataFrame(rows)


def as_text(row: pd.Series) -> str:
    """Mean, and half the width of its interval where there is one."""
    digits = 0 if abs(row["value"]) >= 20 else 3
    if pd.isna(row["low"]):
        return f"{row['value']:.{digits}f}"
    return f"{row['value']:.{digits}f} ± {(row['high'] - row['low']) / 2:.{digits}f}"


def print_one(title: str, rows: pd.DataFrame, measures: Sequence[str], by: Sequence[str]) -> None:
    """Print measures side by side."""
    rows = rows[rows["measure"].isin(measures)]
    if rows.empty:
        return
    # One word for a combination of columns: a pivot leaves out what has a missing value.
    rows = rows.assign(text=[as_text(row) for _, row in rows.iterrows()])
    wide = rows.pivot_table("text", list(by), "measure", aggfunc="first", sort=False)
    print(f"\n{title}\n{wide[[m for m in measures if m in wide]].fillna('').to_string()}")


def loaded(row: dict[str, Any], arrays_of: ArraysOf) -> dict[str, npt.NDArray[Any]] | None:
    """Values of single images of a network, where they are there."""
    file = arrays_of({k: row[k] for k in KEY})
    if not file.is_file():
        return None
    with np.load(file) as stored:
        return dict(stored)


def of_keys(found: dict[tuple[Any, ...], list[float]], names: tuple[str, ...]) -> pd.DataFrame:
    """Mean and interval of the values of some seeds, a row a key; `names` are the key's."""
    rows = []
    for key, values in found.items():
        mean, low, high = over_some_seeds(values)
        named = dict(zip(names, key, strict=True))
        rows.append(named | {"seeds": len(values), "value": mean, "low": low, "high": high})
    return pd.DataFrame(rows)


def differences(
    table: pd.DataFrame, arrays_of: ArraysOf, references: Sequence[str]
) -> pd.DataFrame:
    """Each arm minus the reference of its start, on the same seeds and images.

    Accuracy on all test images, scores of place on those that both recognise. The interval is
    Student's t over the seeds.
    """
    found: dict[tuple[Any, ...], list[float]] = {}
    for row in table[KEY].drop_duplicates().to_dict("records"):
        start = row["arm"].split(",")[0]
        reference = next((r for r in references if r.split(",")[0] == start), None)
        same = table[(table["arm"] == reference) & (table["seed"] == row["seed"])]
        same = same[(same[["data", "task"]] == [row["data"], row["task"]]).all(axis=1)]
        same = same[same["difficulty"] == row["difficulty"]]
        if row["data"] == "real":
            same = same[same["epochs"] == row["epochs"]]
        same = same[same["images"] == row["images"]]
        if reference in (None, row["arm"]) or same.empty:
            continue
        own, other = loaded(row, arrays_of), loaded(same[KEY].iloc[0].to_dict(), arrays_of)
        if own is None or other is None or (own["names"] != other["names"]).any():
            continue
        pairs = {"accuracy, test": own["right"] * 1.0 - other["right"]}
        for measure in PLACES:
            name = f"{OWN[0]}|{measure}"
            if name in own and name in other:
                pairs[measure] = own[name] - other[name]
        for measure, values in pairs.items():
            if np.isfinite(values).any():
                key = (*(row[k] for k in DESIGN), row["arm"], reference, measure)
                found.setdefault(key, []).append(float(np.nanmean(values)))
    return of_keys(found, (*DESIGN, "arm", "reference", "measure"))


def kinds_against_own(table: pd.DataFrame, arrays_of: ArraysOf) -> pd.DataFrame:
    """Each other kind of map minus our own, of the same networks on the same images."""
    found: dict[tuple[Any, ...], list[float]] = {}
    for row in table[KEY].drop_duplicates().to_dict("records"):
        arrays = loaded(row, arrays_of) or {}
        for name, values in arrays.items():
            kind, _, measure = name.partition("|")
            if not measure or kind == OWN[0]:
                continue
            gap = values - arrays[f"{OWN[0]}|{measure}"]
            if np.isfinite(gap).any():
                key = (*(row[k] for k in DESIGN), row["arm"], kind, measure)
                found.setdefault(key, []).append(float(np.nanmean(gap)))
    return of_keys(found, (*DESIGN, "arm", "map", "measure"))


def agreement(table: pd.DataFrame, arrays_of: ArraysOf) -> pd.DataFrame:
    """How alike the maps of two seeds are, of images that both recognise; and what chance gives."""
    rows = []
    for names, group in table[KEY].drop_duplicates().groupby([*DESIGN, "arm"], sort=False):
        networks = [loaded(row, arrays_of) for row in group.to_dict("records")]
        there = [n for n in networks if n is not None]
        if len(there) < 2 or any(not np.array_equal(n["names"], there[0]["names"]) for n in there):
            continue  # real images are divided anew for each seed
        maps = [_placed(n) for n in there]
        pairs, floors = [], []
        for a, b in combinations(range(len(there)), 2):
            both = np.flatnonzero(there[a]["right"] & there[b]["right"])
            pairs.append(compare_maps(maps[a][both], maps[b][both]))
            floors.append(
                random_pair_floor(maps[a][both], generator(0, "benchmark", "agreement", a, b))
            )
        values = {
            f"{measure}, {what}": float(np.mean([getattr(s, measure).mean() for s in of]))
            for what, of in (("two seeds", pairs), ("other images", floors))
            for measure in ("spearman", "ssim")
        }
        named = dict(zip([*DESIGN, "arm"], names, strict=True))
        rows += [named | {"measure": k, "value": v, "seeds": len(there)} for k, v in values.items()]
    return pd.DataFrame(rows)


def _placed(arrays: dict[str, npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
    """Maps of a network on the grid on which maps are compared."""
    side, stride, offset = arrays["geometry"].tolist()
    return place_map(
        arrays["evidence"], COMPARISON_SIDE, input_size=int(side), stride=stride, offset=offset
    )


def print_tables(table: pd.DataFrame, arrays_of: ArraysOf, references: Sequence[str]) -> None:
    """Print all tables, write them beside the rows, and draw the figure."""
    from benchmarks.map_figure import draw_figure

    pd.set_option("display.width", 250)
    means = over_seeds(table)
    target = arrays_of({"x": "x"}).parent
    by = [*DESIGN, "arm"]
    network, own = means[means["map"] == NETWORK], means[means["map"] == OWN[0]]
    print_one("The networks, mean over seeds and its 95 % interval", network, ANSWERS, by)
    print_one("Our maps: evidence for the class that was called", own, list(PLACES), by)
    print_one("Our maps, tested", own, TESTS, by)
    print_one("All kinds of maps", means[means["map"] != NETWORK], list(PLACES), [*by, "map"])
    for title, name, rows, index in (
        ("Minus the reference", "differences", differences(table, arrays_of, references), by),
        ("Minus our own maps", "kinds", kinds_against_own(table, arrays_of), [*by, "map"]),
        ("Agreement", "agreement", agreement(table, arrays_of), by),
    ):
        if len(rows):
            rows = rows.assign(low=rows.get("low"), high=rows.get("high"))
            print_one(title, rows, rows["measure"].unique().tolist(), index)
            rows.to_csv(f"{target}-{name}.csv", index=False)
    means.to_csv(f"{target}-summary.csv", index=False)
    for file in draw_figure(means, target):
        print(f"Written to {file}")
