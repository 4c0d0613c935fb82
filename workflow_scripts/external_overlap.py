"""Find the images of an external data set that the data set which is trained on has too."""

from workflow_scripts.cxrcam.duplicates.risk import without_rejected
from workflow_scripts.cxrcam.duplicates.search import find_cross_duplicates
from workflow_scripts.cxrcam.duplicates.stored import stored_fingerprints
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.spreadsheets import write_frame

if __name__ == "__main__":
    log, given = start_log(snakemake.log[0], snakemake.input), snakemake.input
    pairs = find_cross_duplicates(
        stored_fingerprints(given.own),
        given.own_shards,
        stored_fingerprints(given.other),
        given.other_shards,
        snakemake.threads,
    )
    dataset, other = snakemake.wildcards.dataset, snakemake.wildcards.other
    for table in given.not_copies:
        part = snakemake.params.parts[table]
        pairs = without_rejected(pairs, table, part[:-1] or dataset, other, log, part)
    write_frame(snakemake.output[0], pairs)
    log.info("%d images stand in both data sets.", pairs["image_id_b"].nunique())
