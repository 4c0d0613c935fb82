"""Tables of the paper: accuracy of each design, scores of its maps, and what networks cost."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from workflow_scripts.cxrcam.metrics.shares import pooled
from workflow_scripts.cxrcam.paper.designs import describe_design
from workflow_scripts.cxrcam.paper.scorecard import floor_of

ACCURACY_CAPTION: Final = (
    "Accuracy of each design over its runs together, with Wilson's 95 % interval, and by the "
    "paper's equation (1), (TP + TN) / all, for each class against the others."
)


def map_table(
    runs: Sequence[Mapping[str, Any]], scores: Sequence[Mapping[str, Any]]
) -> pd.DataFrame:
    """Scores of the maps of some runs, one row a run and measure that has one.

    Parameters
    ----------
    runs : sequence of mappings, length n
        ``task`` and ``scheme`` of each.
    scores : sequence of mappings, length n
        As from `map_tests.places.place_scores`.

    Returns
    -------
    DataFrame
        ``task``, ``scheme``, ``measure``, ``value``, ``low``, ``high`` (95 %), ``chance``, ``n``.
    """
    rows = []
    for run, of_run in zip(runs, scores, strict=True):
        for measure, score in of_run.items():
            if "reason" not in score:
                low, high = score["interval"] or (None, None)
                kept = {key: score[key] for key in ("value", "chance", "n")}
                rows.append({**run, "measure": measure, **kept, "low": low, "high": high})
    columns = ["task", "scheme", "measure", "value", "low", "high", "chance", "n"]
    return pd.DataFrame(rows, columns=columns)


def accuracy_table(metrics: pd.DataFrame, config: Mapping[str, Any]) -> pd.DataFrame:
    """Accuracy of each design, overall and by equation (1) for each class.

    Parameters
    ----------
    metrics : DataFrame
        tables/metrics.csv.
    config : mapping
        The resolved configuration.
    """
    rows = []
    for (task, scheme), runs in metrics.groupby(["task", "scheme"], sort=False):
        row = {"Task": task, "Scheme": scheme, "Runs": len(runs)} | _accuracy_of(runs)
        for name in config["tasks"][task]["classes"]:
            row[f"Equation (1), {name}"] = runs[f"accuracy_equation_1_{name}"].mean()
        row |= {"Floor": floor_of(runs), "Design": describe_design(config, str(task), str(scheme))}
        rows.append(row)
    table = pd.DataFrame(rows)
    last = ["Floor", "Design"]
    return table[[name for name in table.columns if name not in last] + last]


def training_speed(history: pd.DataFrame, n_training: int) -> float:
    """Images a second while training, evaluations not counted.

    Parameters
    ----------
    history : DataFrame
        As from `time_to_target.with_clock`.
    n_training : int
        Images of an epoch.
    """
    last = history.sort_values("iteration").iloc[-1]
    return float(last["epoch"] * n_training / last["seconds"])


def networks_table(costs: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """Accuracy, size and speed of networks, those of a task by their size.

    Parameters
    ----------
    costs : DataFrame
        One row a run: ``task``, ``scheme``, ``network``, ``input`` (pixels a side), ``parameters``,
        ``gmac`` and ``speed`` (images a second).
    metrics : DataFrame
        tables/metrics.csv.
    """
    rows = []
    by = ["task", "scheme", "network", "input", "parameters", "gmac"]
    for _, group in costs.groupby(by, sort=False):
        network = group.to_dict("records")[0]
        task, scheme = network["task"], network["scheme"]
        runs = metrics[(metrics["task"] == task) & (metrics["scheme"] == scheme)]
        accuracy = _accuracy_of(runs)
        n = accuracy.pop("n")
        rows.append(
            {
                **{"Task": task, "Network": network["network"], **accuracy, "n": n},
                **{"Runs": len(runs), "Floor": floor_of(runs)},
                **{"Input (px)": network["input"], "Parameters": network["parameters"]},
                "GMAC": round(network["gmac"], 3),
                "Training images/s": round(group["speed"].mean(), 1),
            }
        )
    return pd.DataFrame(rows).sort_values(["Task", "GMAC"], kind="stable", ignore_index=True)


def _accuracy_of(runs: pd.DataFrame) -> dict[str, Any]:
    """Accuracy over some runs together; at least one."""
    share = pooled(runs)
    if share is None:
        raise ValueError("a design without runs has no accuracy")
    return {"n": share.n, "Accuracy": share.value, "95 % from": share.low, "to": share.high}
