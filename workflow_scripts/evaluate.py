"""Numbers of one run on the images that it has not seen."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.files import atomic_path, write_json
from workflow_scripts.cxrcam.floors.comparison import compare_with_floors
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.metrics.calibration import apply_temperature, fit_temperature
from workflow_scripts.cxrcam.metrics.calibration_bins import expected_calibration_error
from workflow_scripts.cxrcam.metrics.classification import classification_metrics
from workflow_scripts.cxrcam.metrics.decisions import at_threshold, youden_threshold
from workflow_scripts.cxrcam.metrics.part_accuracy import part_accuracy
from workflow_scripts.cxrcam.seeds import generator, seed_sequence
from workflow_scripts.cxrcam.terms import REST, SHARED_TEST, TEST, VALIDATION


def other_parts(predictions: pd.DataFrame, classes: list[str]) -> dict[str, Any]:
    """Accuracy beside the test part: on shared test images, and on all that was not drawn."""
    truth = predictions["label"].map(classes.index).to_numpy()
    predicted = predictions[[f"probability_{name}" for name in classes]].to_numpy().argmax(axis=1)
    parts = {}
    # Shared test images were not drawn either.
    for name, roles in ((SHARED_TEST, [SHARED_TEST]), (REST, [REST, SHARED_TEST])):
        chosen = predictions["role"].isin(roles).to_numpy()
        if (predictions["role"] == name).any():
            parts[name] = part_accuracy(truth[chosen], predicted[chosen], classes)
    return parts


def validation_threshold(predictions: pd.DataFrame, classes: list[str]) -> dict[str, Any]:
    """Test results at the threshold that the validation part chose, where there can be one."""
    validation = predictions[predictions["role"] == VALIDATION]
    if len(classes) != 2:
        return {"reason": "a threshold belongs to two classes; the largest probability decides"}
    if validation["label"].nunique() < 2:
        return {"reason": "no validation part with both classes to choose a threshold on"}
    column = f"probability_{classes[1]}"
    threshold = youden_threshold(
        (validation["label"] == classes[1]).to_numpy(), validation[column].to_numpy(dtype=float)
    )
    test = predictions[predictions["role"] == TEST]
    return at_threshold(
        (test["label"] == classes[1]).to_numpy(), test[column].to_numpy(dtype=float), threshold
    )


def calibration(predictions: pd.DataFrame, classes: list[str], target: Path) -> dict[str, Any]:
    """Temperature fitted on the validation part, and what it does to the test part.

    Writes the calibrated probabilities of the unseen images; without a validation part the raw
    ones, at temperature 1.
    """
    columns = [f"logit_{name}" for name in classes]
    truth = predictions["label"].map(classes.index).to_numpy(dtype=np.int64)
    validation = (predictions["role"] == VALIDATION).to_numpy()
    logits = predictions[columns].to_numpy(dtype=np.float64)
    fit = fit_temperature(logits[validation], truth[validation])
    probabilities = apply_temperature(logits, fit.temperature)
    table = predictions[["image_id", "label", "role"]].copy()
    for k, name in enumerate(classes):
        table[f"calibrated_probability_{name}"] = probabilities[:, k].astype(np.float32)
    with atomic_path(target) as temporary:
        table.to_parquet(temporary, index=False)
    result: dict[str, Any] = vars(fit)
    test = (predictions["role"] == TEST).to_numpy()
    for when, scores in (("before", apply_temperature(logits, 1.0)), ("after", probabilities)):
        top = scores[test].max(axis=1)
        right = scores[test].argmax(axis=1) == truth[test]
        brier = 0.5 * ((scores[test] - np.eye(len(classes))[truth[test]]) ** 2).sum(axis=1)
        result[f"expected_calibration_error_{when}"] = expected_calibration_error(top, right)
        result[f"brier_score_{when}"] = float(brier.mean())
    return result


if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    wildcards, classes = snakemake.wildcards, list(snakemake.params.classes)
    split = pd.read_parquet(snakemake.input.split)
    predictions = pd.read_parquet(snakemake.input.predictions)
    test = predictions[predictions["role"] == TEST]
    groups = split.set_index("image_id").loc[test["image_id"], "group"].to_numpy()
    run = (wildcards.task, wildcards.scheme, wildcards.fold)
    metrics = classification_metrics(
        test["label"].to_numpy(),
        test[[f"probability_{name}" for name in classes]].to_numpy(dtype=np.float64),
        classes,
        groups=groups,
        seed=seed_sequence(int(wildcards.seed), "bootstrap", *run),
    )
    metrics["n_by_role"] = split["role"].value_counts().sort_index().to_dict()
    metrics["other_parts"] = other_parts(predictions, classes)
    metrics["at_validation_threshold"] = validation_threshold(predictions, classes)
    metrics["against_floors"] = compare_with_floors(
        test,
        pd.read_parquet(snakemake.input.floors),
        groups,
        classes,
        generator(int(wildcards.seed), "gap to the floor", *run),
    )
    metrics["calibration"] = calibration(predictions, classes, Path(snakemake.output.calibrated))
    write_json(Path(snakemake.output.metrics), metrics)
    floors = metrics["against_floors"]
    log.info(
        "Accuracy %.4f on %d test images; the best floor, %s, reaches %.4f.",
        *(metrics["accuracy"], metrics["n"], floors["best"]),
        floors["floors"][floors["best"]]["accuracy"],
    )
