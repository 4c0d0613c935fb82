"""The page that runs the exported network in the browser."""

import json
import shutil
from pathlib import Path

from workflow_scripts.cxrcam.files import atomic_path, write_json
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.viewer.bundle import build_page
from workflow_scripts.cxrcam.viewer.network_card import network_card

if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    exported = json.loads(Path(snakemake.input.card).read_text(encoding="utf-8"))
    verdict = json.loads(Path(snakemake.input.verdict).read_text(encoding="utf-8"))
    card = network_card(exported, verdict)
    folder = Path(snakemake.output.page).parent
    build_page(folder)
    with atomic_path(Path(snakemake.output.model)) as temporary:
        shutil.copyfile(snakemake.input.model, temporary)
    write_json(Path(snakemake.output.card), card)
    size = sum(Path(file).stat().st_size for file in snakemake.output)
    log.info("Built the viewer, %.1f MB.", size / 1e6)
