"""Whether the numbers can be believed: one line a check, one sentence, and the CLAIM checklist."""

import os
from pathlib import Path

from workflow_scripts.cxrcam.audit.claim_checklist import claim_checklist_markdown
from workflow_scripts.cxrcam.files import atomic_path, write_json, write_text
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.networks.weights.starting_weights import (
    planned_starts,
    start_of_model,
    starts_in_words,
)
from workflow_scripts.cxrcam.verdict.checks import all_checks
from workflow_scripts.cxrcam.verdict.finding_rows import finding_rows
from workflow_scripts.cxrcam.verdict.page import verdict_json, verdict_markdown
from workflow_scripts.cxrcam.verdict.read_tables import headlines, read_tables

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    params, given, made = snakemake.params, snakemake.input, snakemake.output
    designs = params.runs, params.explained_runs, params.classes, params.covered
    questions = {
        (design["task"], name): question
        for design in params.findings_designs
        for name, question in zip(design["findings"], design["questions"], strict=True)
    }
    tables = read_tables(dict(given.items()), *designs, questions)
    checks = all_checks(tables)
    numbers = headlines(tables, params.headline, params.classes, params.findings_designs)
    headline = numbers[0]
    starts = planned_starts(params.weights, given.starts)
    # Of the first fold and seed of each design: all of a scheme start alike.
    starts |= {
        run["scheme"]: start_of_model(Path(file), starts[run["scheme"]])
        for run, file in zip(params.explained_runs, given.models, strict=True)
    }
    evidence = {made.masked: tables.masked_inputs, made.calibration: tables.calibration}
    for file, table in evidence.items():
        with atomic_path(Path(file)) as temporary:
            table.to_csv(temporary, index=False)
    repeated = {"/".join(design): found for design, found in tables.repeatability.items()}
    write_json(Path(made.repeatability), repeated)
    title = f"Can the number be believed? Data set {snakemake.wildcards.dataset}"
    notes = starts_in_words(starts)
    page = verdict_markdown(checks, headline, title, notes, numbers)
    write_text(Path(made.page), page)
    of_findings = finding_rows(tables.findings, headline, checks) if headline.findings else []
    told = {**verdict_json(checks, headline, numbers), "starts": starts, "findings": of_findings}
    write_json(Path(made.json), told)
    folder = Path(made.page).parents[1]
    # What the workflow makes, not what is on the disk by now: that depends on the order of jobs.
    promised = {os.path.relpath(file, folder) for file in (*params.made, *given, *made)}
    write_text(Path(made.checklist), claim_checklist_markdown(sorted(promised)))
    log.info("%s %s", told["answer"], told["sentence"])
