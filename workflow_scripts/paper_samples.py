"""Figures 3 to 5 and tables I and II: single X-rays, their augmentation, predictions and maps."""

from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.arrays import UInt8Array
from workflow_scripts.cxrcam.drawing.publication_table import write_table
from workflow_scripts.cxrcam.drawing.style import save_figure
from workflow_scripts.cxrcam.errors import InputError
from workflow_scripts.cxrcam.figures.samples import (
    augmentation_caption,
    augmentation_figure,
    map_caption,
    map_figure,
    sample_caption,
    sample_figure,
)
from workflow_scripts.cxrcam.files import write_text
from workflow_scripts.cxrcam.images.files import read_grey
from workflow_scripts.cxrcam.images.resizing import resize_grey
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.maps.placement import heat_scale, normalise_map
from workflow_scripts.cxrcam.maps.raw_maps import read_raw_maps
from workflow_scripts.cxrcam.terms import TEST

PICTURE_SIDE = 299  # pixels; the size of the database's own images
ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")


def test_predictions(file: str, classes: list[str]) -> pd.DataFrame:
    """Test images with predicted class and its probability."""
    table = pd.read_parquet(file)
    table = table[table["role"] == TEST].sort_values("image_id", ignore_index=True)
    probabilities = table[[f"probability_{name}" for name in classes]].to_numpy(dtype=float)
    table["predicted"] = [classes[k] for k in probabilities.argmax(axis=1)]
    table["probability"] = probabilities.max(axis=1)
    return table


def typical(table: pd.DataFrame, name: str) -> pd.Series:
    """A typical test image of a class: of those called rightly the one of median probability.

    The surest one would be the prettiest, and the least like the others. Where none was called
    rightly, any.
    """
    rows = table[table["label"] == name]
    right = rows[rows["predicted"] == name]
    rows = (right if len(right) else rows).sort_values(["probability", "image_id"])
    return rows.iloc[len(rows) // 2]


def asked_image(table: pd.DataFrame, image_id: str | None, classes: list[str]) -> pd.Series:
    """Row of the configured image, or the first test image of the last class."""
    if image_id is None:
        return table[table["label"] == classes[-1]].iloc[0]
    rows = table[table["image_id"] == image_id]
    if rows.empty:
        few = ", ".join(map(repr, table["image_id"].head(3)))
        raise InputError(
            f"paper.image is {image_id!r}, which is no test image of this design: name one that "
            f"the network was not trained on, for example {few}."
        )
    return rows.iloc[0]


if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    params = snakemake.params
    paths = pd.read_parquet(snakemake.input.images).set_index("image_id")["path"]
    folder = Path(snakemake.output.figures[0]).parent
    source = f"data set {snakemake.wildcards.dataset}"
    tables = {
        task: test_predictions(file, classes)
        for (task, classes), file in zip(
            params.tasks.items(), snakemake.input.predictions, strict=True
        )
    }

    def picture(image_id: str) -> UInt8Array:
        """X-ray in picture size."""
        return resize_grey(read_grey(Path(paths[image_id]), params.max_pixels).pixels, PICTURE_SIDE)

    for number, (task, classes) in enumerate(params.tasks.items(), start=1):
        # A task may leave out the class of the configured image.
        wanted = params.image
        known = wanted is None or (tables[task]["image_id"] == wanted).any()
        if not known and any((t["image_id"] == wanted).any() for t in tables.values()):
            log.warning("%s is no test image of %s: another one is shown.", wanted, task)
            wanted = None
        row = asked_image(tables[task], wanted, classes)
        scheme = params.runs[number - 1]["scheme"]
        frame = pd.DataFrame(
            {
                "Image": [row["image_id"]],
                "True label": [row["label"]],
                "Predicted label": [row["predicted"]],
                **{f"P({name})": [float(row[f"probability_{name}"])] for name in classes},
            }
        )
        write_table(
            frame,
            folder / f"table_{number}",
            f"Table {ROMAN[number - 1] if number <= len(ROMAN) else number}. Prediction of the "
            f"{len(classes)}-class network ({task}, {scheme}) for one test image. P: softmax "
            "probability, not calibrated.",
        )

    classes = params.tasks[params.widest]
    chosen = [typical(tables[params.widest], name) for name in classes]
    images = np.stack([picture(row["image_id"]) for row in chosen])
    save_figure(sample_figure(images, classes), folder / "figure_3", kinds=["png"])
    write_text(folder / "figure_3.txt", sample_caption(classes, images, source) + "\n")
    flipped = images[:, :, ::-1]
    save_figure(augmentation_figure(images, flipped, classes), folder / "figure_4", kinds=["png"])
    write_text(folder / "figure_4.txt", augmentation_caption(classes, images, source) + "\n")

    position = list(params.tasks).index(params.widest)
    every = tables[params.widest]
    raw = read_raw_maps(Path(snakemake.input.maps[position]), every["image_id"], classes)
    called = every["predicted"].map(classes.index).to_numpy()
    # The scale of the whole run, not of these few pictures.
    scale = heat_scale(raw.values[np.arange(len(every)), called])
    rows = [int(row.name) for row in chosen]
    activation = normalise_map(raw.placed(called, PICTURE_SIDE)[rows], scale)
    figure = map_figure(
        images,
        activation,
        classes,
        [row["predicted"] for row in chosen],
        [float(row["probability"]) for row in chosen],
        scale,
    )
    save_figure(figure, folder / "figure_5", kinds=["png"])
    run = params.runs[position]
    caption = map_caption(classes, scale, model=f"{params.widest}, {run['scheme']}", source=source)
    write_text(
        folder / "figure_5.txt",
        f"{caption} Each image is of median probability among those of its class that were called "
        "rightly.\n",
    )
    log.info("Showed %s.", ", ".join(row["image_id"] for row in chosen))
