"""One table of all networks with several findings: AUROC a finding, floors, covered images."""

from collections.abc import Mapping

import pandas as pd

from workflow_scripts.cxrcam.files import read_json
from workflow_scripts.cxrcam.images.covering import MASKING_VARIANTS
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.metrics.findings import MEAN, NETWORK, FindingsRun, findings_table
from workflow_scripts.cxrcam.spreadsheets import write_frame
from workflow_scripts.cxrcam.terms import TEST

COVERED = {variant.name: f"network, {variant.title}" for variant in MASKING_VARIANTS}


def read_run(
    run: Mapping[str, int], files: Mapping[str, str], floor_files: list[str], findings: list[str]
) -> FindingsRun:
    """What was said of the test images of one run."""
    split = pd.read_parquet(files["splits"])
    test = split[split["role"] == TEST].set_index("image_id").sort_index()
    known = test[["group", *(f"finding_{name}" for name in findings)]]
    columns = [f"probability_{name}" for name in findings]

    def of_findings(table: pd.DataFrame) -> pd.DataFrame:
        return table.set_index("image_id")[columns].set_axis(findings, axis=1)

    said = {NETWORK: of_findings(pd.read_parquet(files["predictions"]))}
    floors: dict[str, dict[str, pd.Series]] = {}
    for name, file in zip(findings, floor_files, strict=True):
        for floor, rows in pd.read_parquet(file).groupby("floor", sort=False):
            scores = rows.set_index("image_id")[f"probability_{name}"]
            floors.setdefault(str(floor), {})[name] = scores
    said |= {floor: pd.DataFrame(scores) for floor, scores in floors.items() if floor != "majority"}
    for variant, rows in pd.read_parquet(files["covered"]).groupby("variant", sort=False):
        said[COVERED[str(variant)]] = of_findings(rows)
    return FindingsRun(run["fold"], run["seed"], known.set_axis(["group", *findings], axis=1), said)


def at_thresholds(metrics: list[list[str]], findings: list[str]) -> pd.DataFrame:
    """Sensitivity and specificity a finding at the threshold of validation, mean of the runs."""
    names = ("sensitivity", "specificity")
    rows = []
    for finding, files in zip(findings, zip(*metrics, strict=True), strict=True):
        found = [read_json(file)["at_validation_threshold"] for file in files]
        table = pd.DataFrame(
            [{name: one.get(name) for name in names} for one in found], dtype=float
        )
        rows.append({"finding": finding, "classifier": NETWORK, **table.mean().to_dict()})
    return pd.DataFrame(rows)


if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given = {name: iter(files) for name, files in snakemake.input.items()}
    tables = []
    for design in snakemake.params.designs:
        findings, runs, metrics = list(design["findings"]), [], []
        for run in design["runs"]:
            files = {name: next(given[name]) for name in ("splits", "predictions", "covered")}
            floors = [next(given["floors"]) for _ in findings]
            metrics.append([next(given["metrics"]) for _ in findings])
            runs.append(read_run(run, files, floors, findings))
        table = findings_table(runs, findings, COVERED.values())
        table = table.merge(at_thresholds(metrics, findings), how="left")
        table.insert(0, "scheme", design["scheme"])
        table.insert(0, "task", design["task"])
        tables.append(table)
        of_all = table[table["finding"] == MEAN].set_index("classifier")["auroc"]
        log.info("%s/%s: mean AUROC %.3f.", design["task"], design["scheme"], of_all[NETWORK])
    write_frame(snakemake.output[0], pd.concat(tables, ignore_index=True))
