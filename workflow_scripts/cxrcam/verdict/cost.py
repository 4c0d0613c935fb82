"""What a mend cost: the numbers of a second study beside those of the first."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from workflow_scripts.cxrcam.metrics.shares import pooled
from workflow_scripts.cxrcam.verdict.check import FAILED
from workflow_scripts.cxrcam.verdict.pooling import pooled_estimate, pooled_share


def cost_table(studies: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a study and design, the first study first.

    Parameters
    ----------
    studies : sequence of mapping
        ``data_set``; ``metrics``, its tables/metrics.csv; ``verdict``, its audit/verdict.json;
        ``external``, its audit/external.csv, or None.

    Returns
    -------
    DataFrame
        ``data_set``, ``task``, ``scheme``; ``accuracy`` with its 95 % interval and ``n``;
        ``best_floor`` (the commonest over the runs), its accuracy, and the ``gap`` to it with its
        interval; ``external_accuracy`` over all external images; ``failed_checks`` that concern
        the design, and their names; ``answer``, of the design that the verdict judges.
    """
    rows = []
    for study in studies:
        headline = study["verdict"]["headline"] or {}
        for (task, scheme), runs in study["metrics"].groupby(["task", "scheme"], sort=False):
            judged = (task, scheme) == (headline.get("task"), headline.get("scheme"))
            rows.append(
                {
                    "data_set": study["data_set"],
                    "task": task,
                    "scheme": scheme,
                    **_numbers(runs),
                    "external_accuracy": _external(study["external"], str(task), str(scheme)),
                    **_failures(study["verdict"]["checks"], str(task), str(scheme)),
                    "answer": study["verdict"]["answer"] if judged else "",
                }
            )
    return pd.DataFrame(rows)


def _numbers(runs: pd.DataFrame) -> dict[str, Any]:
    share, floor = pooled(runs), pooled_share(runs, "best_floor_accuracy")
    gap = pooled_estimate(runs, "gap", "gap_low", "gap_high")
    return {
        "accuracy": share.value if share else None,
        "accuracy_low": share.low if share else None,
        "accuracy_high": share.high if share else None,
        "n": share.n if share else None,
        "best_floor": runs["best_floor"].mode().iloc[0],
        "best_floor_accuracy": floor.value if floor else None,
        "gap": gap.value if gap else None,
        "gap_low": gap.low if gap else None,
        "gap_high": gap.high if gap else None,
    }


def _external(table: pd.DataFrame | None, task: str, scheme: str) -> float | None:
    if table is None:
        return None
    rows = table[(table["task"] == task) & (table["scheme"] == scheme)]
    share = pooled_share(rows.assign(fold=rows["data_set"]))
    return share.value if share else None


def _failures(checks: Sequence[Mapping[str, Any]], task: str, scheme: str) -> dict[str, Any]:
    concerned = ("", task, f"{task}, {scheme}")
    failed = [c["name"] for c in checks if c["status"] == FAILED and c["subject"] in concerned]
    return {"failed_checks": len(failed), "failed": "; ".join(failed)}
