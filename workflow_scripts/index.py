"""Gather the facts of all shards into the index, find near-duplicates, set bad images apart."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.cxrcam.contracts import DHASH_BYTES, THUMBNAIL_SIDE
from workflow_scripts.cxrcam.data.index_table import (
    QUARANTINE_COLUMNS,
    build_index,
    check_quarantine,
    read_declared_sources,
)
from workflow_scripts.cxrcam.duplicates.search import find_duplicates
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.logs import start_log


def duplicates_among(facts: pd.DataFrame) -> pd.DataFrame:
    """Exact and near-duplicates among the readable images."""
    readable = facts[facts["quarantine_reason"].isna()].sort_values("image_id")
    return find_duplicates(
        readable["image_id"].tolist(),
        readable["pixel_sha256"].tolist(),
        np.frombuffer(b"".join(readable["dhash"]), dtype=np.uint8).reshape(
            len(readable), DHASH_BYTES
        ),
        np.frombuffer(b"".join(readable["thumbnail"]), dtype=np.uint8).reshape(
            len(readable), THUMBNAIL_SIDE, THUMBNAIL_SIDE
        ),
    )


if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    listing = pq.read_table(snakemake.input.listing).to_pandas()
    facts = pa.concat_tables([pq.read_table(file) for file in snakemake.input.facts]).to_pandas()
    pairs = duplicates_among(facts)
    images, quarantine = build_index(
        listing,
        facts,
        pairs,
        read_declared_sources([Path(file) for file in snakemake.input.metadata]),
    )
    for row in quarantine.itertuples():
        log.info("Left out %s: %s", row.path, row.reason)
    check_quarantine(quarantine, len(listing), snakemake.config["image"]["max_quarantined_share"])
    with atomic_path(Path(snakemake.output.images)) as temporary:
        images.to_parquet(temporary, index=False)
    with atomic_path(Path(snakemake.output.quarantine)) as temporary:
        quarantine[QUARANTINE_COLUMNS].to_csv(temporary, index=False)
    with atomic_path(Path(snakemake.output.duplicates)) as temporary:
        pairs.to_parquet(temporary, index=False)
    log.info("Indexed %d images, %d pairs of near-duplicates.", len(images), len(pairs))
    if len(quarantine):
        log.warning(
            "%d of %d images could not be read and were left out; reasons: %s",
            len(quarantine),
            len(listing),
            snakemake.output.quarantine,
        )
