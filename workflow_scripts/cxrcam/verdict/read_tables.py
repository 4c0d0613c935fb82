"""Reading what the audit measured."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.cxrcam.metrics.findings import MEAN, NETWORK
from workflow_scripts.cxrcam.metrics.shares import pooled
from workflow_scripts.cxrcam.verdict.audit_tables import AuditTables, Run
from workflow_scripts.cxrcam.verdict.check import Headline
from workflow_scripts.cxrcam.verdict.checks.calibration import calibration_rows
from workflow_scripts.cxrcam.verdict.checks.labels_of_copies import labelled_pairs
from workflow_scripts.cxrcam.verdict.checks.masked_input import masked_rows
from workflow_scripts.cxrcam.verdict.checks.repeatability import repeatability

Json = dict[str, Any]


def _read_json(file: str) -> Json:
    content: Json = json.loads(Path(file).read_text(encoding="utf-8"))
    return content


def read_probes(files: Sequence[str]) -> pd.DataFrame:
    """Tables of `probes.probe_table`, whose values may be called "None" or "1"."""
    texts = dict.fromkeys(("trait", "value", "answer", "within"), "str")
    return pd.concat(
        pd.read_csv(file, dtype=texts, keep_default_na=False, na_values=[""]) for file in files
    )


def read_tables(
    files: Mapping[str, Any],
    runs: Sequence[Json],
    explained_runs: Sequence[Json],
    classes: Mapping[str, list[str]],
    covered: Mapping[str, Mapping[str, str]],
    questions: Mapping[tuple[str, str], str],
) -> AuditTables:
    """All tables of the audit; those that a check makes itself are made here.

    Parameters
    ----------
    files : mapping of str to str, or to list of str with one file a run
        Inputs of the rule `audit_verdict`, by name.
    runs, explained_runs : sequence of dict
        ``task``, ``scheme``, ``fold`` and ``seed`` of all runs, and of those in ``map_tests``.
    classes : mapping of str to list of str
        By task.
    covered : mapping of str to mapping
        See `masked_rows`.
    questions : mapping of (str, str) to str
        As in `AuditTables`.
    """
    keys, explained = (
        [Run(run["task"], run["scheme"], int(run["fold"]), int(run["seed"])) for run in listed]
        for listed in (runs, explained_runs)
    )
    metrics = pd.read_csv(files["metrics"])
    columns = ["image_id", "label", "patient"]
    images = pd.read_parquet(files["images"], columns=columns).set_index("image_id")
    raw_maps, predictions, masked, maps = (
        dict(zip(keys, files[name], strict=True))
        for name in ("raw_maps", "predictions", "masked", "maps")
    )
    return AuditTables(
        duplicates=labelled_pairs(pd.read_parquet(files["duplicates"]), images),
        images=images,
        predictions=predictions,
        leaks=pd.read_csv(files["leaks"]),
        suspects=pd.read_csv(files["suspects"], keep_default_na=False),
        sources=_read_json(files["sources"]),
        columns=_read_json(files["columns"]),
        acquisition=_read_json(files["acquisition"]),
        # Cross-validated over all images: the scheme is empty, not missing.
        floors=pd.read_csv(
            files["floors"],
            keep_default_na=False,
            na_values={"accuracy": [""], "majority_share": [""]},
        ),
        runs=metrics,
        masked_inputs=masked_rows(masked, metrics, covered),
        maps={run: _read_json(file) for run, file in maps.items()},
        map_tests=dict(zip(explained, map(_read_json, files["map_tests"]), strict=True)),
        repeatability={
            (task, scheme): repeatability(raw_maps, predictions, task, scheme, classes[task])
            for task, scheme in dict.fromkeys((run.task, run.scheme) for run in keys)
        },
        calibration=calibration_rows(metrics),
        expected=pd.read_csv(files["expected"]) if files.get("expected") else None,
        external=pd.read_csv(files["external"]) if files.get("external") else None,
        findings=pd.read_csv(files["findings"]) if files.get("findings") else None,
        subgroups=pd.read_csv(files["subgroups"]),
        slices=pd.read_csv(files["slices"]) if files.get("slices") else None,
        probes=read_probes(files["probes"]),
        questions=questions,
    )


def headline_of(
    metrics: pd.DataFrame, design: Mapping[str, str], classes: Mapping[str, list[str]]
) -> Headline:
    """The number that is judged: over the runs of one design, a ``task`` and a ``scheme``."""
    task, scheme = design["task"], design["scheme"]
    share = pooled(metrics[(metrics["task"] == task) & (metrics["scheme"] == scheme)])
    if share is None:
        raise ValueError(f"no run of {task}/{scheme} among the metrics")
    names = classes[task]
    recognised = names[1] if len(names) == 2 else f"the {len(names)} classes"
    number = (share.value, share.low, share.high, share.n)
    return Headline(task, scheme, recognised, *number, why=design.get("why", ""))


def findings_headline(findings: pd.DataFrame, design: Mapping[str, Any], why: str = "") -> Headline:
    """The number that is judged of a network with several findings: their mean AUROC.

    `design` has the ``task`` of the network, its ``scheme``, ``findings`` and ``questions``.
    """
    task, scheme = design["task"], design["scheme"]
    of_design = (findings["task"] == task) & (findings["scheme"] == scheme)
    of_all = (findings["finding"] == MEAN) & (findings["classifier"] == NETWORK)
    row = findings[of_design & of_all].iloc[0]
    return Headline(
        task,
        scheme,
        recognised=f"the {len(design['findings'])} findings",
        accuracy=float(row["auroc"]),
        low=float(row["auroc_low"]),
        high=float(row["auroc_high"]),
        n=int(row["n"]),
        findings=dict(zip(design["questions"], design["findings"], strict=True)),
        why=why,
    )


def headlines(
    tables: AuditTables,
    chosen: Mapping[str, str],
    classes: Mapping[str, list[str]],
    findings_designs: Sequence[Mapping[str, Any]],
) -> list[Headline]:
    """The number of every design, that of the headline first.

    Parameters
    ----------
    tables : AuditTables
    chosen : mapping of str to str
        ``task``, ``scheme`` and ``why`` of the headline.
    classes : mapping of str to list of str
        By task.
    findings_designs : sequence of mapping
        As for `findings_headline`.
    """
    runs = tables.of_classes(tables.runs)
    if runs is None or tables.runs is None:
        return []
    numbers = []
    for design in findings_designs:
        is_chosen = chosen["task"] in design["questions"] and chosen["scheme"] == design["scheme"]
        if tables.findings is not None:
            why = chosen["why"] if is_chosen else ""
            numbers.append((is_chosen, findings_headline(tables.findings, design, why)))
    for task, scheme in runs[["task", "scheme"]].drop_duplicates().itertuples(index=False):
        is_chosen = (task, scheme) == (chosen["task"], chosen["scheme"])
        design = dict(chosen) if is_chosen else {"task": task, "scheme": scheme}
        numbers.append((is_chosen, headline_of(tables.runs, design, classes)))
    return [number for is_chosen, number in sorted(numbers, key=lambda one: not one[0])]
