"""The numbers of this study beside those of the one that it mends."""

import pandas as pd

from workflow_scripts.cxrcam.files import read_json
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.spreadsheets import write_frame
from workflow_scripts.cxrcam.verdict.cost import cost_table

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given = snakemake.input
    names = [snakemake.params.compare_with, snakemake.wildcards.dataset]
    studies = [
        {
            "data_set": name,
            "metrics": pd.read_csv(metrics),
            "verdict": read_json(verdict),
            "external": pd.read_csv(external) if external else None,
        }
        for name, metrics, verdict, external in zip(
            names,
            (given.first_metrics, given.metrics),
            (given.first_verdict, given.verdict),
            (given.get("first_external"), given.get("external")),
            strict=True,
        )
    ]
    table = cost_table(studies)
    write_frame(snakemake.output[0], table)
    log.info("Compared %d designs of two studies.", len(table))
