"""Draw the built-in demo's chest radiographs."""

from pathlib import Path

from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.phantom.dataset import write_phantom_dataset
from workflow_scripts.cxrcam.phantom.traits import PhantomSettings

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    chosen = snakemake.params.settings
    table = write_phantom_dataset(
        Path(snakemake.output.table).parent,
        images_per_class=chosen["images_per_class"],
        seed=chosen["seed"],
        settings=PhantomSettings(
            size=chosen["size"],
            difficulty=chosen["difficulty"],
            confounders=tuple(chosen["confounders"]),
        ),
        processes=snakemake.threads,
    )
    log.info("Drew %d phantoms.", len(table))
