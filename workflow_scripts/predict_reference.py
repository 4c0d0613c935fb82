"""What new images are measured against: calibration of the sets, likeness among training images."""

from pathlib import Path

import pandas as pd

from workflow_scripts.cxrcam.duplicates.stored import stored_fingerprints
from workflow_scripts.cxrcam.files import read_json
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.new_images.reference import (
    Member,
    Reference,
    calibration_part,
    calibration_scores,
    compared_with_training,
    is_enough,
    mean_heat_scale,
    measured_on_test,
    probabilities_of_folds,
    training_images,
    write_reference,
)
from workflow_scripts.cxrcam.spreadsheets import write_frame
from workflow_scripts.cxrcam.terms import TEST, VALIDATION

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, params = snakemake.input, snakemake.params
    classes, runs = list(params.classes), params.runs
    calibrated = [pd.read_parquet(file) for file in given.calibrated]
    folds = probabilities_of_folds(runs, calibrated, classes)
    part = calibration_part(folds)
    scores = calibration_scores(folds, classes, part)
    groups = pd.read_parquet(given.images, columns=["image_id", "group"]).set_index("image_id")
    training = sorted(training_images([pd.read_parquet(file) for file in given.splits]))
    tested = sorted({name for fold in folds for name in fold.loc[fold["role"] == TEST, "image_id"]})
    thresholds, unlike = compared_with_training(
        stored_fingerprints(given.facts), groups["group"], training, tested
    )
    covered, undecided, strange, right = measured_on_test(
        folds, classes, scores, params.coverage, unlike
    )
    reference = Reference(
        task=params.design["task"],
        scheme=params.design["scheme"],
        classes=classes,
        members=[Member.of(*of) for of in zip(runs, map(read_json, given.metrics), strict=True)],
        coverage=params.coverage,
        calibrated_on=part,
        n_calibration=scores.groupby("fold").size().tolist(),
        enough=is_enough(scores, params.coverage),
        thresholds=thresholds,
        n_training=len(training),
        heat_scale=mean_heat_scale(calibrated, given.maps, classes),
        covered=covered if part == VALIDATION else None,
        undecided=undecided,
        unlike=strange,
        right=right,
        is_drawn=params.is_drawn,
    )
    write_reference(Path(snakemake.output.reference), reference)
    write_frame(snakemake.output.scores, scores)
    log.info("Calibrated on %d images of the %s part.", len(scores), part)
