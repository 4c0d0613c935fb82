"""All scores of the map methods in one table, and their maps side by side."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.cxrcam.drawing.style import save_figure
from workflow_scripts.cxrcam.figures.map_methods import map_method_figure
from workflow_scripts.cxrcam.files import atomic_path
from workflow_scripts.cxrcam.images.files import read_grey
from workflow_scripts.cxrcam.images.masks import read_mask
from workflow_scripts.cxrcam.images.resizing import resize_grey
from workflow_scripts.cxrcam.logs import start_log
from workflow_scripts.cxrcam.map_tests.method_table import method_row
from workflow_scripts.cxrcam.maps.method_names import TITLES
from workflow_scripts.cxrcam.maps.placement import heat_scale, normalise_map
from workflow_scripts.cxrcam.maps.raw_maps import read_raw_maps

PICTURE_SIDE = 299  # pixels; as in cam.py

if __name__ == "__main__":
    log = start_log(snakemake.log[0])
    params, given = snakemake.params, snakemake.input
    rows = [
        {key: run[key] for key in ("task", "scheme", "fold", "seed")} | method_row(method, scores)
        for run, file in zip(params.runs, given.scores, strict=True)
        for method, scores in json.loads(Path(file).read_text(encoding="utf-8")).items()
    ]
    with atomic_path(Path(snakemake.output.table)) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)

    shown = params.shown
    methods = [
        row["method"]
        for row in rows
        if (row["task"], row["scheme"]) == (shown["task"], shown["scheme"])
    ]
    classes = list(params.classes)
    index = pd.read_parquet(given.images).set_index("image_id")
    predictions = pd.read_parquet(given.predictions).set_index("image_id")
    stored = pd.read_parquet(given.maps, columns=["image_id"])["image_id"].tolist()
    raw = read_raw_maps(Path(given.maps), stored, methods)
    # The first image of each class is the one that was recognised most surely.
    labels = predictions["label"].reindex(stored).to_numpy()
    chosen = [int(np.flatnonzero(labels == name)[0]) for name in classes if name in labels]
    entries = [index.loc[stored[position]] for position in chosen]
    probabilities = predictions.loc[
        [stored[position] for position in chosen], [f"probability_{name}" for name in classes]
    ].to_numpy()

    lungs, lesions = (
        [
            read_mask(Path(entry[kind]), PICTURE_SIDE, params.max_pixels)
            if isinstance(entry[kind], str)
            else None
            for entry in entries
        ]
        for kind in ("mask_path", "lesion_mask_path")
    )
    figure = map_method_figure(
        np.stack(
            [
                resize_grey(read_grey(Path(e["path"]), params.max_pixels).pixels, PICTURE_SIDE)
                for e in entries
            ]
        ),
        np.stack(
            [
                normalise_map(
                    raw.placed(np.full(len(stored), k), PICTURE_SIDE)[chosen],
                    # Of all tested images, so that a faint map looks faint.
                    heat_scale(raw.values[:, k]),
                )
                for k in range(len(methods))
            ],
            axis=1,
        ),
        [TITLES[method] for method in methods],
        [str(labels[position]) for position in chosen],
        [
            f"{stored[position]}: called {classes[int(p.argmax())]}, probability {p.max():.3f}"
            for position, p in zip(chosen, probabilities, strict=True)
        ],
        lungs,
        lesions,
    )
    save_figure(figure, Path(snakemake.output.figure).with_suffix(""), kinds=["png"])
    log.info("Compared %d methods in %d designs.", len(methods), len(params.runs))
