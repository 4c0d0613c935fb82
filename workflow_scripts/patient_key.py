"""Draw the key of the hashes by which patients are known, once a project."""

from pathlib import Path

from workflow_scripts.cxrcam.data.pseudonyms import write_new_key
from workflow_scripts.cxrcam.logs import start_log

if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    write_new_key(Path(snakemake.output[0]))
    log.info("Drew the key of the hashes of patients.")
