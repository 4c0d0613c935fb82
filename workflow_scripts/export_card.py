"""The card of an exported network."""

import pandas as pd

from workflow_scripts.cxrcam.export.model_card import ModelCardPage, model_card
from workflow_scripts.cxrcam.files import read_json, write_text
from workflow_scripts.cxrcam.logs import start_log

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given = snakemake.input
    page = ModelCardPage(
        facts=read_json(given.facts),
        verdict=read_json(given.verdict),
        metrics=read_json(given.metrics),
        parity=read_json(given.parity),
        split=pd.read_parquet(given.split),
        is_grouped=snakemake.params.settings["is_grouped"],
        is_drawn=snakemake.params.settings["is_drawn"],
    )
    write_text(snakemake.output[0], model_card(page))
    log.info("Wrote the model's card: %d checks failed.", len(page.failed))
