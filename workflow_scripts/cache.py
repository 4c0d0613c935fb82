"""Decode the images of one shard: pixels into the cache, facts for the index."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.cxrcam.contracts import FACTS
from workflow_scripts.cxrcam.data.cache import shard_writer
from workflow_scripts.cxrcam.data.decoding import decoded_batches
from workflow_scripts.cxrcam.data.listing.datasets import (
    list_images,
    shard_fingerprints,
    shard_number,
)
from workflow_scripts.cxrcam.data.listing.unions import with_members
from workflow_scripts.cxrcam.data.pseudonyms import read_key
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.images.blanking import blanked
from workflow_scripts.cxrcam.logs import start_log

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    settings = snakemake.params.settings
    n_shards, number = snakemake.params.n_shards, int(snakemake.wildcards.shard)
    images = list_images(
        with_members(snakemake.config["datasets"], snakemake.wildcards.dataset),
        Path(snakemake.params.phantom_root),
        lambda image_id: shard_number(image_id, n_shards) == number,
    )
    if shard_fingerprints(images, n_shards)[number] != snakemake.params.files:
        raise InputError(
            "Image files of this shard were added, removed or replaced after Snakemake had planned "
            "this run. Run it again when nothing changes them any more."
        )
    files = [(image.image_id, Path(image.path)) for image in images]
    given = snakemake.input.get("patient_key")
    patient_key = read_key(Path(given)) if given else None
    size, facts = settings["size"], [FACTS.empty_table()]
    about = {
        **{key: settings[key] for key in ("size", "resampling", "blank")},
        **{key: json.dumps(settings[key]) for key in ("mean", "std")},
    }
    with shard_writer(Path(snakemake.output.shard), size, about) as write:
        for some_facts, image_ids, pixels in decoded_batches(
            *(files, size, settings["resampling"], settings["max_pixels"], snakemake.threads),
            *(settings["accept"], patient_key),
        ):
            write(image_ids, blanked(pixels, settings["blank"]))
            facts.append(some_facts)
    table = pa.concat_tables(facts)
    with atomic_path(Path(snakemake.output.facts)) as temporary:
        pq.write_table(table, temporary)
    log.info("Decoded %d of %d images.", table["quarantine_reason"].null_count, len(files))
