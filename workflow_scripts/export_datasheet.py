"""The data sheet of the images that the networks were trained on."""

import json
from pathlib import Path

import pandas as pd

from workflow_scripts.cxrcam.export.datasheet import Datasheet, datasheet
from workflow_scripts.cxrcam.files import write_text
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.terms import OTHER_EXPOSURE

if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    given, settings = snakemake.input, snakemake.params.settings
    dataset = snakemake.wildcards.dataset
    pairs = pd.read_parquet(given.duplicates)
    # The table has conflicts with external data sets as well.
    conflicts = pd.read_csv(given.label_conflicts)
    sheet = Datasheet(
        dataset=dataset,
        kind=settings["kind"],
        images=pd.read_parquet(given.images),
        n_quarantined=len(pd.read_csv(given.quarantine)),
        pairs=pairs[pairs["kind"] != OTHER_EXPOSURE],
        n_conflicts=int((conflicts["data_set_b"] == dataset).sum()),
        sources=json.loads(Path(given.sources).read_text(encoding="utf-8")),
        acquisition=json.loads(Path(given.acquisition).read_text(encoding="utf-8")),
        image_settings=settings["image"],
        tasks=settings["tasks"],
    )
    write_text(Path(snakemake.output[0]), datasheet(sheet))
    log.info("Wrote the data sheet of %d images.", len(sheet.images))
