"""The finished run as a research object: a copy of the workflow, and what it made of what."""

import hashlib
from pathlib import Path

import pandas as pd
import yaml

from workflow_scripts.cxrcam.crate.contents import copy_workflow, first_start, list_items
from workflow_scripts.cxrcam.crate.run_crate import Run, run_crate, without_places
from workflow_scripts.cxrcam.files import read_json, write_json, write_text
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.report.provenance import PROJECT, commit_of, library_versions

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, params = snakemake.input, snakemake.params
    target, workflow = Path(snakemake.output.metadata), Path(snakemake.output.workflow)
    results = [Path(file) for file in given.results]
    images = pd.read_parquet(given.images, columns=["image_id", "pixel_sha256"])
    sums = "".join(images.sort_values("image_id")["pixel_sha256"])
    configuration = yaml.safe_load(Path(given.configuration).read_text(encoding="utf-8"))
    verdict = read_json(given.verdict)
    copies = copy_workflow(PROJECT, workflow)
    write_text(
        workflow / "config.yaml",
        "# The configuration of the run; where images lay is left out: fill it in.\n"
        + yaml.safe_dump(without_places(configuration), sort_keys=True, allow_unicode=True),
    )
    ended = max(file.stat().st_mtime for file in results)
    run = Run(
        dataset=snakemake.wildcards.dataset,
        verdict=f"{verdict['answer']} {verdict['sentence']}",
        version=commit_of(PROJECT) or "not known (no repository)",
        configuration=configuration,
        n_images=len(images),
        images_sha256=hashlib.sha256(sums.encode()).hexdigest(),
        versions=library_versions(),
        began=first_start(Path(params.benchmarks), ended),
        ended=ended,
        workflow=list_items(target.parent, [*copies, workflow / "config.yaml"]),
        results=list_items(target.parent, results),
    )
    write_json(target, run_crate(run))
    log.info("Described %d results and %d files of code.", len(run.results), len(run.workflow))
