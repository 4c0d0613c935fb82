"""What the outputs of one network tell of it: on covered images, and where its maps point."""

from pathlib import Path

import pandas as pd

from workflow_scripts.cxrcam.audit.covered_scores import covered_scores
from workflow_scripts.cxrcam.data.mask_cache import MASK_SIDE, masks_of
from workflow_scripts.cxrcam.files import write_json
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.map_tests.places import place_scores
from workflow_scripts.cxrcam.maps.raw_maps import read_evidence_maps
from workflow_scripts.cxrcam.networks.prediction_table import read_test_predictions
from workflow_scripts.cxrcam.seeds import seed_sequence
from workflow_scripts.cxrcam.spreadsheets import write_frame
from workflow_scripts.cxrcam.terms import WHOLE

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, made, wildcards = snakemake.input, snakemake.output, snakemake.wildcards
    classes, input_part = list(snakemake.params.classes), snakemake.params.input_part
    test = read_test_predictions(given.predictions, classes, given.split)
    image_ids, called = test["image_id"].tolist(), test["called"].to_numpy()

    unanswered = "no test image has a lung mask"
    if input_part != WHOLE:
        unanswered = f"the network only ever sees covered images ({input_part})"
    covered = pd.read_parquet(given.covered)
    write_frame(made.masked, covered_scores(test, covered, classes, unanswered))

    lungs, lesions = (masks_of(Path(given.masks), image_ids, kind) for kind in ("lung", "lesion"))
    evidence = read_evidence_maps(Path(given.maps), image_ids, classes)
    scores = place_scores(
        evidence.placed(called, MASK_SIDE),
        *(lungs, lesions, test["correct"].to_numpy(), test["group"].to_numpy()),
        {name: called == k for k, name in enumerate(classes)},
        lambda part: seed_sequence(0, "maps", *wildcards, part),
    )
    write_json(made.maps, scores)
    log.info("Scored %d test images, %d with lung masks.", len(test), lungs[0].sum())
