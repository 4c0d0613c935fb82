"""What networks with several findings say of new images: one page and table of all findings."""

from pathlib import Path

import pandas as pd

from workflow_scripts.cxrcam.files import read_json, write_text
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.new_images.answers import ABSTAIN
from workflow_scripts.cxrcam.report.answers.findings_page import FindingsPage, render_findings
from workflow_scripts.cxrcam.report.answers.page import believed
from workflow_scripts.cxrcam.report.cells import file_link
from workflow_scripts.cxrcam.report.page import write_static
from workflow_scripts.cxrcam.report.templating import trained_notice
from workflow_scripts.cxrcam.spreadsheets import write_csv, write_frame

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, params, made = snakemake.input, snakemake.params, snakemake.output
    verdict, folder = read_json(given.verdict), Path(made.page).parent
    answers = dict(zip(params.findings, map(pd.read_parquet, given.predictions), strict=True))
    first = next(iter(answers.values()))
    table = first[["image", "copy_note"]].copy()
    for name, of_finding in answers.items():
        table[f"probability_{name}"] = of_finding[f"probability_{name}"]
        table[f"answer_{name}"] = of_finding["answer"]
        table[f"reason_{name}"] = of_finding["reason"]
    told = {"can_it_be_believed": believed(verdict), "notice": trained_notice(params.is_drawn)}
    write_csv(made.predictions, table.assign(**told))
    write_frame(made.parquet, table.assign(**told))
    quarantine = pd.read_csv(given.quarantine[0], keep_default_na=False)
    write_csv(made.quarantine, quarantine)
    page = FindingsPage(
        dataset=snakemake.wildcards.dataset,
        asked=params.asked,
        verdict=verdict,
        table=table,
        quarantine=quarantine,
        pages=dict(zip(params.findings, (file_link(f, folder) for f in given.pages), strict=True)),
        files=[file_link(file, folder) for file in (made.predictions, made.quarantine)],
        verdict_link=file_link(given.verdict_page, folder, "audit/verdict.md"),
        is_drawn=params.is_drawn,
    )
    write_static(folder)
    write_text(made.page, render_findings(page))
    said = sum(int((table[f"answer_{name}"] != ABSTAIN).sum()) for name in answers)
    log.info("Answered %d of %d questions.", said, len(answers) * len(table))
