"""List the images of a data set: names, labels, masks and what a manifest says of them."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.cxrcam.contracts import LISTING
from workflow_scripts.cxrcam.data.listing.datasets import class_sizes, list_images
from workflow_scripts.cxrcam.data.listing.spellings import missing_words, without_missing_words
from workflow_scripts.cxrcam.data.listing.unions import with_members
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.logs import start_log

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    settings = with_members(snakemake.config["datasets"], snakemake.wildcards.dataset)
    images = list_images(settings, Path(snakemake.params.phantom_root))
    rows = [{**vars(image), "extra": json.dumps(image.extra)} for image in images]
    for column in ("patient", "source"):
        names = [row[column] for row in rows]
        for word, n_rows in missing_words(names).items():
            log.warning("%d images have the %s %r, read as unknown.", n_rows, column, word)
        for row, name in zip(rows, without_missing_words(names), strict=True):
            row[column] = name
    with atomic_path(Path(snakemake.output[0])) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=LISTING), temporary)
    log.info("Listed %d images: %s.", len(images), class_sizes(images))
