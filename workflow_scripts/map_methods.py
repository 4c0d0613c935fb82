"""All scores of the map methods in one table, and their maps side by side."""

from pathlib import Path

import pandas as pd

from workflow_scripts.cxrcam.drawing.style import save_figure
from workflow_scripts.cxrcam.figures.map_methods import compared_maps_figure
from workflow_scripts.cxrcam.files import read_json
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.map_tests.method_table import method_table
from workflow_scripts.cxrcam.maps.raw_maps import read_raw_maps
from workflow_scripts.cxrcam.networks.prediction_table import read_test_predictions
from workflow_scripts.cxrcam.spreadsheets import write_frame

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    params, given, shown = snakemake.params, snakemake.input, snakemake.params.shown
    table = method_table(params.runs, [read_json(file) for file in given.scores])
    write_frame(snakemake.output.table, table)
    of_shown = (table["task"] == shown["task"]) & (table["scheme"] == shown["scheme"])
    methods = table.loc[of_shown, "method"].tolist()
    # The first image of each class is the one that was recognised most surely.
    image_ids = pd.read_parquet(given.maps, columns=["image_id"])["image_id"].tolist()
    predictions = read_test_predictions(given.predictions, params.classes)
    figure = compared_maps_figure(
        read_raw_maps(Path(given.maps), image_ids, methods),
        predictions.set_index("image_id").loc[image_ids].reset_index(),
        pd.read_parquet(given.images).set_index("image_id"),
        *(params.classes, methods, params.max_pixels),
    )
    save_figure(figure, Path(snakemake.output.figure).with_suffix(""), kinds=["png"])
    log.info("Compared %d methods in %d designs.", len(methods), len(params.runs))
