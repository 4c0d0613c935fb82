"""Figures 3 to 5 and tables I and II: single X-rays, their augmentation, predictions and maps."""

from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.drawing.publication_table import write_table
from workflow_scripts.cxrcam.drawing.style import save_captioned
from workflow_scripts.cxrcam.figures.samples import (
    augmentation_caption,
    augmentation_figure,
    map_caption,
    map_figure,
    sample_caption,
    sample_figure,
)
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.maps.placement import heat_scale, normalise_map
from workflow_scripts.cxrcam.maps.raw_maps import read_raw_maps
from workflow_scripts.cxrcam.maps.run_pictures import PICTURE_SIDE, read_xray
from workflow_scripts.cxrcam.networks.prediction_table import read_test_predictions
from workflow_scripts.cxrcam.paper.samples import (
    asked_image,
    prediction_caption,
    prediction_of,
    typical_images,
)

if __name__ == "__main__":
    log = start_log(snakemake.log[0], snakemake.input)
    given, params, wanted = snakemake.input, snakemake.params, snakemake.params.image
    index = pd.read_parquet(given.images).set_index("image_id")
    folder = Path(snakemake.output.figures[0]).parent
    files = zip(params.tasks.items(), given.predictions, strict=True)
    tables = {task: read_test_predictions(file, classes) for (task, classes), file in files}
    for number, (task, classes) in enumerate(params.tasks.items(), start=1):
        row = asked_image(tables, task, classes, wanted)
        if wanted not in (None, row["image_id"]):
            log.warning("%s is no test image of %s: another one is shown.", wanted, task)
        scheme = params.runs[number - 1]["scheme"]
        caption = prediction_caption(number, task, scheme, len(classes))
        write_table(prediction_of(row, classes), folder / f"table_{number}", caption)
    classes, position = params.tasks[params.widest], list(params.tasks).index(params.widest)
    source = f"data set {snakemake.wildcards.dataset}"
    every = tables[params.widest]
    chosen = typical_images(every, classes)
    xrays = [read_xray(index, name, PICTURE_SIDE, params.max_pixels) for name in chosen["image_id"]]
    images = np.stack([xray["grey"] for xray in xrays])
    # Of the files: the pictures have been resampled to one size.
    sizes = [*index.loc[chosen["image_id"], ["width", "height"]].itertuples(index=False, name=None)]
    figure, caption = sample_figure(images, classes), sample_caption(classes, sizes, source)
    save_captioned(figure, folder / "figure_3", caption, kinds=["png"])
    figure = augmentation_figure(images, images[:, :, ::-1], classes)
    caption = augmentation_caption(classes, sizes, source)
    save_captioned(figure, folder / "figure_4", caption, kinds=["png"])

    raw = read_raw_maps(Path(given.maps[position]), every["image_id"].tolist(), classes)
    # The scale of the whole run, not of these few pictures.
    scale = heat_scale(raw.of_class(every["called"].to_numpy()).values)
    placed = raw.of_images(chosen.index).placed(chosen["called"].to_numpy(), PICTURE_SIDE)
    said = chosen["predicted"].tolist(), chosen["probability"].tolist()
    figure = map_figure(images, normalise_map(placed, scale), classes, *said, scale)
    model = f"{params.widest}, {params.runs[position]['scheme']}"
    about = {"model": model, "source": source, "decomposed": params.decompose is not None}
    caption = map_caption(classes, scale, **about) + (
        " Each image is of median probability among those of its class that were called rightly."
    )
    save_captioned(figure, folder / "figure_5", caption, kinds=["png"])
    log.info("Showed %s.", ", ".join(chosen["image_id"]))
