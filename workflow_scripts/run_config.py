"""Write the resolved configuration beside the results that it led to."""

from pathlib import Path

import yaml

from workflow_scripts.cxrcam.files import write_text
from workflow_scripts.cxrcam.logs import start_log

if __name__ == "__main__":
    start_log(snakemake.log[0])
    text = yaml.safe_dump(snakemake.params.configuration, sort_keys=True, allow_unicode=True)
    write_text(
        Path(snakemake.output[0]),
        "# The configuration as it was used: overlays merged, defaults filled in.\n" + text,
    )
