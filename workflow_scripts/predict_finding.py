"""What the networks say of new images, for one of their findings."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.maps.raw_maps import read_raw_maps, with_absent_maps, write_raw_maps
from workflow_scripts.cxrcam.spreadsheets import write_frame

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, made, finding = snakemake.input, snakemake.output, snakemake.params.finding["label"]
    absent, present = snakemake.params.classes
    members = pd.read_parquet(given.members)
    told = members[["image_id", "fold", "seed"]].assign(
        **{f"logit_{absent}": 0.0, f"logit_{present}": members[f"logit_{finding}"]}
    )
    write_frame(made.members, told.astype({f"logit_{absent}": "float32"}))
    image_ids = pq.read_table(given.maps, columns=["image_id"])["image_id"].to_pylist()
    maps = with_absent_maps(read_raw_maps(Path(given.maps), image_ids, [finding]))
    write_raw_maps(Path(made.maps), image_ids, [absent, present], maps)
    log.info("%d images, asked for %s.", len(image_ids), finding)
