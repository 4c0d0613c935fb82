"""The data sheet of the images that the networks were trained on."""

import pandas as pd

from workflow_scripts.cxrcam.duplicates.risk import has_two_labels
from workflow_scripts.cxrcam.export.datasheet import Datasheet, datasheet
from workflow_scripts.cxrcam.files import read_json, write_text
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.terms import OTHER_EXPOSURE

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, settings = snakemake.input, snakemake.params.settings
    dataset = snakemake.wildcards.dataset
    # The table has copies in external data sets as well.
    pairs = pd.read_csv(given.copies).query("data_set_b == @dataset")
    sheet = Datasheet(
        dataset=dataset,
        kind=settings["kind"],
        images=pd.read_parquet(given.images),
        n_quarantined=len(pd.read_csv(given.quarantine)),
        pairs=pairs[pairs["kind"] != OTHER_EXPOSURE],
        n_conflicts=int(has_two_labels(pairs).sum()),
        sources=read_json(given.sources),
        acquisition=read_json(given.acquisition),
        image_settings=settings["image"],
        tasks=settings["tasks"],
        **settings["decisions"],
    )
    write_text(snakemake.output[0], datasheet(sheet))
    log.info("Wrote the data sheet of %d images.", len(sheet.images))
