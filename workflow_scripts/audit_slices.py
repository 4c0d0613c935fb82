"""Groups of test images that nobody named, and on which the headline's networks are worse."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.audit.slice_traits import brightness_and_contrast, common_traits
from workflow_scripts.cxrcam.audit.slices import Answered, named_images, slice_table
from workflow_scripts.cxrcam.data.cache import cached_size, read_pixels
from workflow_scripts.cxrcam.data.cached_pixels import cached_pixels
from workflow_scripts.cxrcam.data.listing.sources import SOURCE
from workflow_scripts.cxrcam.data.pixel_stream import stream_features
from workflow_scripts.cxrcam.data.trait_columns import columns_of, values_of
from workflow_scripts.cxrcam.files import write_text
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.networks.prediction_table import read_features, read_test_predictions
from workflow_scripts.cxrcam.report.audit_pages.slices import render_slices
from workflow_scripts.cxrcam.spreadsheets import write_csv


def traits_of(of_class: pd.DataFrame, index: pd.DataFrame, shards: Sequence[Path]) -> str:
    """What the images of a slice have in common, from their pixels and the index."""
    names = of_class["image_id"].tolist()
    parts = cached_pixels(shards, names, cached_size(shards))
    everything = np.ones(len(names), dtype=bool)
    grey = stream_features(parts, everything, {"grey": brightness_and_contrast})["grey"]
    width, height = index.loc[names, ["width", "height"]].to_numpy(np.float64).T
    measured = {"aspect": width / height, "pixels": width * height}
    measured |= {"brightness": grey[:, 0], "contrast": grey[:, 1]}
    columns = [SOURCE, *columns_of(index)]
    known = pd.DataFrame({column: values_of(index, column)[names] for column in columns})
    return common_traits(of_class["is_member"].to_numpy(), measured, known)


if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, made, params = snakemake.input, snakemake.output, snakemake.params
    runs = []
    files = zip(given.predictions, given.features, given.splits, strict=True)
    for run, (predictions, features, split) in zip(params.runs, files, strict=True):
        test = read_test_predictions(predictions, params.names, split)
        scores = test[[f"logit_{name}" for name in params.names]].to_numpy(np.float64)
        numbers = read_features(features).loc[test["image_id"]].to_numpy(np.float64)
        runs.append(Answered(run["fold"], run["seed"], test, scores, numbers))
    table, members = slice_table(runs)
    index = pd.read_parquet(given.images).set_index("image_id")
    shards, shown, pixels = [Path(file) for file in given.shards], {}, {}
    for number in np.flatnonzero(table["is_found"]).tolist():
        table.loc[number, "traits"] = traits_of(members[number], index, shards)
        shown[number] = named_images(members[number])
        names = shown[number]["image_id"].tolist()
        pixels |= zip(names, read_pixels(shards, names, cached_size(shards)), strict=True)
    for column in ("scheme", "task"):
        table.insert(0, column, params.headline[column])
    write_csv(made.table, table)
    about = {"dataset": snakemake.wildcards.dataset, "is_drawn": params.is_drawn}
    page = render_slices(table, shown, pixels, **about, runs=params.runs)
    write_text(made.page, page)
    log.info("%d groups on which the network is surely worse.", len(shown))
