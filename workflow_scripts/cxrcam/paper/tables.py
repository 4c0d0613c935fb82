"""Tables of the paper: accuracy of each design, and what networks cost."""

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from workflow_scripts.cxrcam.metrics.shares import pooled
from workflow_scripts.cxrcam.paper.designs import describe_design
from workflow_scripts.cxrcam.paper.scorecard import floor_of

ACCURACY_CAPTION: Final = (
    "Accuracy of each design over its runs together, with Wilson's 95 % interval, and by the "
    "paper's equation (1), (TP + TN) / all, for each class against the others."
)


def accuracy_table(metrics: pd.DataFrame, config: Mapping[str, Any]) -> pd.DataFrame:
    """Accuracy of each design of metrics.csv, overall and by equation (1) for each class."""
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
    """Images a second while training, of a history as from `time_to_target.with_clock`."""
    last = history.sort_values("iteration").iloc[-1]
    return float(last["epoch"] * n_training / last["seconds"])


def networks_table(costs: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """Accuracy, size and speed of networks, those of a task by their size.

    `costs` have one row a run: ``task``, ``scheme``, ``network``, ``input`` (pixels a side),
    ``parameters``, ``gmac`` and ``speed`` (images a second).
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
