"""What a network of several findings says of one of them, as a network of two classes would."""

from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.maps.raw_maps import read_raw_maps, with_absent_maps, write_raw_maps
from workflow_scripts.cxrcam.networks.prediction_table import write_covered, write_predictions

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, made, finding = snakemake.input, snakemake.output, snakemake.params.finding["label"]
    classes = list(snakemake.params.classes)
    # In the order of the network's predictions; images of which the finding is not known are none.
    answers = pd.read_parquet(given.predictions).drop(columns=["label", "role"])
    asked = pd.read_parquet(given.split, columns=["image_id", "label", "role"])
    images = answers.merge(asked, on="image_id", validate="one_to_one")
    logit = images[f"logit_{finding}"].to_numpy()
    probability = images[f"probability_{finding}"].to_numpy()
    write_predictions(
        *(Path(made.predictions), images, classes),
        np.stack([np.zeros_like(logit), logit], axis=1),
        np.stack([1 - probability, probability], axis=1),
    )
    names = images["image_id"].tolist()
    maps = with_absent_maps(read_raw_maps(Path(given.maps), names, [finding]))
    write_raw_maps(Path(made.maps), names, classes, maps)
    covered = pd.read_parquet(given.covered)
    covered = covered[covered["image_id"].isin(set(names))]
    parts = []
    for variant, rows in covered.groupby("variant", sort=False):
        present = rows[f"probability_{finding}"].to_numpy()
        both = np.stack([1 - present, present], axis=1)
        parts.append((str(variant), rows["image_id"].tolist(), both))
    write_covered(Path(made.covered), parts, classes)
    log.info("%d images of which it is known whether they show %s.", len(images), finding)
