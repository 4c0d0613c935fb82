"""What new images are measured against: calibration of the sets, likeness among training images."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.duplicates.stored import stored_fingerprints
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.maps.placement import heat_scale
from workflow_scripts.cxrcam.maps.raw_maps import read_evidence_maps
from workflow_scripts.cxrcam.new_images.likeness import likeness, usual_likeness
from workflow_scripts.cxrcam.new_images.reference import (
    Member,
    Reference,
    calibration_part,
    calibration_scores,
    fold_probabilities,
    is_enough,
    is_unlike,
    measured_on_test,
    training_images,
    write_reference,
)
from workflow_scripts.cxrcam.terms import TEST, VALIDATION

if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    given, params = snakemake.input, snakemake.params
    classes, runs = list(params.classes), params.runs
    calibrated = [pd.read_parquet(file) for file in given.calibrated]
    numbers = list(dict.fromkeys(run["fold"] for run in runs))
    folds = [
        fold_probabilities(
            [t for t, run in zip(calibrated, runs, strict=True) if run["fold"] == fold], classes
        )
        for fold in numbers
    ]
    part = calibration_part(folds)
    scores = calibration_scores(folds, classes, part)

    groups = pd.read_parquet(given.images, columns=["image_id", "group"]).set_index("image_id")
    stored = stored_fingerprints(given.facts)
    row_of = {image_id: row for row, image_id in enumerate(stored.image_ids)}
    training = training_images([pd.read_parquet(file) for file in given.splits])
    tested = sorted({i for fold in folds for i in fold.loc[fold["role"] == TEST, "image_id"]})
    pictures, names = (
        {
            kind: [of[image_id] for image_id in image_ids]
            for kind, image_ids in (("training", training), ("test", tested))
        }
        for of in (row_of, groups["group"])
    )
    known = stored.thumbnails[pictures["training"]]
    thresholds = usual_likeness(known, names["training"])
    found = likeness(stored.thumbnails[pictures["test"]], known, names["test"], names["training"])
    unlike = dict(zip(tested, is_unlike(found, thresholds).tolist(), strict=True))
    covered, undecided, strange, right = measured_on_test(
        folds, classes, scores, params.coverage, unlike
    )

    members, scales = [], []
    for run, table, metrics, maps in zip(runs, calibrated, given.metrics, given.maps, strict=True):
        fit = json.loads(Path(metrics).read_text(encoding="utf-8"))["calibration"]
        members.append(Member(run["fold"], run["seed"], fit["temperature"], fit["reason"]))
        test = table[table["role"] == TEST]
        called = test[[f"calibrated_probability_{name}" for name in classes]].to_numpy()
        of_test = read_evidence_maps(Path(maps), test["image_id"].tolist(), classes)
        scales.append(heat_scale(of_test.of_class(called.argmax(axis=1)).values))
    write_reference(
        Path(snakemake.output.reference),
        Reference(
            task=params.design["task"],
            scheme=params.design["scheme"],
            classes=classes,
            members=members,
            coverage=params.coverage,
            calibrated_on=part,
            n_calibration=scores.groupby("fold").size().tolist(),
            enough=is_enough(scores, params.coverage),
            thresholds=thresholds,
            n_training=len(training),
            heat_scale=float(np.mean(scales)),
            covered=covered if part == VALIDATION else None,
            undecided=undecided,
            unlike=strange,
            right=right,
        ),
    )
    with atomic_path(Path(snakemake.output.scores)) as temporary:
        scores.to_parquet(temporary, index=False)
    log.info("Calibrated on %d images of the %s part.", len(scores), part)
