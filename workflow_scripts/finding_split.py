"""The division of the images of a network, for one of its findings."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.cxrcam.contracts import SPLIT
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.logs import start_log

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    finding, classes = snakemake.params.finding["label"], np.array(snakemake.params.classes)
    split = pd.read_parquet(snakemake.input[0])
    known = split[split[f"finding_{finding}"].notna()]
    known = known.assign(label=classes[known[f"finding_{finding}"].astype(int)])
    with atomic_path(Path(snakemake.output[0])) as temporary:
        pq.write_table(
            pa.Table.from_pandas(known[SPLIT.names], SPLIT, preserve_index=False), temporary
        )
    log.info(
        "%d of %d images are known to show %s or not: %s.",
        *(len(known), len(split), finding, known["label"].value_counts().to_dict()),
    )
