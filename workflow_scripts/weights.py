"""Choose the weights that networks of an architecture start from, once: ImageNet's, or random."""

from pathlib import Path

from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.networks.weights.initial_weights import choose_imagenet

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    target = Path(snakemake.output[0])
    choose_imagenet(
        snakemake.wildcards.architecture,
        insist=snakemake.params.insist,
        target=target,
        folder=target.parent,
        log=log,
    )
    log.info("Wrote %s.", target)
