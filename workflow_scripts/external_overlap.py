"""Find the images of an external data set that the data set which is trained on has too."""

from workflow_scripts.cxrcam.duplicates.across import find_cross_duplicates
from workflow_scripts.cxrcam.duplicates.stored import stored_fingerprints
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.spreadsheets import write_frame

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    own, other = (
        stored_fingerprints(files) for files in (snakemake.input.own, snakemake.input.other)
    )
    pairs = find_cross_duplicates(*own, *other, threads=snakemake.threads)
    write_frame(snakemake.output[0], pairs)
    log.info("%d images stand in both data sets.", pairs["image_id_b"].nunique())
