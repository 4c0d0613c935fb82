"""What the tool can mend, as an overlay for a second study; and a list of images to look at."""

import pandas as pd

from workflow_scripts.cxrcam.configuration.mends import mended, overlay_text
from workflow_scripts.cxrcam.files import read_json, write_text
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.spreadsheets import write_csv
from workflow_scripts.cxrcam.verdict.checks.labels_of_copies import conflicting_images

HOW_TO_LEAVE_OUT = (
    "Images to look at are listed in {list}: leave out those that you decide to,",
    "as a table with the column image_id that `exclude` of the data set names.",
)

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, made, params = snakemake.input, snakemake.output, snakemake.params
    verdict = read_json(given.verdict)
    index = pd.read_parquet(given.images, columns=["image_id", "label", "source", "mask_path"])
    rows = index.astype(object).where(index.notna(), None).to_dict("records")
    result = mended(params.configuration, verdict["checks"], params.headline, rows)
    suspects = pd.read_csv(given.suspects, keep_default_na=False)[["image_id", "label", "why"]]
    pairs = pd.read_parquet(given.duplicates)
    to_look_at = pd.concat([suspects, conflicting_images(pairs, index.set_index("image_id"))])
    write_csv(made.images, to_look_at.assign(decision=""))
    told = HOW_TO_LEAVE_OUT if len(to_look_at) else ()
    remarks = [line.format(list=made.images) for line in told]
    write_text(made.overlay, overlay_text(result, remarks))
    log.info("%d changes; %d checks are left to the reader.", len(result.notes), len(result.left))
