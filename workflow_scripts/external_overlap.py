"""Find the images of an external data set that the data set which is trained on has too."""

from pathlib import Path

from workflow_scripts.cxrcam.duplicates.across import find_cross_duplicates
from workflow_scripts.cxrcam.duplicates.stored import stored_fingerprints
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.logs import start_log

if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    own, other = (
        stored_fingerprints(files) for files in (snakemake.input.own, snakemake.input.other)
    )
    pairs = find_cross_duplicates(*own, *other, threads=snakemake.threads)
    with atomic_path(Path(snakemake.output[0])) as temporary:
        pairs.to_parquet(temporary, index=False)
    log.info("%d images stand in both data sets.", pairs["image_id_b"].nunique())
