"""Numbers of one run on the images that it has not seen."""

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.files import write_json
from workflow_scripts.cxrcam.floors.comparison import compare_with_floors
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.metrics.classification import classification_metrics
from workflow_scripts.cxrcam.metrics.run_metrics import (
    at_validation_threshold,
    calibrated,
    other_parts,
)
from workflow_scripts.cxrcam.networks.prediction_table import read_test_predictions
from workflow_scripts.cxrcam.seeds import generator, seed_sequence
from workflow_scripts.cxrcam.spreadsheets import write_frame

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, made, wildcards = snakemake.input, snakemake.output, snakemake.wildcards
    classes, seed = list(snakemake.params.classes), int(wildcards.seed)
    run = (wildcards.task, wildcards.scheme, wildcards.fold)
    predictions = pd.read_parquet(given.predictions)
    test = read_test_predictions(given.predictions, classes, given.split)
    groups = test["group"].to_numpy()
    metrics = classification_metrics(
        test["label"].to_numpy(),
        test[[f"probability_{name}" for name in classes]].to_numpy(dtype=np.float64),
        classes,
        groups=groups,
        seed=seed_sequence(seed, "bootstrap", *run),
    )
    roles = pd.read_parquet(given.split, columns=["role"])["role"]
    floors = compare_with_floors(
        *(test, pd.read_parquet(given.floors), groups, classes),
        generator(seed, "gap to the floor", *run),
    )
    table, calibration = calibrated(predictions, classes)
    metrics |= {
        "n_by_role": roles.value_counts().sort_index().to_dict(),
        "other_parts": other_parts(predictions, classes),
        "at_validation_threshold": at_validation_threshold(predictions, classes),
        "against_floors": floors,
        "calibration": calibration,
    }
    write_frame(made.calibrated, table)
    write_json(made.metrics, metrics)
    log.info(
        "Accuracy %.4f on %d test images; the best floor, %s, reaches %.4f.",
        *(metrics["accuracy"], metrics["n"], floors["best"]),
        floors["floors"][floors["best"]]["accuracy"],
    )
