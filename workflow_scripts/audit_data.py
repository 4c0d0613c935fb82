"""What tells the classes apart without any lung: source, size, mode, file, greys, spectrum."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.audit.acquisition import (
    FACT_THRESHOLD,
    PICTURE_THRESHOLD,
    file_features,
    grey_level_features,
    mode_features,
    size_features,
    spectrum_features,
    trace_separability,
)
from workflow_scripts.cxrcam.audit.class_by_source import assess_class_by_source
from workflow_scripts.cxrcam.data.cached_parts import cached_parts
from workflow_scripts.cxrcam.data.pixel_parts import at_most, stream_features
from workflow_scripts.cxrcam.data.splits import deal_folds
from workflow_scripts.cxrcam.files import atomic_path, write_json
from workflow_scripts.cxrcam.floors.features import FEATURES
from workflow_scripts.cxrcam.floors.floors import cross_validated_floors
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.seeds import generator, seed_sequence

FOLDS = 5
# Of more, so many are drawn: enough for intervals of a percent, and memory stays bounded.
IMAGES = 50_000
OF_PIXELS = {"grey_levels": grey_level_features, "spectrum": spectrum_features, **FEATURES}


def traces(
    images: pd.DataFrame, of_pixels: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, str, np.ndarray, float]]:
    """Name, name in words, features and threshold of each trace of acquisition."""
    width, height = images["width"].to_numpy(), images["height"].to_numpy()
    yield "size", "the size of the image", size_features(width, height), FACT_THRESHOLD
    yield "mode", "the mode of the file", mode_features(images["mode"].tolist()), FACT_THRESHOLD
    files = file_features(images["size_bytes"].to_numpy(), width, height)
    yield "file", "the bytes of the file", files, PICTURE_THRESHOLD
    for name, words in (
        ("grey_levels", "the grey levels that occur"),
        ("spectrum", "the spectrum that resampling leaves"),
    ):
        yield name, words, of_pixels[name], PICTURE_THRESHOLD


if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    images = pd.read_parquet(snakemake.input.images).merge(
        pd.read_parquet(snakemake.input.listing, columns=["image_id", "size_bytes"]),
        on="image_id",
        validate="one_to_one",
    )
    sources = [name if isinstance(name, str) else None for name in images["source"]]
    tasks = snakemake.params.tasks
    of_any = images["label"].isin({name for classes in tasks.values() for name in classes})
    drawn = at_most(of_any.to_numpy(), IMAGES, generator(0, "images of the audit"))
    # Pixels pass once, however many tasks an image belongs to.
    of_pixels = stream_features(
        cached_parts(snakemake.input.shards, images["image_id"].tolist(), snakemake.params.size),
        drawn,
        OF_PIXELS,
    )
    by_source, acquisition, floors = {}, {}, []
    for task, classes in tasks.items():
        by_source[task] = vars(assess_class_by_source(images["label"].tolist(), sources, classes))
        of_task = images["label"].isin(classes).to_numpy() & drawn
        chosen = images[of_task]
        features_of_task = {name: rows[of_task[drawn]] for name, rows in of_pixels.items()}
        acquisition[task] = {
            name: vars(
                trace_separability(
                    features,
                    chosen["label"].to_numpy(),
                    chosen["group"].to_numpy(),
                    generator(0, "acquisition", task, name),
                    trace=words,
                    threshold=threshold,
                    threads=snakemake.threads,
                )
            )
            for name, words, features, threshold in traces(chosen, features_of_task)
        }
        for result in acquisition[task].values():
            log.info("%s: %s", task, result["verdict"])
        labels = chosen["label"].map(classes.index).to_numpy(dtype=np.int64)
        folds = deal_folds(
            labels,
            np.unique(chosen["group"], return_inverse=True)[1],
            len(classes),
            FOLDS,
            generator(0, "folds of the floors", task),
        )
        floors += [
            {"task": task, "scheme": "", **row}
            for row in cross_validated_floors(
                features_of_task,
                labels,
                folds,
                len(classes),
                lambda name, fold, task=task: seed_sequence(0, "floor", name, task, fold),
                snakemake.threads,
            )
        ]
    write_json(Path(snakemake.output.sources), by_source)
    write_json(Path(snakemake.output.acquisition), acquisition)
    with atomic_path(Path(snakemake.output.floors)) as temporary:
        pd.DataFrame(floors).to_csv(temporary, index=False)
