"""Write the resolved configuration beside the results that it led to."""

from pathlib import Path

import yaml

from workflow_scripts.cxrcam.files import write_text
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.networks.weights.starting_weights import (
    planned_starts,
    starts_in_words,
)

if __name__ == "__main__":
    start_log(snakemake.log[0], snakemake.input)
    text = yaml.safe_dump(snakemake.params.configuration, sort_keys=True, allow_unicode=True)
    starts = planned_starts(snakemake.params.weights, snakemake.input.starts)
    # Comments, so that the file can be given as --configfile again.
    head = [
        "The configuration as it was used: overlays merged, defaults filled in.",
        *starts_in_words(starts),
    ]
    write_text(Path(snakemake.output[0]), "".join(f"# {line}\n" for line in head) + text)
