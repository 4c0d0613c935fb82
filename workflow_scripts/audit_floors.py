"""What classifiers that cannot see the lungs predict, on the split of the networks."""

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.data.cached_pixels import cached_pixels
from workflow_scripts.cxrcam.floors.floors import FLOORS, floor_predictions
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.seeds import seed_sequence
from workflow_scripts.cxrcam.spreadsheets import write_frame
from workflow_scripts.cxrcam.terms import TEST, TRAIN

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    wildcards, classes = snakemake.wildcards, list(snakemake.params.classes)
    split = pd.read_parquet(snakemake.input.split)
    split = split[split["role"].isin([TRAIN, TEST])].reset_index(drop=True)
    labels = split["label"].map(classes.index).to_numpy(dtype=np.int64)
    train, test = (split["role"] == TRAIN).to_numpy(), (split["role"] == TEST).to_numpy()
    run = (wildcards.task, wildcards.scheme, wildcards.fold)
    predicted = floor_predictions(
        cached_pixels(snakemake.input.shards, split["image_id"].tolist(), snakemake.params.size),
        *(labels, train, test, len(classes)),
        {name: seed_sequence(0, "floor", name, *run) for name in FLOORS},
    )
    tables = []
    for name, probabilities in predicted.items():
        table = split.loc[test, ["image_id", "label"]].assign(floor=name)
        for k, class_name in enumerate(classes):
            table[f"probability_{class_name}"] = probabilities[:, k].astype(np.float32)
        tables.append(table)
        right = probabilities.argmax(axis=1) == labels[test]
        log.info("%s: accuracy %.4f on %d test images.", name, right.mean(), len(right))
    write_frame(snakemake.output[0], pd.concat(tables))
