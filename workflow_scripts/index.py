"""Gather the facts of all shards into the index, find near-duplicates, set bad images apart."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.cxrcam.contracts import FACTS
from workflow_scripts.cxrcam.data.index_table import (
    QUARANTINE_COLUMNS,
    build_index,
    check_quarantine,
    in_words,
    patients_in_words,
    read_declared_sources,
)
from workflow_scripts.cxrcam.duplicates.risk import without_rejected
from workflow_scripts.cxrcam.duplicates.search import find_duplicates, not_compared
from workflow_scripts.cxrcam.duplicates.stored import stored_fingerprints
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.spreadsheets import write_csv, write_frame

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    listing = pq.read_table(snakemake.input.listing).to_pandas()
    dataset = snakemake.wildcards.dataset
    images = stored_fingerprints(snakemake.input.facts)
    pairs = find_duplicates(images, snakemake.input.shards, snakemake.threads)
    parts = snakemake.params.parts
    for table in snakemake.input.not_copies:
        part = parts["not_copies"][table]
        own = part[:-1] or dataset
        pairs = without_rejected(pairs, table, own, own, log, part)
    for sentence in not_compared(images, snakemake.input.shards):
        log.warning(sentence)
    # Not what only the search needs, 6 KiB an image.
    columns = [name for name in FACTS.names if name not in ("thumbnail", "words", "points")]
    facts = pa.concat_tables(
        [pq.read_table(file, columns=columns) for file in snakemake.input.facts]
    ).to_pandas()
    declared = {
        part + name: source
        for file, part in parts["metadata"].items()
        for name, source in read_declared_sources([Path(file)]).items()
    }
    images, quarantine = build_index(listing, facts, pairs, declared, parts["images"])
    for row in quarantine.itertuples():
        log.info("Left out %r: %s", row.path, row.reason)  # quoted: a name may hold a line break
    for sentence in in_words(images, quarantine):
        log.info(sentence)
    for sentence in patients_in_words(images):
        log.warning(sentence)
    check_quarantine(quarantine, len(listing), snakemake.config["image"]["max_quarantined_share"])
    write_frame(snakemake.output.images, images)
    write_csv(snakemake.output.quarantine, quarantine[QUARANTINE_COLUMNS])
    write_frame(snakemake.output.duplicates, pairs)
    log.info("Indexed %d images, %d pairs of near-duplicates.", len(images), len(pairs))
    if len(quarantine):
        log.warning(
            "%d of %d images could not be read and were left out; reasons: %s",
            len(quarantine),
            len(listing),
            snakemake.output.quarantine,
        )
