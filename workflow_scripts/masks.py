"""Read the lung and lesion masks of the data set once, for all that asks where a map lies."""

from pathlib import Path

import pandas as pd

from workflow_scripts.cxrcam.data.mask_cache import pack_masks, write_masks
from workflow_scripts.cxrcam.logs import start_log

if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    index = pd.read_parquet(
        snakemake.input[0], columns=["image_id", "mask_path", "lesion_mask_path"]
    )
    paths = {
        kind: [path if isinstance(path, str) else None for path in index[column]]
        for kind, column in (("lung", "mask_path"), ("lesion", "lesion_mask_path"))
    }
    table, unreadable = pack_masks(
        index["image_id"].tolist(), paths, snakemake.params.max_pixels, snakemake.threads
    )
    for line in unreadable:
        log.warning("Mask counted as missing: %s", line)
    write_masks(Path(snakemake.output[0]), table)
    log.info("%d of %d images have a mask.", table.num_rows, len(index))
