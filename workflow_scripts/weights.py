"""Fetch ImageNet weights once, so that training jobs never need a network."""

from pathlib import Path

from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.networks.models import download_imagenet

if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    download_imagenet(snakemake.wildcards.architecture, Path(snakemake.output[0]))
    log.info("Wrote %s.", snakemake.output[0])
