"""Find the images of an external data set that the data set which is trained on has too."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.cxrcam.contracts import DHASH_BYTES, THUMBNAIL_SIDE
from workflow_scripts.cxrcam.duplicates.across import find_cross_duplicates
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.logs import start_log

Fingerprints = tuple[list[str], list[str], np.ndarray, np.ndarray]


def fingerprints(files: Iterable[str]) -> Fingerprints:
    """Names, pixel hashes, difference hashes and thumbnails of the readable images."""
    facts = pa.concat_tables([pq.read_table(file) for file in files])
    readable = facts.filter(facts["quarantine_reason"].is_null()).sort_by("image_id")
    return (
        readable["image_id"].to_pylist(),
        readable["pixel_sha256"].to_pylist(),
        np.frombuffer(b"".join(readable["dhash"].to_pylist()), np.uint8).reshape(-1, DHASH_BYTES),
        np.frombuffer(b"".join(readable["thumbnail"].to_pylist()), np.uint8).reshape(
            -1, THUMBNAIL_SIDE, THUMBNAIL_SIDE
        ),
    )


if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    pairs = find_cross_duplicates(
        *fingerprints(snakemake.input.own), *fingerprints(snakemake.input.other)
    )
    with atomic_path(Path(snakemake.output[0])) as temporary:
        pairs.to_parquet(temporary, index=False)
    log.info("%d images stand in both data sets.", pairs["image_id_b"].nunique())
