"""Find the images of an external data set that the data set which is trained on has too."""

from pathlib import Path

from workflow_scripts.cxrcam.duplicates.search import find_cross_duplicates
from workflow_scripts.cxrcam.duplicates.stored import stored_fingerprints
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.logs import start_log

if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    given = snakemake.input
    pairs = find_cross_duplicates(
        stored_fingerprints(given.own),
        given.own_shards,
        stored_fingerprints(given.other),
        given.other_shards,
        snakemake.threads,
    )
    with atomic_path(Path(snakemake.output[0])) as temporary:
        pairs.to_parquet(temporary, index=False)
    log.info("%d images stand in both data sets.", pairs["image_id_b"].nunique())
