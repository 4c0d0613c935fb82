"""Numbers of one run on its test images."""

from pathlib import Path

import pandas as pd

from workflow_scripts.cxrcam.files import write_json
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.metrics import classification_metrics
from workflow_scripts.cxrcam.seeds import seed_sequence

if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    wildcards, classes = snakemake.wildcards, list(snakemake.params.classes)
    split = pd.read_parquet(snakemake.input.split)
    predictions = pd.read_parquet(snakemake.input.predictions)
    test = predictions[predictions["role"] == "test"]
    metrics = classification_metrics(
        test["label"].to_numpy(),
        test[[f"probability_{name}" for name in classes]].to_numpy(dtype=float),
        classes,
        groups=split.set_index("image_id").loc[test["image_id"], "group"].to_numpy(),
        seed=seed_sequence(
            int(wildcards.seed), "bootstrap", wildcards.task, wildcards.scheme, wildcards.fold
        ),
    )
    metrics["n_by_role"] = split["role"].value_counts().sort_index().to_dict()
    write_json(Path(snakemake.output[0]), metrics)
    log.info("Accuracy %.4f on %d test images.", metrics["accuracy"], metrics["n"])
