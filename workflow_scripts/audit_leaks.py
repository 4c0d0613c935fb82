"""Test and validation images with a twin, or their own patient, in training: every split."""

import pandas as pd

from workflow_scripts.cxrcam.audit.leaks import leaks_in_words, split_leaks
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.spreadsheets import write_frame

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    duplicates = pd.read_parquet(snakemake.input.duplicates)
    patients = pd.read_parquet(snakemake.input.images).set_index("image_id")["patient"]
    rows = []
    for design, file in zip(snakemake.params.splits, snakemake.input.splits, strict=True):
        split = pd.read_parquet(file)
        leaks = split_leaks(
            split["image_id"].tolist(),
            split["role"].tolist(),
            duplicates,
            [name if isinstance(name, str) else None for name in patients.loc[split["image_id"]]],
        )
        log.info("%s: %s", "/".join(map(str, design.values())), leaks_in_words(leaks))
        rows += [{**design, **vars(row)} for row in leaks]
    write_frame(snakemake.output[0], pd.DataFrame(rows))
