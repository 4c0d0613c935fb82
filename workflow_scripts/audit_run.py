"""What the outputs of one network tell of it: on covered images, and where its maps point."""

from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.audit.covered_scores import covered_scores
from workflow_scripts.cxrcam.data.mask_cache import MASK_SIDE, masks_of
from workflow_scripts.cxrcam.files import atomic_path, write_json
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.map_tests.places import place_scores
from workflow_scripts.cxrcam.maps.raw_maps import read_evidence_maps
from workflow_scripts.cxrcam.seeds import seed_sequence
from workflow_scripts.cxrcam.terms import TEST, WHOLE

if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    wildcards, classes = snakemake.wildcards, list(snakemake.params.classes)
    input_part = snakemake.params.input_part
    predictions = pd.read_parquet(snakemake.input.predictions)
    test = predictions[predictions["role"] == TEST].reset_index(drop=True)
    groups = pd.read_parquet(snakemake.input.split).set_index("image_id")["group"]
    image_ids = test["image_id"].tolist()
    predicted = test[[f"probability_{name}" for name in classes]].to_numpy().argmax(axis=1)

    unanswered = "no test image has a lung mask"
    if input_part != WHOLE:
        unanswered = f"the network only ever sees covered images ({input_part})"
    rows = covered_scores(test, pd.read_parquet(snakemake.input.covered), classes, unanswered)
    with atomic_path(Path(snakemake.output.masked)) as temporary:
        rows.to_csv(temporary, index=False)

    lungs = masks_of(Path(snakemake.input.masks), image_ids, "lung")
    evidence = read_evidence_maps(Path(snakemake.input.maps), image_ids, classes)
    scores = place_scores(
        evidence.placed(predicted, MASK_SIDE),
        lungs,
        masks_of(Path(snakemake.input.masks), image_ids, "lesion"),
        np.array([classes[k] for k in predicted]) == test["label"].to_numpy(),
        groups.loc[image_ids].to_numpy(),
        {name: predicted == k for k, name in enumerate(classes)},
        lambda part: seed_sequence(0, "maps", *wildcards, part),
    )
    write_json(Path(snakemake.output.maps), scores)
    log.info("Scored %d test images, %d with lung masks.", len(test), lungs[0].sum())
