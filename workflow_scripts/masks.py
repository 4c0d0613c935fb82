"""Read the lung and lesion masks of the data set once, for all that asks where a map lies."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.cxrcam.data.mask_cache import IMAGES_AT_ONCE, pack_masks, write_masks
from workflow_scripts.cxrcam.images.lesion_regions import lesion_regions_of
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.terms import LESION_REGIONS

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    wanted = ("image_id", "mask_path", "lesion_mask_path", "width", "height", LESION_REGIONS)
    there = pq.read_schema(snakemake.input[0]).names
    index = pd.read_parquet(snakemake.input[0], columns=[name for name in wanted if name in there])

    def packed(images: pd.DataFrame) -> pa.Table:
        """Masks of some images."""
        files = {
            kind: [path if isinstance(path, str) else None for path in images[column]]
            for kind, column in (("lung", "mask_path"), ("lesion", "lesion_mask_path"))
        }
        regions = map(lesion_regions_of, images.to_dict("records"))
        lesions = [file or drawn for file, drawn in zip(files["lesion"], regions, strict=True)]
        table, unreadable = pack_masks(
            images["image_id"].tolist(),
            {"lung": files["lung"], "lesion": lesions},
            snakemake.params.max_pixels,
            snakemake.threads,
        )
        for line in unreadable:
            log.warning("Mask counted as missing: %s", line)
        return table

    parts = (
        index.iloc[start : start + IMAGES_AT_ONCE] for start in range(0, len(index), IMAGES_AT_ONCE)
    )
    n_masks = write_masks(Path(snakemake.output[0]), map(packed, parts))
    log.info("%d of %d images have a mask.", n_masks, len(index))
