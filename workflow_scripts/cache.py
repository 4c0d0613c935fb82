"""Decode the images of one shard: pixels into the cache, facts for the index."""

import json
from pathlib import Path

import pyarrow.parquet as pq

from workflow_scripts.cxrcam.data.cache import content_fingerprint, decode_images, write_shard
from workflow_scripts.cxrcam.data.datasets import list_images, shard_fingerprints, shard_number
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.logs import start_log

if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    settings = snakemake.params.settings
    n_shards, number = snakemake.params.n_shards, int(snakemake.wildcards.shard)
    images = list_images(
        snakemake.config["datasets"][snakemake.wildcards.dataset],
        Path(snakemake.params.phantom_root),
        lambda image_id: shard_number(image_id, n_shards) == number,
    )
    if shard_fingerprints(images, n_shards)[number] != snakemake.params.files:
        raise InputError(
            "Image files of this shard were added, removed or replaced after Snakemake had planned "
            "this run. Run it again when the data set is at rest."
        )
    files = [(image.image_id, Path(image.path)) for image in images]
    facts, image_ids, pixels = decode_images(
        files,
        size=settings["size"],
        resampling=settings["resampling"],
        max_pixels=settings["max_pixels"],
        threads=snakemake.threads,
    )
    write_shard(
        Path(snakemake.output.shard),
        image_ids,
        pixels,
        metadata={
            "size": settings["size"],
            "resampling": settings["resampling"],
            "mean": json.dumps(settings["mean"]),
            "std": json.dumps(settings["std"]),
            "content_fingerprint": content_fingerprint(image_ids, pixels),
        },
    )
    with atomic_path(Path(snakemake.output.facts)) as temporary:
        pq.write_table(facts, temporary)
    log.info("Decoded %d of %d images.", len(image_ids), len(files))
