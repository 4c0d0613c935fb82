"""One line a finding, for the first screen of the report: number, best floor, answer."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from workflow_scripts.cxrcam.metrics.findings import MEAN, NETWORK
from workflow_scripts.cxrcam.verdict.answer import told_of, word_of
from workflow_scripts.cxrcam.verdict.check import FAILED, Check, Headline, ordered
from workflow_scripts.cxrcam.verdict.checks.given_away import SEES


def finding_rows(
    findings: pd.DataFrame, headline: Headline, checks: Sequence[Check]
) -> list[dict[str, Any]]:
    """What is to be said of each finding of the headline.

    Parameters
    ----------
    findings : DataFrame
        As from `metrics.findings.findings_table`, with the task of the network and the scheme.
    headline : Headline
        Of a network with several findings.
    checks : sequence of Check

    Returns
    -------
    list of dict
        In the order of the findings, the mean of all last: ``finding``, ``n``, ``n_present``,
        ``auroc``, ``auprc``, ``sensitivity`` and ``specificity`` (at the threshold of validation),
        ``floor`` (the best one), ``floor_auroc``, ``gap``, each with its interval (``_low``,
        ``_high``) where it has one; ``answer`` (`answer.word_of`) and ``reason``, what failed.
    """
    of_design = findings[
        (findings["task"] == headline.task) & (findings["scheme"] == headline.scheme)
    ]
    tasks = {name: task for task, name in headline.findings.items()}
    rows = []
    for name in [*tasks, MEAN]:
        of_finding = of_design[of_design["finding"] == name].set_index("classifier")
        network, floors = of_finding.loc[NETWORK], of_finding[of_finding.index.isin(SEES)]
        best = str(floors["auroc"].idxmax())
        row: dict[str, Any] = {"finding": name, "floor": best}
        row["floor_auroc"] = floors.loc[best, "auroc"]
        numbers = ("n", "n_present", "auroc", "auroc_low", "auroc_high", "auprc")
        row |= {key: network[key] for key in (*numbers, "sensitivity", "specificity")}
        row |= {key: floors.loc[best, key] for key in ("gap", "gap_low", "gap_high")}
        row = {key: None if pd.isna(value) else value for key, value in row.items()}
        row |= {"n": int(row["n"]), "n_present": int(row["n_present"])}
        row |= {"answer": "", "reason": ""}
        if name != MEAN:
            row |= _answer(tasks[name], name, headline, checks)
        rows.append(row)
    return rows


def _answer(task: str, name: str, headline: Headline, checks: Sequence[Check]) -> dict[str, str]:
    """Answer for one finding, and the first thing that speaks against it."""
    numbers = headline.accuracy, headline.low, headline.high, headline.n
    own = Headline(task, headline.scheme, name, *numbers)
    failed = [c for c in ordered(checks) if c.status == FAILED and c.subject in own.subjects]
    of_finding = [check for check in failed if check.subject]
    return {
        "answer": f"{word_of(checks, own).capitalize()}.",
        "reason": next((told_of(check) for check in of_finding if check.clause), ""),
    }
