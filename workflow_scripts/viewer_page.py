"""The page that runs the exported network in the browser."""

import shutil
from pathlib import Path

import pandas as pd

from workflow_scripts.cxrcam.duplicates.stored import stored_fingerprints
from workflow_scripts.cxrcam.files import atomic_path, read_json, write_bytes, write_json
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.viewer.bundle import build_page
from workflow_scripts.cxrcam.viewer.network_card import network_card
from workflow_scripts.cxrcam.viewer.training_pictures import training_pictures

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given = snakemake.input
    exported, verdict = read_json(given.card), read_json(given.verdict)
    images = pd.read_parquet(given.images, columns=["image_id", "group"])
    trained_on = training_pictures(
        pd.read_parquet(given.split),
        images.set_index("image_id")["group"],
        stored_fingerprints(given.facts),
        exported["classes"],
    )
    card = network_card(exported, verdict, trained_on, **snakemake.params.settings)
    folder = Path(snakemake.output.page).parent
    build_page(folder, card)
    with atomic_path(snakemake.output.model) as temporary:
        shutil.copyfile(given.model, temporary)
    write_bytes(snakemake.output.pictures, trained_on.pictures.tobytes())
    write_json(snakemake.output.card, card)
    size = sum(Path(file).stat().st_size for file in snakemake.output)
    log.info("Built the viewer, %.1f MB.", size / 1e6)
